package io.talaria.gguf;

/** Checks UTF-8 in place, without the copy that a decoder makes. */
final class Utf8 {
    private Utf8() {}

    /**
     * True if the bytes from {@code from} (inclusive) to {@code to} (exclusive) are well-formed UTF-8: no overlong
     * forms, no surrogates, nothing above U+10FFFF (Unicode standard, table 3-7).
     */
    static boolean valid(byte[] bytes, int from, int to) {
        int i = from;
        while (i < to) {
            int lead = bytes[i] & 0xFF;
            if (lead < 0x80) {
                i++;
                continue;
            }
            int following = following(lead);
            if (following == 0 || to - i <= following) {
                return false;
            }
            int second = bytes[i + 1] & 0xFF;
            if (second < lowestSecond(lead) || second > highestSecond(lead)) {
                return false;
            }
            for (int k = 2; k <= following; k++) {
                if ((bytes[i + k] & 0xC0) != 0x80) {
                    return false;
                }
            }
            i += following + 1;
        }
        return true;
    }

    private static int following(int lead) {
        if (lead < 0xC2 || lead > 0xF4) {
            return 0;
        }
        return lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    }

    private static int lowestSecond(int lead) {
        return lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    }

    private static int highestSecond(int lead) {
        return lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    }
}
