/**
 * Hugging Face folders: config.json and weights in one or several safetensors files. Like {@code gguf}, it takes no byte
 * on trust.
 *
 * <p>{@link io.talaria.safetensors.HfFolder} is the way in. Weights of float32, float16 and bfloat16 are read.
 */
package io.talaria.safetensors;
