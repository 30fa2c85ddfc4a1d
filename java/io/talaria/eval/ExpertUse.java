package io.talaria.eval;

import java.util.Locale;

/**
 * Which experts the router chose: for each layer how often each was, which were chosen together, and how often an expert
 * served the token before as well.
 */
public final class ExpertUse {
    private final long[] tokens; // [layers]
    private final long[][] chosen; // [layers][experts]
    private final long[][] repeated; // [layers][experts], of those the tokens whose neighbour before chose it too
    private final long[][][] together; // [layers][experts][experts], in both directions

    public ExpertUse(int layers, int experts) {
        tokens = new long[layers];
        chosen = new long[layers][experts];
        repeated = new long[layers][experts];
        together = new long[layers][experts][experts];
    }

    /**
     * Counts neighbouring tokens of one text.
     *
     * @param experts {@code [tokens][K]}, what a layer chose for them
     */
    public void add(int layer, int[][] experts) {
        tokens[layer] += experts.length;
        for (int row = 0; row < experts.length; row++) {
            for (int expert : experts[row]) {
                chosen[layer][expert]++;
                if (row > 0 && contains(experts[row - 1], expert)) {
                    repeated[layer][expert]++;
                }
                for (int other : experts[row]) {
                    if (other != expert) {
                        together[layer][expert][other]++;
                    }
                }
            }
        }
    }

    private static boolean contains(int[] experts, int wanted) {
        for (int expert : experts) {
            if (expert == wanted) {
                return true;
            }
        }
        return false;
    }

    public int layers() {
        return chosen.length;
    }

    public int experts() {
        return chosen[0].length;
    }

    /** Tokens that were counted, in each layer. */
    public long tokens() {
        return tokens[0];
    }

    /** Of all tokens the share that chose this expert, 0 to 1; the shares of a layer add up to the experts per token. */
    public double share(int layer, int expert) {
        return (double) chosen[layer][expert] / tokens[layer];
    }

    /** The smallest share of any expert in any layer. */
    public double leastShare() {
        double least = 1;
        for (int layer = 0; layer < layers(); layer++) {
            for (int expert = 0; expert < experts(); expert++) {
                least = Math.min(least, share(layer, expert));
            }
        }
        return least;
    }

    /** Of an expert's tokens the share whose neighbour before chose it too. */
    public double repeatedShare(int layer, int expert) {
        return chosen[layer][expert] == 0 ? 0 : (double) repeated[layer][expert] / chosen[layer][expert];
    }

    /** One line per layer and expert; {@code with_N}: tokens that chose it together with expert N. */
    public String csv() {
        StringBuilder csv = new StringBuilder("layer,expert,tokens,share,after_itself");
        for (int expert = 0; expert < experts(); expert++) {
            csv.append(",with_").append(expert);
        }
        csv.append('\n');
        for (int layer = 0; layer < layers(); layer++) {
            for (int expert = 0; expert < experts(); expert++) {
                csv.append(String.format(
                        Locale.ROOT,
                        "%d,%d,%d,%.6f,%.6f",
                        layer,
                        expert,
                        chosen[layer][expert],
                        share(layer, expert),
                        repeatedShare(layer, expert)));
                for (long count : together[layer][expert]) {
                    csv.append(',').append(count);
                }
                csv.append('\n');
            }
        }
        return csv.toString();
    }

    /**
     * A picture of it.
     *
     * @param title what was counted
     * @param used experts per token
     */
    public String svg(String title, int used) {
        return HeatMap.svg(title, this, used);
    }
}
