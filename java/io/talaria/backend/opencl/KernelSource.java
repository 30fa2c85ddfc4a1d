package io.talaria.backend.opencl;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The kernels' sources, which are resources: a file with what it includes in place of the directives. */
final class KernelSource {
    private static final Pattern INCLUDE = Pattern.compile("#include \"([^\"]+)\"");

    private KernelSource() {}

    /** The text of a file below {@code kernels}, such as {@code opencl/norm.cl}. Each header comes once. */
    static String read(String path) {
        StringBuilder text = new StringBuilder();
        append(Path.of(path), text, new HashSet<>());
        return text.toString();
    }

    private static void append(Path path, StringBuilder text, Set<Path> seen) {
        if (!seen.add(path)) {
            return;
        }
        text.append("#line 1 \"").append(path.getFileName()).append("\"\n");
        int number = 0;
        for (String line : lines(path)) {
            number++;
            Matcher include = INCLUDE.matcher(line);
            if (include.matches()) {
                append(path.resolveSibling(include.group(1)).normalize(), text, seen);
                text.append("#line ")
                        .append(number + 1)
                        .append(" \"")
                        .append(path.getFileName())
                        .append("\"\n");
            } else {
                text.append(line).append('\n');
            }
        }
    }

    private static Iterable<String> lines(Path path) {
        String name = "kernels/" + path.toString().replace('\\', '/');
        try (InputStream in = KernelSource.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("this build of Talaria lacks " + name);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
        } catch (IOException e) {
            throw new IllegalStateException(name + " cannot be read: " + e.getMessage(), e);
        }
    }
}
