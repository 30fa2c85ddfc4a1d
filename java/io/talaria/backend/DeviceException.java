package io.talaria.backend;

/** A device refused or failed a call. The message is one sentence that a user can act on. */
public final class DeviceException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** What kind of failure it is, and so what can be done next; each graver than those before it. */
    public enum Kind {
        /** A wrong argument, shape or order; nothing was launched. */
        INVALID,
        /** This device cannot do that. */
        UNSUPPORTED,
        /** Memory ran out; the device is still usable. */
        OUT_OF_MEMORY,
        /** The device is gone for good: close it. */
        LOST
    }

    /** How the message ends where a device has waited for another that has failed; native code has the same words. */
    public static final String WAITED_IN_VAIN = "the device whose signal this one waited for has failed";

    private final Kind kind;

    public DeviceException(Kind kind, String message) {
        super(message);
        this.kind = kind;
    }

    public DeviceException(Kind kind, String message, Throwable cause) {
        super(message, cause);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }

    /** Whether it only says that another device has failed, for which this one has waited. */
    public boolean waitedInVain() {
        return getMessage().endsWith(WAITED_IN_VAIN);
    }

    /** A wrong argument. */
    public static DeviceException invalid(String message) {
        return new DeviceException(Kind.INVALID, message);
    }
}
