package io.talaria.placement;

import io.talaria.quant.TensorType;
import java.io.IOException;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/** Why a model does not fit, and the nearest thing to change. */
public final class Advice {
    private Advice() {}

    /** What is too large, in GB of each device that has too little. */
    public static String problem(MemoryPlan plan) {
        boolean one = plan.shares().size() == 1;
        return plan.shares().stream()
                .filter(share -> !share.fits())
                .map(share ->
                        (one ? "it takes " : "its part on " + share.device().name() + " takes ") + problem(share))
                .collect(Collectors.joining("; "));
    }

    private static String problem(MemoryPlan.Share share) {
        return String.format(
                Locale.ROOT,
                "%.2f GB (weights %.2f, KV cache %.2f, scratch %.2f, driver %.2f) where %.2f GB are free, which is %.2f GB"
                        + " too many",
                gigabytes(share.bytes()),
                gigabytes(share.use().weights()),
                gigabytes(share.use().kv()),
                gigabytes(share.use().scratch()),
                gigabytes(share.overheadBytes()),
                gigabytes(share.device().freeBytes()),
                gigabytes(share.bytes() - share.device().freeBytes()));
    }

    /** What to do about it; the smallest change that helps. */
    public static String fix(Planner planner, PlanSetting setting) throws IOException {
        boolean wide = setting.options().kvType() != TensorType.Q8_0;
        PlanSetting narrow = setting.withKv(TensorType.Q8_0);
        if (wide && planner.fits(narrow)) {
            return "it fits with a KV cache in Q8_0 (--kv q8_0)";
        }
        OptionalInt context = planner.largestContext(setting);
        if (context.isPresent()) {
            return "it fits with a context of " + context.getAsInt();
        }
        OptionalInt narrowContext = wide ? planner.largestContext(narrow) : OptionalInt.empty();
        if (narrowContext.isPresent()) {
            return "it fits with a KV cache in Q8_0 (--kv q8_0) and a context of " + narrowContext.getAsInt();
        }
        return "use a smaller format, or add a device (--device A,B; cpu takes what others have no room for)";
    }

    private static double gigabytes(long bytes) {
        return bytes / 1e9;
    }
}
