package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.Answer;
import io.talaria.chat.Message;
import io.talaria.engine.ContextFullException;
import io.talaria.engine.FinishReason;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class ConversationTest {
    private final Parrot parrot = new Parrot();
    private final Conversation conversation = new Conversation(parrot, 8, null);

    /** Repeats what was said last, in two pieces, and remembers what it was sent. */
    private static final class Parrot implements Answerer {
        private final List<String> heard = new ArrayList<>();
        private FinishReason finish = FinishReason.STOP;
        private int limit = Integer.MAX_VALUE;

        @Override
        public Answer answer(List<Message> messages, Consumer<String> pieces) {
            if (messages.size() > limit) {
                throw new ContextFullException(messages.size(), limit);
            }
            heard.clear();
            messages.forEach(message -> heard.add(message.role() + ":" + message.content()));
            String said =
                    finish == FinishReason.CANCELLED ? "" : messages.getLast().content();
            pieces.accept(said);
            pieces.accept("!");
            String text = said.isEmpty() ? "" : said + "!";
            return new Answer(text, List.of(1, 2), finish, messages.size() + 3, 3, 2, 0.5, 0.25, 1);
        }

        @Override
        public void cancel() {}
    }

    private Captured take(String typed) {
        return Captured.of(() -> conversation.take(typed) ? 0 : 1);
    }

    @Test
    void messagesPileUp() {
        assertEquals("a!" + System.lineSeparator(), take("a").out());
        take("b\\\nc");
        assertEquals(List.of("USER:a", "ASSISTANT:a!", "USER:b\nc"), parrot.heard);
        assertEquals(new Captured(0, "", ""), take("  "));
    }

    @Test
    void instructionsComeFirstAndOutliveAReset() {
        take("a");
        take("/system be \"\"\" short ");
        take("b");
        assertEquals("SYSTEM:be \"\"\" short", parrot.heard.getFirst());
        assertEquals(4, parrot.heard.size());
        take("/reset");
        take("c");
        assertEquals(List.of("SYSTEM:be \"\"\" short", "USER:c"), parrot.heard);
        assertTrue(take("/system").err().contains("be \"\"\" short"));
        take("/system \"\"\"two\nlines\"\"\"");
        take("d");
        assertEquals("SYSTEM:two\nlines", parrot.heard.getFirst());
    }

    @Test
    void commandsPrintNothingToStandardOutput() {
        for (String command : new String[] {"/help", "/stats", "/system", "/reset", "/nonsense"}) {
            Captured result = take(command);
            assertEquals("", result.out());
            assertEquals(0, result.code());
        }
        for (String command : Conversation.COMMANDS) {
            assertTrue(take("/help").err().contains(command));
        }
        assertEquals(1, take("/exit").code());
        assertTrue(parrot.heard.isEmpty());
    }

    @Test
    void aCommandThatThereIsNotGetsASentence() {
        assertTrue(take("/etc/\u001b[1m").err().contains("There is no command /etc/\ufffd[1m; /help"));
        take(" /etc is what?");
        assertEquals(List.of("USER:/etc is what?"), parrot.heard);
    }

    @Test
    void statsAreThoseOfTheLastAnswer() {
        assertTrue(take("/stats").err().contains("Nothing has been answered"));
        take("a");
        String stats = take("/stats").err();
        assertTrue(
                stats.contains("4 tokens, of which 3 were known, read at 2.0 tokens/s; 2 written at 4.0 tokens/s"),
                stats);
    }

    @Test
    void aConversationThatIsTooLongGoesOnAfterAReset() {
        parrot.limit = 2;
        take("a");
        Captured full = take("b");
        assertEquals("", full.out());
        assertTrue(
                full.err().contains("the prompt has 3 tokens and the context 2")
                        && full.err().contains("/reset"),
                full.err());
        take("/reset");
        take("c");
        assertEquals(List.of("USER:c"), parrot.heard);
    }

    @Test
    void aStoppedAnswerStaysAsFarAsItCame() {
        parrot.finish = FinishReason.CANCELLED;
        take("a"); // stopped before its first word
        parrot.finish = FinishReason.STOP;
        take("b");
        assertEquals(List.of("USER:b"), parrot.heard);
        take("c");
        assertEquals(List.of("USER:b", "ASSISTANT:b!", "USER:c"), parrot.heard);
    }

    @Test
    void aLimitIsSaid() {
        parrot.finish = FinishReason.LENGTH;
        assertTrue(take("a").err().contains("The context is full"));
        Conversation brief = new Conversation(parrot, 2, null);
        Captured cut = Captured.of(() -> brief.take("a") ? 0 : 1);
        assertTrue(cut.err().contains("cut after 2 tokens"));
        assertFalse(cut.out().contains("cut"));
    }
}
