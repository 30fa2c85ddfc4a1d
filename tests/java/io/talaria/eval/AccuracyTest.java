package io.talaria.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.GenerateOptions;
import io.talaria.Prompt;
import io.talaria.Talaria;
import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.backend.OpenOptions;
import io.talaria.chat.ChatMl;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import io.talaria.engine.PromptLogits;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import io.talaria.quant.TensorType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class AccuracyTest {
    private static final Path NANO = TestData.golden("nano-Q4_K_M.gguf");

    private static Question question(String task, String text, String answer) {
        return new Question(task, List.of(new Message(Role.USER, text)), answer);
    }

    /** A random model ends hardly any answer, so the right one is looked for among what it does end. */
    @Test
    void onlyTheSameTextThatIsEndedIsRight() throws Exception {
        try (Talaria talaria = Talaria.builder(NANO).batchInvariant(true).open()) {
            GenerateOptions greedy =
                    GenerateOptions.builder().temperature(0).maxTokens(400).build();
            String asked = null;
            String answer = null;
            for (int i = 0; i < 60 && answer == null; i++) {
                var said = talaria.generate(Prompt.user("word " + i), greedy, piece -> {});
                if (said.finishReason() == io.talaria.engine.FinishReason.STOP) {
                    asked = "word " + i;
                    answer = said.text();
                }
            }
            org.junit.jupiter.api.Assumptions.assumeTrue(answer != null, "the random model ended no answer");
            List<Question> questions = List.of(
                    question("a", asked, answer),
                    question("b", asked, answer + " "),
                    question("b", asked, answer.substring(1)),
                    question("a", asked, answer.substring(0, answer.length() / 2)));
            List<Integer> heard = new ArrayList<>();
            Accuracy accuracy = Accuracy.measure(talaria, questions, (done, total) -> heard.add(done));
            assertEquals(List.of(1, 2, 3, 4), heard);
            assertTrue(accuracy.right(0));
            assertFalse(accuracy.right(1));
            assertFalse(accuracy.right(2));
            assertFalse(accuracy.right(3));
            assertEquals(List.of("a", "b"), List.copyOf(accuracy.tasks().keySet()));
            assertEquals(new Accuracy.Score(1, 2), accuracy.tasks().get("a"));
            assertEquals(new Accuracy.Score(0, 2), accuracy.tasks().get("b"));
            assertEquals(0.25, accuracy.all().share());
        }
    }

    /** Two near logits may change places; two distant ones may not. */
    @Test
    void aNearTieIsJudgedByTheRoundingOfItsRow() {
        float[] reference = {1.0f, 0.9f, -3, -3};
        assertTrue(Agreement.nearTie(new float[] {0.95f, 0.96f, -3.05f, -2.95f}, reference)); // rms 0.05, gap 0.1
        assertFalse(
                Agreement.nearTie(new float[] {1.45f, 0.96f, -3, -3}, new float[] {1.5f, 0.9f, -3, -3})); // 0.04, 0.6
        assertFalse(Agreement.nearTie(new float[] {1.0f, 0.9f, -3, -3}, reference));
    }

    /** The loss by hand, from the logits of one question. */
    @Test
    void theLossIsThatOfTheAnswersTokensAndTheirEnd() throws Exception {
        Question question = question("a", "What is 1 + 1?", "two");
        try (Model model = Model.open(NANO);
                Device device = Backends.open("cpu", new OpenOptions(1))) {
            int rows = AnswerLoss.rows(model.tokenizer(), List.of(question));
            DecoderOptions options = DecoderOptions.of(
                            Activations.HALF, TensorType.F16, DecoderOptions.blocksFor(rows), rows)
                    .withLogits();
            try (Decoder decoder = Decoder.load(model, device, options, (done, total) -> {})) {
                AnswerLoss loss =
                        AnswerLoss.measure(decoder, model.tokenizer(), List.of(question, question), (d, t) -> {});
                int[] prompt = new ChatMl().encode(question.messages(), true, model.tokenizer());
                int[] answer = model.tokenizer().encodeLiteral("assistant\ntwo");
                int[] role = model.tokenizer().encodeLiteral("assistant\n");
                int[] ids = java.util.Arrays.copyOf(prompt, prompt.length + answer.length - role.length + 1);
                System.arraycopy(answer, role.length, ids, prompt.length, answer.length - role.length);
                ids[ids.length - 1] = model.tokenizer().special("<|im_end|>").orElseThrow();
                assertEquals(ids.length, rows);
                double[] sum = {0};
                PromptLogits.run(decoder, List.of(ids), ids.length, p -> true, (position, logits) -> {
                    if (position + 1 >= prompt.length && position + 1 < ids.length) {
                        double all = 0;
                        for (int i = 0; i < logits.remaining(); i++) {
                            all += Math.exp(logits.get(i));
                        }
                        sum[0] += Math.log(all) - logits.get(ids[position + 1]);
                    }
                });
                int tokens = ids.length - prompt.length;
                assertEquals(2L * tokens, loss.tokens());
                assertEquals(Math.exp(sum[0] / tokens), loss.perplexity(), 1e-6 * loss.perplexity());
            }
        }
    }
}
