package io.talaria.backend;

/**
 * A forward pass, or a part of one, composed once: an ordered list of verbs that {@link Device#run} runs over batch
 * after batch.
 */
public interface Step extends DecoderOps, AutoCloseable {
    StepOptions options();

    /** Ends composing: the step can run and takes no more verbs. */
    void end();

    /** Frees the step. Closing twice does nothing. */
    @Override
    void close();
}
