/** How good a model is: answers that are right or wrong, and how likely it finds the right ones. */
package io.talaria.eval;
