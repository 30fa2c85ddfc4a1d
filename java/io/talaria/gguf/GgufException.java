package io.talaria.gguf;

import java.io.IOException;

/**
 * A GGUF file that cannot be used, or a wrong use of one.
 *
 * <p>The message is one sentence that names the file, the key or tensor, the place in the file, what is wrong and what
 * to do. Of the file's content it holds names only, with control characters escaped and cut to
 * {@value Printable#MAX_CHARACTERS} characters.
 */
public final class GgufException extends IOException {
    private static final long serialVersionUID = 1L;

    private final GgufFault fault;

    private GgufException(GgufFault fault, String message, Throwable cause) {
        super(message, cause);
        this.fault = fault;
    }

    /**
     * A fault of a file.
     *
     * @param file the file's printable name
     * @param problem what is wrong, naming keys and tensors in printable form; without a full stop
     */
    static GgufException of(GgufFault fault, String file, String problem) {
        return of(fault, file, problem, null);
    }

    static GgufException of(GgufFault fault, String file, String problem, Throwable cause) {
        return new GgufException(fault, file + ": " + problem + "; " + fault.remedy() + ".", cause);
    }

    /** The kind of fault. */
    public GgufFault fault() {
        return fault;
    }
}
