package io.talaria.bench;

import java.util.Locale;
import java.util.OptionalDouble;

/**
 * A picture of what each verb reads per second, beside what the memory could give: a self-contained SVG. Decoding one token
 * does about two operations per byte, far left of the ridge of any device's roofline, so that its roof is the bandwidth.
 */
public final class Roofline {
    private static final int WIDTH = 860;
    private static final int LEFT = 150;
    private static final int PLOT = 440;
    private static final int TOP = 84;
    private static final int ROW = 34;
    private static final int BAR = 22;
    private static final int BELOW = 58;
    /** Dark on light, or the other way round where the viewer prefers it; the ground is painted, so both can be read. */
    private static final String STYLE = """
            <style>
            .ground{fill:#ffffff}.text{fill:#1c2733}.faint{fill:#5b6b7b}.bar{fill:#2f6fb3}.track{fill:#e6ebf0}
            .measured{stroke:#b8500f;stroke-width:2}.nominal{stroke:#5b6b7b;stroke-width:2;stroke-dasharray:5 4}
            .measuredText{fill:#b8500f}
            text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif}.title{font-size:16px;font-weight:600}
            @media (prefers-color-scheme: dark){.ground{fill:#14191f}.text{fill:#e6ebf0}.faint{fill:#9fb0c0}
            .bar{fill:#5b9be0}.track{fill:#252e38}.measured{stroke:#f0924c}.measuredText{fill:#f0924c}
            .nominal{stroke:#9fb0c0}}
            </style>
            """;

    private Roofline() {}

    /**
     * Draws the picture.
     *
     * @param title what was measured, on what
     * @param measured bytes per second, in 10^9, that the device reads at best
     * @param nominal what its memory was built for, if that is known
     */
    public static String svg(String title, OpBench.Ops ops, OptionalDouble measured, OptionalDouble nominal) {
        double largest = Math.max(measured.orElse(0), nominal.orElse(0));
        for (OpBench.Op op : ops.ops()) {
            largest = Math.max(largest, op.gigabytesPerSecond());
        }
        double scale = PLOT / Math.max(largest, 1e-9);
        int bottom = TOP + ROW * ops.ops().size();
        StringBuilder svg = new StringBuilder();
        svg.append("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">%n"
                .formatted(WIDTH, bottom + BELOW, escape(title)));
        svg.append(STYLE);
        svg.append("<rect class=\"ground\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n");
        text(svg, "text title", 20, 32, "start", title);
        text(svg, "faint", 20, 54, "start", "GB/s per verb of one token; beside it its time in all layers");
        for (int i = 0; i < ops.ops().size(); i++) {
            bar(svg, ops.ops().get(i), TOP + ROW * i, scale, ops.sum());
        }
        nominal.ifPresent(roof -> line(svg, "nominal", LEFT + roof * scale, bottom));
        measured.ifPresent(roof -> line(svg, "measured", LEFT + roof * scale, bottom));
        text(svg, "measuredText", LEFT, bottom + 22, "start", roof("measured", measured));
        text(svg, "faint", LEFT + PLOT / 2, bottom + 22, "start", roof("nominal", nominal));
        String whole = "all verbs %s, the whole token %s"
                .formatted(microseconds(ops.sum()), microseconds(ops.tokenMicroseconds()));
        text(svg, "text", LEFT, bottom + 44, "start", whole);
        return svg.append("</svg>\n").toString();
    }

    private static void bar(StringBuilder svg, OpBench.Op op, int top, double scale, double sum) {
        int middle = top + BAR / 2 + 5;
        text(svg, "text", LEFT - 10, middle, "end", op.verb().toString());
        rect(svg, "track", top, PLOT);
        if (op.bytes() > 0) {
            rect(svg, "bar", top, op.gigabytesPerSecond() * scale);
        }
        String rate = op.bytes() > 0 ? number(op.gigabytesPerSecond()) + " GB/s, " : "";
        String label = rate + microseconds(op.microseconds()) + number(100 * op.microseconds() / sum, ", %.0f %%");
        text(svg, "text", LEFT + PLOT + 12, middle, "start", label);
    }

    private static void rect(StringBuilder svg, String style, int top, double width) {
        svg.append(number(
                width,
                "<rect class=\"" + style + "\" x=\"" + LEFT + "\" y=\"" + top + "\" height=\"" + BAR
                        + "\" width=\"%.1f\" rx=\"2\"/>%n"));
    }

    private static void line(StringBuilder svg, String style, double x, int bottom) {
        svg.append("<line class=\"%s\" x1=\"%s\" x2=\"%2$s\" y1=\"%d\" y2=\"%d\"/>%n"
                .formatted(style, number(x), TOP - 8, bottom));
    }

    private static void text(StringBuilder svg, String style, int x, int y, String anchor, String text) {
        svg.append("<text class=\"%s\" x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>%n"
                .formatted(style, x, y, anchor, escape(text)));
    }

    private static String roof(String what, OptionalDouble roof) {
        return what + " bandwidth: " + (roof.isPresent() ? number(roof.getAsDouble()) + " GB/s" : "unknown");
    }

    private static String microseconds(double value) {
        return number(value, value < 100 ? "%.1f µs" : "%.0f µs");
    }

    private static String number(double value) {
        return number(value, "%.1f");
    }

    private static String number(double value, String format) {
        return String.format(Locale.ROOT, format, value);
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
