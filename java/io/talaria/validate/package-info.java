/**
 * A device against the reference: verb by verb with made-up inputs, and layer by layer with a model's weights. What a
 * device computes wrongly is found where it happens, as every verb is given inputs that both devices share.
 */
package io.talaria.validate;
