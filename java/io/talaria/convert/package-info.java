/** Makes GGUF files: of Hugging Face folders, and of other GGUF files in other types. */
package io.talaria.convert;
