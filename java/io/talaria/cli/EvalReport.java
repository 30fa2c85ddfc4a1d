package io.talaria.cli;

import java.util.List;
import java.util.Map;

/** What {@link EvalAccuracyCommand} found, for people: the same facts as its JSON. */
final class EvalReport {
    private EvalReport() {}

    @SuppressWarnings("unchecked")
    static void print(Map<String, Object> facts) {
        Map<String, Object> against = (Map<String, Object>) facts.get("against");
        System.out.printf("%-12s %9s %9s%s%n", "task", "questions", facts.get("device"), column(against, "device"));
        List<Map<String, Object>> tasks = (List<Map<String, Object>>) facts.get("tasks");
        for (int i = 0; i < tasks.size(); i++) {
            line(
                    (String) tasks.get(i).get("task"),
                    tasks.get(i),
                    against == null ? null : ((List<Map<String, Object>>) against.get("tasks")).get(i));
        }
        line("all", facts, against);
        if (facts.containsKey("perplexity")) {
            System.out.printf("perplexity of the right answers: %.4f%n", facts.get("perplexity"));
        }
        if (against != null) {
            System.out.printf(
                    "%d answers are the same, %d part where two tokens are nearly alike, %d elsewhere%n",
                    against.get("same"), against.get("near_ties"), against.get("different"));
        }
        for (Map<String, Object> row : (List<Map<String, Object>>) facts.getOrDefault("wrong", List.of())) {
            System.out.printf(
                    "%s: %s%n  answered %s%n  wanted   %s%n",
                    row.get("task"),
                    TerminalText.safe((String) row.get("question")),
                    TerminalText.safe((String) row.get("answer")),
                    TerminalText.safe((String) row.get("wanted")));
        }
    }

    private static void line(String task, Map<String, Object> score, Map<String, Object> other) {
        System.out.printf(
                "%-12s %9d %7.1f %%%s%n",
                TerminalText.safe(task),
                score.get("questions"),
                100 * (double) score.get("accuracy"),
                other == null ? "" : "%10.1f %%".formatted(100 * (double) other.get("accuracy")));
    }

    private static String column(Map<String, Object> against, String field) {
        return against == null ? "" : " %11s".formatted(against.get(field));
    }
}
