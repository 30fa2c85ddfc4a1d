/** Conversations as prompts: messages in, token ids out, with the structure out of the reach of the content. */
package io.talaria.chat;
