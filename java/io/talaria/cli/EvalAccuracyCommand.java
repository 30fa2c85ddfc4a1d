package io.talaria.cli;

import io.talaria.Prompt;
import io.talaria.Talaria;
import io.talaria.backend.Device;
import io.talaria.engine.ContextFullException;
import io.talaria.eval.Accuracy;
import io.talaria.eval.Agreement;
import io.talaria.eval.AnswerLoss;
import io.talaria.eval.Question;
import io.talaria.model.Decoder;
import io.talaria.model.DecoderOptions;
import io.talaria.model.Model;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "accuracy",
        mixinStandardHelpOptions = true,
        description = "How many questions a model answers right to the letter, at temperature 0.")
final class EvalAccuracyCommand implements Callable<Integer> {
    private static final int PARALLEL = 16;
    private static final int CHUNK = 256;

    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "Path of a GGUF file. Default: the model that ships with Talaria.")
    private String model;

    @Option(
            names = "--questions",
            paramLabel = "FILE",
            description =
                    "One JSON object a line: {\"task\": …, \"messages\": [{\"role\": …, \"content\": …}], \"answer\":"
                            + " …}. Default: the questions that ship with that model, none of which it was trained on.")
    private Path questionFile;

    @Option(names = "--limit", paramLabel = "N", description = "Only the first N questions of each task.")
    private Integer limit;

    @Option(
            names = "--against",
            paramLabel = "DEVICE",
            description =
                    "Also ask on this device, such as reference, and compare: answers may differ only where it finds"
                            + " two tokens nearly alike. Returns 1 if they differ elsewhere.")
    private String against;

    @Option(names = "--perplexity", description = "Also how likely the model finds the right answers.")
    private boolean perplexity;

    @Option(names = "--wrong", description = "Also each wrong answer, with its question.")
    private boolean wrong;

    @Mixin
    private DeviceOptions devices;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        DeviceOptions.Choice choice = devices.choose();
        if (perplexity || against != null) {
            choice.device(); // their logits are read from one device
        }
        DeviceOptions.Choice other = against == null ? null : DeviceOptions.plain(against);
        List<Question> questions = questions();
        Asked asked = ask(choice, questions);
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("device", String.join(",", choice.devices()));
        put(facts, asked.accuracy);
        if (perplexity) {
            facts.put("perplexity", loss(choice, questions).perplexity());
        }
        int different = 0;
        if (other != null) {
            Asked judge = ask(other, questions);
            Agreement agreement = agreement(choice, asked, other, judge);
            Map<String, Object> compared = new LinkedHashMap<>();
            compared.put("device", other.device());
            put(compared, judge.accuracy);
            compared.put("same", agreement.same());
            compared.put("near_ties", agreement.nearTies());
            compared.put("different", agreement.different());
            facts.put("against", compared);
            different = agreement.different();
        }
        if (wrong) {
            facts.put("wrong", wrongOnes(questions, asked.accuracy));
        }
        if (json) {
            Json.print(facts);
        } else {
            EvalReport.print(facts);
        }
        return different > 0 ? ExitCode.CHECK_FAILED : ExitCode.OK;
    }

    /** The questions' token ids, and what a device answered. */
    private record Asked(List<int[]> prompts, Accuracy accuracy) {}

    private List<Question> questions() throws IOException {
        if (questionFile == null && model != null) {
            throw new BadArgumentException("--questions: name a file of questions for this model");
        }
        if (limit != null && limit < 1) {
            throw new BadArgumentException("--limit " + limit + ": write 1 or more");
        }
        List<Question> all = QuestionFile.read(questionFile == null ? ShippedModel.questions() : questionFile);
        Map<String, Integer> seen = new HashMap<>();
        return all.stream()
                .filter(question -> limit == null || seen.merge(question.task(), 1, Integer::sum) <= limit)
                .toList();
    }

    private Asked ask(DeviceOptions.Choice choice, List<Question> questions) throws IOException {
        try (Talaria talaria = choice.configure(Talaria.builder(ModelPath.openOrDefault(model)))
                .parallel(PARALLEL)
                .chunk(CHUNK)
                .kvPositions(PARALLEL * 512)
                .progress(new Progress("Loading")::at)
                .open()) {
            List<int[]> prompts = new ArrayList<>();
            questions.forEach(question -> prompts.add(talaria.encode(Prompt.chat(question.messages()))));
            return new Asked(
                    prompts,
                    Accuracy.measure(
                            talaria, questions, new Progress("Asking " + String.join(",", choice.devices()))::at));
        } catch (ContextFullException e) {
            throw new BadArgumentException("a question is too long: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private AnswerLoss loss(DeviceOptions.Choice choice, List<Question> questions) throws IOException {
        try (Model opened = ModelPath.openOrDefault(model);
                Device device = choice.open();
                Decoder decoder = decoder(opened, device, choice, AnswerLoss.rows(opened.tokenizer(), questions))) {
            return AnswerLoss.measure(decoder, opened.tokenizer(), questions, new Progress("Reading answers")::at);
        }
    }

    private Agreement agreement(DeviceOptions.Choice choice, Asked asked, DeviceOptions.Choice other, Asked judge)
            throws IOException {
        int rows = 1;
        for (int i = 0; i < asked.prompts.size(); i++) {
            rows = Math.max(
                    rows,
                    asked.prompts.get(i).length
                            + asked.accuracy.answers().get(i).tokens().size());
        }
        try (Model opened = ModelPath.openOrDefault(model);
                Device device = choice.open();
                Device reference = other.open();
                Decoder ours = decoder(opened, device, choice, rows);
                Decoder theirs = decoder(opened, reference, other, rows)) {
            return Agreement.of(asked.prompts, ours, asked.accuracy.answers(), theirs, judge.accuracy.answers());
        }
    }

    private static Decoder decoder(Model model, Device device, DeviceOptions.Choice choice, int rows)
            throws IOException {
        DecoderOptions options =
                DecoderOptions.of(choice.activations(), choice.kvType(), DecoderOptions.blocksFor(rows), rows);
        return Decoder.load(model, device, options.withLogits(), (done, total) -> {});
    }

    private static void put(Map<String, Object> facts, Accuracy accuracy) {
        facts.put("questions", accuracy.all().total());
        facts.put("right", accuracy.all().right());
        facts.put("accuracy", accuracy.all().share());
        List<Map<String, Object>> tasks = new ArrayList<>();
        accuracy.tasks().forEach((task, score) -> {
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("task", task);
            row.put("questions", score.total());
            row.put("right", score.right());
            row.put("accuracy", score.share());
            tasks.add(row);
        });
        facts.put("tasks", tasks);
    }

    private static List<Map<String, Object>> wrongOnes(List<Question> questions, Accuracy accuracy) {
        List<Map<String, Object>> wrong = new ArrayList<>();
        for (int i = 0; i < questions.size(); i++) {
            if (!accuracy.right(i)) {
                Question question = questions.get(i);
                Map<String, Object> row = new LinkedHashMap<>();
                row.put("task", question.task());
                row.put("question", question.messages().getLast().content());
                row.put("answer", accuracy.answers().get(i).text());
                row.put("wanted", question.answer());
                wrong.add(row);
            }
        }
        return wrong;
    }
}
