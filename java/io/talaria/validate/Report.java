package io.talaria.validate;

import io.talaria.validate.Check.Outcome;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** All checks of a validation, and what they come to. */
public final class Report {
    private final List<Check> checks = new ArrayList<>();

    /**
     * The checks of one group.
     *
     * @param worst the check that failed, or came nearest to its bound; empty if all are unsupported
     */
    public record Group(String name, long passed, long failed, long unsupported, Optional<Check> worst) {}

    public void add(Check check) {
        checks.add(check);
    }

    public List<Check> checks() {
        return List.copyOf(checks);
    }

    public long count(Outcome outcome) {
        return count(checks, outcome);
    }

    /** Over all checks. */
    public long nearTies() {
        return checks.stream().mapToLong(Check::nearTies).sum();
    }

    private static long count(List<Check> checks, Outcome outcome) {
        return checks.stream().filter(check -> check.outcome() == outcome).count();
    }

    /** The first check with this outcome, in the order in which a token meets the verbs. */
    public Optional<Check> first(Outcome outcome) {
        return checks.stream().filter(check -> check.outcome() == outcome).findFirst();
    }

    /** In the order of their first checks. */
    public List<Group> groups() {
        Map<String, List<Check>> byGroup = new LinkedHashMap<>();
        for (Check check : checks) {
            byGroup.computeIfAbsent(check.group(), name -> new ArrayList<>()).add(check);
        }
        List<Group> groups = new ArrayList<>();
        byGroup.forEach((name, own) -> groups.add(new Group(
                name,
                count(own, Outcome.PASSED),
                count(own, Outcome.FAILED),
                count(own, Outcome.UNSUPPORTED),
                own.stream()
                        .filter(check -> check.outcome() != Outcome.UNSUPPORTED)
                        .max((a, b) -> Double.compare(nearness(a), nearness(b))))));
        return groups;
    }

    /** Error in bounds; a bound of 0 allows no error. */
    private static double nearness(Check check) {
        return check.nmse() == 0 ? 0 : check.nmse() / check.bound();
    }
}
