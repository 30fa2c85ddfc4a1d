package io.talaria.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** The check of UTF-8 and the printing of names. */
class TextTest {
    private static final int[] EDGES = {
        0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
        0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF
    };

    /** All sequences of up to four bytes at the edges of the encoding's ranges, against the JDK's decoder. */
    @Test
    void utf8AgreesWithTheDecoder() {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        int valid = 0;
        for (int length = 0; length <= 4; length++) {
            int total = (int) Math.pow(EDGES.length, length);
            for (int number = 0; number < total; number++) {
                byte[] bytes = {'x', 0, 0, 0, 0, 'y'};
                for (int i = 0, rest = number; i < length; i++, rest /= EDGES.length) {
                    bytes[i + 1] = (byte) EDGES[rest % EDGES.length];
                }
                boolean expected = decodes(decoder, ByteBuffer.wrap(bytes, 1, length));
                assertEquals(
                        expected,
                        Utf8.valid(bytes, 1, 1 + length),
                        () -> HexFormat.of().formatHex(bytes));
                valid += expected ? 1 : 0;
            }
        }
        // By length, counted from table 3-7 of the Unicode standard: 1, 2, 16, 236, 1672.
        assertEquals(1927, valid);
    }

    @Test
    void namesArePrintable() {
        assertEquals("'blk.0.weight'", Printable.name("blk.0.weight"));
        assertEquals("'\u2581na\u00efve \ud83d\ude00'", Printable.name("\u2581na\u00efve \ud83d\ude00"));
        assertEquals("'\\u{0}\\u{a}\\u{1b}\\u{7f}\\u{9b}'", Printable.name("\0\n\u001b\u007f\u009b"));
        assertEquals(
                "'\\u{202e}\\u{2028}\\u{feff}\\u{e000}\\u{d800}'", Printable.name("\u202e\u2028\ufeff\ue000\ud800"));
        assertEquals("'" + "n".repeat(80) + "'", Printable.name("n".repeat(80)));
        assertEquals("'" + "n".repeat(77) + "...'", Printable.name("n".repeat(81)));
        assertEquals("'" + "n".repeat(76) + "...'", Printable.name("n".repeat(76) + "\u0001\u0001"));
        assertEquals("a\\u{a}b", Printable.path(Path.of("a\nb")));
    }

    private static boolean decodes(CharsetDecoder decoder, ByteBuffer bytes) {
        return !decoder.reset()
                .decode(bytes, CharBuffer.allocate(bytes.remaining()), true)
                .isError();
    }
}
