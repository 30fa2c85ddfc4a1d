package io.talaria.model;

import java.io.IOException;

/** A well-formed file that is no model that Talaria runs. The message is one sentence that names the file. */
public final class ModelException extends IOException {
    private static final long serialVersionUID = 1L;

    public ModelException(String message) {
        super(message);
    }
}
