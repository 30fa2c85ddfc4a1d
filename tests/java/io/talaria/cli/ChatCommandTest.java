package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The whole command over pipes. */
class ChatCommandTest {
    private static Captured chat(String typed, String... options) {
        InputStream in = System.in;
        try {
            System.setIn(new ByteArrayInputStream(typed.getBytes(StandardCharsets.UTF_8)));
            List<String> args = new ArrayList<>(
                    List.of("chat", TestData.golden("nano-Q4_K_M.gguf").toString(), "--temp", "0"));
            args.addAll(List.of(options));
            return Captured.run(args.toArray(String[]::new));
        } finally {
            System.setIn(in);
        }
    }

    @Test
    void standardOutputHoldsTheAnswersAlone() {
        Captured first = chat("Hello\n", "-n", "6");
        assertEquals(0, first.code(), first.err());
        assertEquals(1, first.out().lines().count());
        Captured both = chat("\nHello\n/help\nAnd then?\n/exit\nnot read\n", "-n", "6");
        assertTrue(both.out().startsWith(first.out()), both.out());
        assertEquals(2, both.out().lines().count(), both.out());
    }

    @Test
    void everyConversationBeginsAlikeAfterAReset() {
        String twice = chat("Hello\n/reset\nHello\n", "-n", "6").out();
        String[] answers = twice.split(System.lineSeparator());
        assertEquals(answers[0], answers[1]);
        String instructed = chat("Hello\n", "-n", "6", "--system", "Be brief.").out();
        assertEquals(instructed, chat("/system Be brief.\nHello\n", "-n", "6").out());
    }

    @Test
    void aMessageThatIsTooLongLeavesTheProgramRunning() {
        Captured result = chat("word ".repeat(5000) + "\nHello\n", "-n", "6");
        assertEquals(0, result.code());
        assertTrue(result.err().contains("the context 4096"), result.err());
        assertEquals(chat("Hello\n", "-n", "6").out(), result.out());
    }
}
