/**
 * The seam between the decoder and what computes it.
 *
 * <p>A {@link io.talaria.backend.Backend} opens a {@link io.talaria.backend.Device}; the device holds
 * {@link io.talaria.backend.Tensor}s and runs {@link io.talaria.backend.Step}s: lists of the coarse verbs of
 * {@link io.talaria.backend.DecoderOps}, composed once and run over many {@link io.talaria.backend.Batch}es.
 */
package io.talaria.backend;
