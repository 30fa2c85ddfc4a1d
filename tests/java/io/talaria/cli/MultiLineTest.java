package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MultiLineTest {
    /** Lines ends are written / here. */
    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '\'',
            value = {
                "one,one",
                "'  one  ',one",
                "one\\/two,one/two",
                "one\\/two\\/three,one/two/three",
                "a\\b,a\\b",
                "one/two,one/two",
                "\"\"\"one\"\"\",one",
                "\"\"\"one/two\"\"\",one/two",
                "\"\"\"/one\\/  two/\"\"\",one\\/  two",
                "say \"\"\"one,say \"\"\"one",
                "\"\"\"\"\"\",''",
            })
    void completeMessages(String typed, String message) {
        String lines = typed.replace('/', '\n');
        assertFalse(MultiLine.open(lines));
        assertEquals(message.replace('/', '\n'), MultiLine.message(lines));
    }

    @ParameterizedTest
    @ValueSource(strings = {"one\\", "one\\\ntwo\\", "\"\"\"", "\"\"\"one", "\"\"\"one\ntwo \"\"\" three", "\"\"\"\""})
    void anotherLineIsWanted(String lines) {
        assertTrue(MultiLine.open(lines));
    }

    private static StreamInput stream(String text) {
        return new StreamInput(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void streamsHoldOneMessagePerLine() throws IOException {
        StreamInput input = stream("one\n\ntwo\\\nthree\n\"\"\"four\n\nfive\"\"\"\nGrüße");
        assertEquals("one", input.next());
        assertEquals("", input.next());
        assertEquals("two\\\nthree", input.next());
        assertEquals("\"\"\"four\n\nfive\"\"\"", input.next());
        assertEquals("Grüße", input.next());
        assertNull(input.next());
    }

    @Test
    void whatTheStreamCutsOffIsTakenAsItIs() throws IOException {
        assertEquals("one", MultiLine.message(stream("one\\").next()));
        assertEquals("one\ntwo", MultiLine.message(stream("\"\"\"one\ntwo").next()));
    }

    /** The text of a command may have several lines too. */
    @Test
    void commandsTakeQuotes() {
        assertTrue(MultiLine.open("/system \"\"\"be"));
        assertFalse(MultiLine.open("/system \"\"\"be\nnice\"\"\""));
        assertFalse(MultiLine.open("/system be \"\"\"nice"));
    }
}
