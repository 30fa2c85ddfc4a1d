package io.talaria.safetensors;

import io.talaria.gguf.Printable;
import java.io.IOException;
import java.nio.file.Path;

/**
 * A Hugging Face folder that cannot be used.
 *
 * <p>The message is one sentence that names the file, the tensor or field, what is wrong and what to do. Of the content
 * it holds names only, with control characters escaped and cut.
 */
public final class SafetensorsException extends IOException {
    private static final long serialVersionUID = 1L;

    private final SafetensorsFault fault;

    private SafetensorsException(SafetensorsFault fault, String message, Throwable cause) {
        super(message, cause);
        this.fault = fault;
    }

    /**
     * A fault of a file or folder.
     *
     * @param problem what is wrong, with names in printable form; without a full stop
     */
    public static SafetensorsException of(SafetensorsFault fault, Path file, String problem) {
        return of(fault, file, problem, null);
    }

    static SafetensorsException of(SafetensorsFault fault, Path file, String problem, Throwable cause) {
        String message = Printable.path(file) + ": " + problem + "; " + fault.remedy() + ".";
        return new SafetensorsException(fault, message, cause);
    }

    /** The kind of fault. */
    public SafetensorsFault fault() {
        return fault;
    }
}
