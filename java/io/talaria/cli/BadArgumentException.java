package io.talaria.cli;

/** An argument that parses but makes no sense; one sentence. */
class BadArgumentException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    BadArgumentException(String message) {
        super(message);
    }
}
