/**
 * The definition of what every backend computes: plain Java in double precision, written for reading, with weights
 * decoded by {@link io.talaria.quant.Quant} as they are needed. Slow on purpose, and never chosen unless named.
 */
package io.talaria.backend.reference;
