/**
 * The Mixtral family: what a file must hold to be one of its models, where each weight lies, and the forward pass as a
 * loop over the layers.
 */
package io.talaria.model;
