/**
 * SentencePiece-BPE, the tokenizer that GGUF calls {@code llama}: text to token ids and back.
 *
 * <p>{@link io.talaria.tokenizer.GgufVocabulary} reads the vocabulary from a model file, {@link
 * io.talaria.tokenizer.Tokenizer} does the work, {@link io.talaria.tokenizer.StreamingDecoder} turns tokens into text
 * as they are generated.
 */
package io.talaria.tokenizer;
