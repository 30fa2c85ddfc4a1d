package io.talaria.engine;

/**
 * Hears of one request. It is called by the engine's own thread, between two steps, so it must neither wait nor call the
 * engine's {@code close()}. After {@link #finished} or {@link #failed}, one of which comes exactly once, it hears nothing
 * more.
 */
public interface TokenListener {
    /**
     * The next token of the answer, but for one of the request's stop tokens.
     *
     * @return whether the answer is to go on; if not it ends as {@link FinishReason#STOP}
     */
    boolean token(int token);

    /** The answer is complete. */
    void finished(Completion completion);

    /**
     * There is no answer, or no end of it: a {@link io.talaria.backend.DeviceException} if the device failed, an
     * {@link ArithmeticException} if the model's numbers broke down, an {@link IllegalStateException} if the engine was
     * closed, or what this listener has thrown.
     */
    void failed(RuntimeException reason);
}
