package io.talaria.cli;

import io.talaria.model.Model;
import io.talaria.tokenizer.Tokenizer;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "tokenize", mixinStandardHelpOptions = true, description = "The token ids of a text.")
final class TokenizeCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "MODEL", description = "Path of a GGUF file.")
    private String model;

    @Parameters(index = "1", paramLabel = "TEXT", description = "The text.")
    private String text;

    @Option(names = "--no-bos", description = "Leave out the token that begins a text.")
    private boolean noBos;

    @Option(names = "--no-special", description = "Read <|im_end|> and its like as plain text.")
    private boolean noSpecial;

    @Option(names = "--json", description = "One JSON object.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        try (Model opened = ModelPath.open(model)) {
            Tokenizer tokenizer = opened.tokenizer();
            int[] tokens = tokenizer.encode(text, !noBos, !noSpecial);
            if (json) {
                Json.print(Map.of("tokens", tokens));
            } else {
                for (int token : tokens) {
                    String piece = tokenizer.vocabulary().piece(token).replaceAll("\\p{Cntrl}", "?");
                    System.out.printf("%6d  %s%n", token, piece);
                }
            }
        }
        return ExitCode.OK;
    }
}
