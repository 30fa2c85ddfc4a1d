/**
 * Reader and writer of GGUF model files.
 *
 * <p>Every byte that is read here is untrusted. The package checks each number of the header against
 * {@link io.talaria.gguf.GgufLimits} and against the file's length before it allocates or computes with it, and answers
 * a bad file with a {@link io.talaria.gguf.GgufException}. It depends on the JDK and on
 * {@link io.talaria.quant.TensorType} only. Files are read by position and never mapped, because a mapped file that is
 * truncated kills the JVM.
 */
package io.talaria.gguf;
