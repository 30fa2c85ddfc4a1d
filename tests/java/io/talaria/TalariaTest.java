package io.talaria;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.backend.DeviceException;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import io.talaria.engine.ContextFullException;
import io.talaria.engine.FinishReason;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class TalariaTest {
    private static final Prompt HELLO = Prompt.raw("Hello");

    private Talaria talaria;
    /** For answers that the model does not end by itself. */
    private GenerateOptions endless;

    private static TalariaBuilder builder() {
        return Talaria.builder(TestData.golden("nano-Q4_K_M.gguf")).batchInvariant(true);
    }

    @BeforeEach
    void open() throws IOException {
        talaria = builder().open();
        endless = endless().maxTokens(4000).build();
    }

    @AfterEach
    void close() {
        talaria.close();
    }

    private GenerateOptions.Builder endless() {
        return GenerateOptions.builder()
                .seed(5)
                .logitBias(talaria.tokenizer().eos(), -1e5f)
                .logitBias(talaria.tokenizer().special("<|im_end|>").orElseThrow(), -1e5f);
    }

    private static GenerateOptions seeded(long seed) {
        return GenerateOptions.builder().seed(seed).maxTokens(40).build();
    }

    private Answer answer(Prompt prompt, GenerateOptions options) {
        return talaria.generate(prompt, options, piece -> {});
    }

    @Test
    void thePiecesAreTheText() {
        List<String> pieces = new ArrayList<>();
        Answer answer = talaria.generate("Why is the sky blue?", pieces::add);
        assertTrue(pieces.size() > 1);
        assertFalse(pieces.contains(""));
        assertEquals(String.join("", pieces), answer.text());
        assertEquals(talaria.encode(Prompt.user("Why is the sky blue?")).length, answer.promptTokens());
        assertEquals(
                answer.tokens().size() + (answer.finishReason() == FinishReason.STOP ? 1 : 0),
                answer.completionTokens());
        assertTrue(answer.prefillSeconds() > 0 && answer.decodeSeconds() > 0);
    }

    @Test
    void aSeedGivesTheSameTextAgain() {
        Answer first = answer(HELLO, seeded(5));
        assertEquals(5, first.seed());
        assertEquals(first.tokens(), answer(HELLO, seeded(5)).tokens());
        assertNotEquals(first.tokens(), answer(HELLO, seeded(6)).tokens());
        Answer random = answer(HELLO, GenerateOptions.builder().maxTokens(40).build());
        assertEquals(random.tokens(), answer(HELLO, seeded(random.seed())).tokens());
        assertNotEquals(random.seed(), answer(HELLO, GenerateOptions.DEFAULT).seed());
    }

    @Test
    void aStopStringEndsTheTextBeforeIt() {
        String whole = answer(HELLO, endless().maxTokens(40).build()).text();
        for (int from = 1; from < whole.length() - 3; from += 3) {
            String stop = whole.substring(from, from + 3);
            if (!Character.isSurrogate(stop.charAt(0)) && !Character.isSurrogate(stop.charAt(2))) {
                List<String> pieces = new ArrayList<>();
                GenerateOptions options =
                        endless().maxTokens(40).stop("nowhere in it").stop(stop).build();
                Answer answer = talaria.generate(HELLO, options, pieces::add);
                assertEquals(whole.substring(0, whole.indexOf(stop)), answer.text());
                assertEquals(answer.text(), String.join("", pieces));
                assertEquals(FinishReason.STOP, answer.finishReason());
            }
        }
    }

    @Test
    void aConversationIsReadOnce() {
        List<Message> messages = new ArrayList<>();
        messages.add(
                new Message(Role.SYSTEM, "You are a helpful assistant with a long list of instructions. ".repeat(5)));
        messages.add(new Message(Role.USER, "Hello"));
        int before = 0;
        for (int turn = 0; turn < 3; turn++) {
            Answer answer = answer(Prompt.chat(messages), seeded(turn));
            int reusable = before / 32 * 32;
            assertTrue(answer.cachedTokens() >= reusable, answer.cachedTokens() + " of " + reusable);
            before = answer.promptTokens() - 8; // the assistant's opening may merge with the answer
            messages.add(new Message(Role.ASSISTANT, answer.text()));
            messages.add(new Message(Role.USER, "And then?"));
        }
        assertTrue(before > 100);
    }

    @Test
    void cancelledFromAListener() throws InterruptedException {
        Generation generation = talaria.start(HELLO, endless);
        List<String> pieces = new ArrayList<>();
        generation.forEach(piece -> {
            pieces.add(piece);
            if (pieces.size() == 5) {
                generation.cancel();
            }
        });
        Answer answer = generation.await();
        assertEquals(FinishReason.CANCELLED, answer.finishReason());
        assertEquals(String.join("", pieces), answer.text());
        assertTrue(generation.isDone());
        assertNull(generation.next());
        assertEquals(0, talaria.usage().blocksInUse());
    }

    @Test
    void cancelledFromAnotherThread() throws InterruptedException {
        Generation generation = talaria.start(HELLO, endless);
        String first = generation.next();
        Thread.ofVirtual().start(generation::cancel).join();
        Answer answer = generation.await();
        assertEquals(FinishReason.CANCELLED, answer.finishReason());
        assertTrue(answer.text().startsWith(first));
        assertTrue(answer.completionTokens() < 4000);
    }

    @Test
    void interruptedItComesAsFarAsItIs() {
        int[] heard = {0};
        Answer answer = talaria.generate(HELLO, endless, piece -> {
            if (heard[0]++ == 3) {
                Thread.currentThread().interrupt();
            }
        });
        assertTrue(Thread.interrupted());
        assertEquals(FinishReason.CANCELLED, answer.finishReason());
    }

    @Test
    void whatAListenerThrowsIsPassedOn() {
        UnsupportedOperationException thrown = new UnsupportedOperationException("no");
        assertSame(
                thrown,
                assertThrows(
                        UnsupportedOperationException.class,
                        () -> talaria.generate(HELLO, endless, piece -> {
                            throw thrown;
                        })));
        assertEquals(
                2, answer(HELLO, GenerateOptions.builder().maxTokens(2).build()).completionTokens());
        assertEquals(0, talaria.usage().running());
    }

    @Test
    void manyThreadsGetWhatEachGetsAlone() throws Exception {
        List<Answer> alone = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            alone.add(answer(Prompt.user("Question " + i), seeded(i)));
        }
        try (Talaria fresh = builder().parallel(5).open();
                ExecutorService threads = Executors.newFixedThreadPool(10)) {
            List<Future<Answer>> together = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                int number = i;
                together.add(threads.submit(
                        () -> fresh.generate(Prompt.user("Question " + number), seeded(number), piece -> {})));
            }
            for (int i = 0; i < 20; i++) {
                assertEquals(alone.get(i).tokens(), together.get(i).get().tokens());
                assertEquals(alone.get(i).text(), together.get(i).get().text());
            }
        }
    }

    @Test
    void promptsAreWhatTheySay() {
        int[] tokens = talaria.tokenizer().encode("Hello", true, true);
        assertArrayEquals(tokens, talaria.encode(HELLO));
        assertEquals(
                answer(HELLO, seeded(1)).tokens(),
                answer(Prompt.tokens(tokens), seeded(1)).tokens());
        assertThrows(IllegalArgumentException.class, () -> answer(Prompt.tokens(), seeded(1)));
        assertThrows(IllegalArgumentException.class, () -> answer(Prompt.tokens(100_000), seeded(1)));
        assertThrows(ContextFullException.class, () -> answer(Prompt.raw("x ".repeat(5000)), seeded(1)));
    }

    @Test
    void optionsAreChecked() {
        assertThrows(
                IllegalArgumentException.class,
                () -> GenerateOptions.builder().maxTokens(0).build());
        assertThrows(
                IllegalArgumentException.class,
                () -> GenerateOptions.builder().stop("").build());
        assertThrows(
                IllegalArgumentException.class,
                () -> GenerateOptions.builder().temperature(-1).build());
    }

    @Test
    void closedItSaysSo() throws InterruptedException {
        Generation running = talaria.start(HELLO, endless);
        running.next();
        CountDownLatch waiting = new CountDownLatch(1);
        List<RuntimeException> heard = new ArrayList<>();
        Thread thread = Thread.ofPlatform().start(() -> {
            waiting.countDown();
            heard.add(assertThrows(IllegalStateException.class, () -> running.forEach(piece -> {})));
        });
        waiting.await();
        Thread other = Thread.ofPlatform().start(talaria::close);
        talaria.close();
        other.join();
        thread.join();
        assertEquals(1, heard.size());
        assertThrows(IllegalStateException.class, running::await);
        IllegalStateException closed = assertThrows(IllegalStateException.class, () -> talaria.generate("Hello"));
        assertTrue(closed.getMessage().contains("open the model again"), closed.getMessage());
        talaria.close();
    }

    @Test
    void openingFailsWithASentence() {
        assertThrows(IOException.class, () -> Talaria.open(Path.of("/nowhere/at/all.gguf")));
        assertThrows(DeviceException.class, () -> builder().device("cuda:99").open());
        assertThrows(
                IllegalArgumentException.class,
                () -> builder().context(1_000_000).open());
        assertThrows(IllegalArgumentException.class, () -> builder().parallel(0).open());
        assertThrows(DeviceException.class, () -> builder().threads(-1).open());
    }

    @Test
    void loadingIsHeard() throws IOException {
        List<Long> heard = new ArrayList<>();
        try (Talaria other = builder()
                .device("reference")
                .context(64)
                .progress((done, total) -> heard.add(total - done))
                .open()) {
            assertEquals(64, other.context());
            assertEquals("reference", other.device().device());
        }
        assertTrue(heard.size() > 10);
        assertEquals(0, heard.getLast());
    }
}
