/**
 * The element types of GGUF tensors and their readable decoders, one class per block format.
 *
 * <p>{@link io.talaria.quant.Quant} is the way in. Nothing here knows about files or models.
 */
package io.talaria.quant;
