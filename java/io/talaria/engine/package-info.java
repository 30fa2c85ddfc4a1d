/** Sequences of tokens over a decoder: blocks of the KV cache, batches, prompts and answers. */
package io.talaria.engine;
