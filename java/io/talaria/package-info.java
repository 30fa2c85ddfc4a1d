/**
 * Talaria as a library: {@link io.talaria.Talaria} opens a model and answers prompts, several at once. Messages of a
 * conversation are {@link io.talaria.chat.Message}.
 */
package io.talaria;
