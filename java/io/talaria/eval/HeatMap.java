package io.talaria.eval;

import java.util.Locale;

/** A picture of {@link ExpertUse}, as a self-contained SVG: a row for each layer, a cell for each expert. */
final class HeatMap {
    private static final int CELL_WIDTH = 58;
    private static final int CELL_HEIGHT = 30;
    private static final int LEFT = 90;
    private static final int TOP = 96;

    private HeatMap() {}

    /**
     * @param used experts per token, so that a colour can say what is more or less than an even share
     */
    static String svg(String title, ExpertUse use, int used) {
        int width = Math.max(560, LEFT + use.experts() * CELL_WIDTH + 20);
        int height = TOP + use.layers() * CELL_HEIGHT + 20;
        double even = (double) used / use.experts();
        StringBuilder svg = new StringBuilder();
        svg.append(format(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">%n"
                        + "<style>text{font:13px system-ui,-apple-system,\"Segoe UI\",sans-serif;fill:#1c2733}"
                        + ".title{font-size:16px;font-weight:600}.faint{fill:#5b6b7b}</style>%n"
                        + "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#ffffff\"/>%n",
                width, height, escape(title)));
        text(svg, "title", 20, 32, "start", title);
        String legend =
                "share of %,d tokens that chose an expert; an even share is %s".formatted(use.tokens(), percent(even));
        text(svg, "faint", 20, 54, "start", legend);
        for (int expert = 0; expert < use.experts(); expert++) {
            text(svg, "faint", LEFT + expert * CELL_WIDTH + CELL_WIDTH / 2, TOP - 8, "middle", "expert " + expert);
        }
        for (int layer = 0; layer < use.layers(); layer++) {
            int y = TOP + layer * CELL_HEIGHT;
            text(svg, "faint", LEFT - 10, y + CELL_HEIGHT / 2 + 5, "end", "layer " + layer);
            for (int expert = 0; expert < use.experts(); expert++) {
                cell(svg, LEFT + expert * CELL_WIDTH, y, use.share(layer, expert), even);
            }
        }
        return svg.append("</svg>\n").toString();
    }

    private static void cell(StringBuilder svg, int x, int y, double share, double even) {
        // White at nothing, the full colour at twice the even share or more.
        double strength = Math.min(1, share / (2 * even));
        svg.append(format(
                "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\" fill=\"#1f6fb8\" fill-opacity=\"%.3f\"/>%n",
                x + 1, y + 1, CELL_WIDTH - 2, CELL_HEIGHT - 2, 0.04 + 0.9 * strength));
        svg.append(format(
                "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\"%s>%s</text>%n",
                x + CELL_WIDTH / 2,
                y + CELL_HEIGHT / 2 + 5,
                strength > 0.6 ? " style=\"fill:#ffffff\"" : "",
                percent(share)));
    }

    private static void text(StringBuilder svg, String style, int x, int y, String anchor, String text) {
        svg.append(format(
                "<text class=\"%s\" x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>%n",
                style, x, y, anchor, escape(text)));
    }

    private static String percent(double share) {
        return format("%.1f %%", 100 * share);
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
