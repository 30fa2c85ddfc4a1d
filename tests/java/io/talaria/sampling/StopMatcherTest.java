package io.talaria.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class StopMatcherTest {
    /** The definition: the text before the stop string that ends first, of those that end together the longest. */
    private record Expected(String text, String stop) {
        static Expected of(String text, List<String> stops) {
            for (int end = 1; end <= text.length(); end++) {
                String sofar = text.substring(0, end);
                String longest = stops.stream()
                        .filter(sofar::endsWith)
                        .max((a, b) -> a.length() - b.length())
                        .orElse(null);
                if (longest != null) {
                    return new Expected(sofar.substring(0, end - longest.length()), longest);
                }
            }
            return new Expected(text, null);
        }
    }

    /** How much of a text without stop strings can be shown: all but the longest end that one begins with. */
    private static int safe(String text, List<String> stops) {
        for (int from = 0; from < text.length(); from++) {
            String end = text.substring(from);
            if (stops.stream().anyMatch(stop -> stop.startsWith(end))) {
                return from;
            }
        }
        return text.length();
    }

    private static void check(List<String> pieces, List<String> stops) {
        StopMatcher matcher = new StopMatcher(stops);
        StringBuilder shown = new StringBuilder();
        String sofar = "";
        for (String piece : pieces) {
            shown.append(matcher.accept(piece));
            sofar += piece;
            Expected expected = Expected.of(sofar, stops);
            int length = expected.stop == null ? safe(sofar, stops) : expected.text.length();
            assertEquals(sofar.substring(0, length), shown.toString(), pieces + " " + stops);
            assertEquals(expected.stop, matcher.found());
        }
        shown.append(matcher.finish());
        assertEquals(Expected.of(sofar, stops).text, shown.toString(), pieces + " " + stops);
    }

    static Stream<Arguments> texts() {
        return Stream.of(
                Arguments.of("the end.END more", List.of("END")),
                Arguments.of("aabaabaaab", List.of("aabaaa")),
                Arguments.of("aaaaab", List.of("aab", "ab")),
                Arguments.of("abcabcabd.", List.of("abcabd", "cabx")),
                Arguments.of("one\n\ntwo", List.of("\n\n", "\n\nt")),
                Arguments.of("nothing st", List.of("stop", "things")),
                Arguments.of("xyx", List.of("x")),
                Arguments.of("no stops", List.of()));
    }

    @ParameterizedTest
    @MethodSource("texts")
    void itDoesNotMatterHowTheTextIsCut(String text, List<String> stops) {
        for (int cuts = 0; cuts < 1 << text.length() - 1; cuts++) {
            check(cut(text, cuts), stops);
        }
    }

    /** The text in pieces: bit i of the cuts is a border behind character i. */
    private static List<String> cut(String text, int cuts) {
        StringBuilder marked = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            marked.append(text.charAt(i)).append((cuts >> i & 1) == 1 ? "|" : "");
        }
        return List.of(marked.toString().split("\\|"));
    }

    @Test
    void randomTexts() {
        SplittableRandom random = new SplittableRandom(3);
        for (int i = 0; i < 3000; i++) {
            List<String> stops = Stream.generate(() -> word(random))
                    .limit(1 + random.nextInt(3))
                    .toList();
            List<String> pieces = Stream.generate(() -> word(random))
                    .limit(1 + random.nextInt(12))
                    .toList();
            check(pieces, stops);
        }
    }

    private static String word(SplittableRandom random) {
        StringBuilder word = new StringBuilder();
        for (int i = 1 + random.nextInt(6); i > 0; i--) {
            word.append("ab".charAt(random.nextInt(2)));
        }
        return word.toString();
    }

    @Test
    void wholeCharactersOnly() {
        check(List.of("go ", "🚁", "🚀", "!"), List.of("🚀"));
        check(List.of("🚁"), List.of("🚀", "🚁🚁"));
        assertThrows(IllegalArgumentException.class, () -> new StopMatcher(List.of("\ud83d")));
        assertThrows(IllegalArgumentException.class, () -> new StopMatcher(List.of("a", "")));
    }

    @Test
    void afterAStopStringNothingComes() {
        StopMatcher matcher = new StopMatcher(List.of("x"));
        assertEquals("a", matcher.accept("axb"));
        assertEquals("", matcher.accept("c") + matcher.finish());
        assertNull(new StopMatcher(List.of("x")).found());
    }
}
