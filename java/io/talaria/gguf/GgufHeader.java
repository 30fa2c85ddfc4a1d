package io.talaria.gguf;

import java.util.List;

/**
 * What the header of one GGUF file says.
 *
 * @param file the file's printable name
 * @param size the file's length in bytes when it was opened
 * @param version 2 or 3
 * @param tensors in the order of the file
 */
record GgufHeader(String file, long size, int version, GgufMetadata metadata, List<GgufTensor> tensors) {}
