package io.talaria.cli;

import io.talaria.Answer;
import io.talaria.chat.Message;
import io.talaria.chat.Role;
import io.talaria.engine.ContextFullException;
import io.talaria.engine.FinishReason;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A conversation and its commands. Answers go to standard output, everything else to standard error, so that a script
 * reads nothing but answers.
 */
final class Conversation {
    /** What may be typed instead of a message. */
    static final List<String> COMMANDS = List.of("/system", "/reset", "/stats", "/help", "/exit");

    private static final String HELP = """
            /system TEXT  instructions for the whole conversation; without TEXT, shows them
            /reset        begins a new conversation, with the same instructions
            /stats        speed of the last answer, and how long the conversation is
            /help         this list
            /exit         ends the program, as Ctrl-D does
            A line that ends in \\ goes on in the next; so does everything between \""" and \""".
            To send a message that begins with a slash, put a space before it. Ctrl-C stops an answer.""";

    private final Answerer answerer;
    private final int maxTokens;
    private final List<Message> messages = new ArrayList<>();
    private String system;
    private Answer last;

    /**
     * @param maxTokens tokens of an answer at most, as the answerer has them
     * @param system instructions for the whole conversation, or null
     */
    Conversation(Answerer answerer, int maxTokens, String system) {
        this.answerer = answerer;
        this.maxTokens = maxTokens;
        this.system = system;
    }

    /** Takes a message or command as it was typed; false if it ends the conversation. */
    boolean take(String typed) {
        if (typed.startsWith("/")) {
            return command(typed);
        }
        String text = MultiLine.message(typed);
        if (!text.isEmpty()) {
            say(text);
        }
        return true;
    }

    private boolean command(String typed) {
        String[] words = typed.strip().split("\\s+", 2);
        String rest = words.length < 2 ? "" : MultiLine.message(words[1]);
        switch (words[0].toLowerCase(Locale.ROOT)) {
            case "/system" -> instruct(rest);
            case "/reset" -> {
                messages.clear();
                last = null;
            }
            case "/stats" -> stats();
            case "/help" -> System.err.println(HELP);
            case "/exit" -> {
                return false;
            }
            default ->
                System.err.println("There is no command " + TerminalText.safe(words[0])
                        + "; /help lists them. To send this as a message, put a space before it.");
        }
        return true;
    }

    private void instruct(String text) {
        if (text.isEmpty()) {
            System.err.println(system == null ? "There are no instructions." : TerminalText.safe(system));
        } else {
            system = text;
        }
    }

    private void stats() {
        if (last == null) {
            System.err.println("Nothing has been answered yet.");
            return;
        }
        System.err.printf(
                Locale.ROOT,
                "%d tokens, of which %d were known, read at %.1f tokens/s; %d written at %.1f tokens/s%n",
                last.promptTokens(),
                last.cachedTokens(),
                last.prefillTokensPerSecond(),
                last.completionTokens(),
                last.decodeTokensPerSecond());
    }

    private void say(String text) {
        messages.add(new Message(Role.USER, text));
        Answer answer;
        try {
            answer = answerer.answer(whole(), piece -> {
                System.out.print(TerminalText.safe(piece));
                System.out.flush();
            });
        } catch (ContextFullException e) {
            messages.removeLast();
            System.err.println("talaria: " + e.getMessage() + "; /reset begins a new conversation");
            return;
        } catch (IllegalArgumentException e) {
            messages.removeLast();
            System.err.println("talaria: " + e.getMessage());
            return;
        }
        System.out.println();
        System.out.flush();
        keep(answer);
    }

    /** A stopped answer stays as far as it came; a message that got none is as if it had not been sent. */
    private void keep(Answer answer) {
        last = answer;
        if (answer.text().isEmpty() && answer.finishReason() == FinishReason.CANCELLED) {
            messages.removeLast();
            return;
        }
        messages.add(new Message(Role.ASSISTANT, answer.text()));
        if (answer.finishReason() == FinishReason.LENGTH) {
            System.err.println(
                    answer.completionTokens() < maxTokens
                            ? "The context is full: /reset begins a new conversation."
                            : "The answer was cut after " + maxTokens + " tokens; start with -n N for longer ones.");
        }
    }

    private List<Message> whole() {
        List<Message> whole = new ArrayList<>();
        if (system != null) {
            whole.add(new Message(Role.SYSTEM, system));
        }
        whole.addAll(messages);
        return whole;
    }
}
