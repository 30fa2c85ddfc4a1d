/** Models of real shape with made-up weights, to measure with where no real weights are. */
package io.talaria.bench;
