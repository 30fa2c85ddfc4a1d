package io.talaria.validate;

/** A verb wrote where it may not. */
final class VerbFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    VerbFault(String message) {
        super(message);
    }
}
