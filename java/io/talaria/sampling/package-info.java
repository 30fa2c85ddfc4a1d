/** From logits to a token: temperature and filters, penalties, stop strings. Knows plain numbers and texts only. */
package io.talaria.sampling;
