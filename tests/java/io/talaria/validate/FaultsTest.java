package io.talaria.validate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.talaria.TestData;
import io.talaria.backend.Activations;
import io.talaria.backend.Backends;
import io.talaria.backend.Device;
import io.talaria.model.Model;
import io.talaria.quant.TensorType;
import io.talaria.validate.Check.Outcome;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Validation finds faults that are planted in a device, and blames the right verb and layer. */
class FaultsTest {
    private static final String NANO = "nano-Q4_K_M.gguf";
    private static final List<Activations> INT8 = List.of(Activations.INT8);
    /** A cache is seen through attention alone: a fault of either of these shows in both. */
    private static final Set<String> CACHE = Set.of("attentionInput", "attention");

    static List<Fault> all() {
        return Faults.ALL;
    }

    /** Those that need ties or masks, which a model does not have, aside. */
    static Stream<Fault> inModels() {
        return Faults.ALL.stream()
                .filter(fault -> fault != Faults.ROUTING_TIES_BY_HIGHER_ID
                        && fault != Faults.TOKEN_TIES_BY_HIGHER_ID
                        && fault != Faults.MASK_IGNORED);
    }

    @ParameterizedTest
    @MethodSource("all")
    void faultsOfVerbsAreFound(Fault fault) throws IOException {
        List<Check> checks = new ArrayList<>();
        try (Device reference = Backends.open("reference");
                Device faulty = new FaultyDevice(Backends.open("cpu"), fault, -1)) {
            OpValidation.run(reference, faulty, casesOf(fault.verb()), checks::add, ValidationProgress.NONE);
        }
        assertBlamed(fault, checks);
    }

    private static CaseList casesOf(String verb) {
        CaseList cases = new CaseList();
        switch (verb) {
            case "embed", "attentionOutput", "topLogits" -> ProductCases.add(cases, INT8);
            case "attentionInput", "attention" -> {
                AttentionInputCases.add(cases, INT8);
                AttentionCases.add(cases, INT8);
            }
            case "route" -> RouteCases.add(cases, INT8);
            case "experts" -> ExpertCases.add(cases, INT8);
            default -> MoveCases.add(cases, INT8);
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("inModels")
    void faultsOfLayersAreFound(Fault fault) throws IOException {
        boolean layered = !fault.verb().equals("embed") && !fault.verb().equals("topLogits");
        List<Check> checks = model(new FaultyDevice(Backends.open("cpu"), fault, layered ? 1 : -1));
        assertBlamed(fault, checks);
        for (Check check : checks) {
            assertTrue(check.ok() || !layered || check.name().startsWith("blk.1 "), check.toString());
        }
    }

    private static void assertBlamed(Fault fault, List<Check> checks) {
        List<Check> failed = checks.stream()
                .filter(check -> check.outcome() == Outcome.FAILED)
                .toList();
        Set<String> verbs = failed.stream().map(Check::verb).collect(Collectors.toSet());
        assertTrue(verbs.contains(fault.verb()), fault + " was not found");
        assertTrue(verbs.equals(Set.of(fault.verb())) || CACHE.containsAll(verbs), fault + " was blamed on " + verbs);
        assertFalse(failed.getFirst().detail().isEmpty());
    }

    private static List<Check> model(Device device) throws IOException {
        List<Check> checks = new ArrayList<>();
        try (Device tested = device;
                Device reference = Backends.open("reference");
                Model model = Model.open(TestData.golden(NANO))) {
            ModelValidation.Options options =
                    new ModelValidation.Options(OpValidation.modes(tested), TensorType.F16, 4);
            ModelValidation.run(model, reference, tested, options, checks::add, ValidationProgress.NONE);
        }
        return checks;
    }

    /** What is read from the cache is blamed on the append only with a word on the other suspect. */
    @Test
    void aWrongBlockIsSeenInTheCacheAndNotInTheQueries() throws IOException {
        List<Check> checks = model(new FaultyDevice(Backends.open("cpu"), Faults.WRONG_BLOCK, 1));
        Check first = checks.stream()
                .filter(check -> !check.ok() && check.name().contains("values"))
                .findFirst()
                .orElseThrow();
        assertTrue(
                first.name().startsWith("blk.1 attentionInput half, 4 tokens: cached values, blk.1.attn_v.weight"),
                first.name());
        assertTrue(first.detail().contains("attention, which may be what is wrong"), first.detail());
        assertTrue(checks.stream().filter(check -> check.name().contains(": q")).allMatch(Check::ok));
    }

    /** A device that does not round in int8 mode, or rounds in half mode, is not like the reference in that mode. */
    @Test
    void aModeThatIsNotKeptIsFound() throws IOException {
        for (Activations taken : new Activations[] {Activations.HALF, Activations.INT8}) {
            Activations computed = taken == Activations.HALF ? Activations.INT8 : Activations.HALF;
            List<Check> checks = model(FaultyDevice.confusing(Backends.open("cpu"), taken, computed));
            Set<String> failed = checks.stream()
                    .filter(check -> !check.ok())
                    .map(Check::group)
                    .collect(Collectors.toSet());
            String mode = OpCase.modeName(taken);
            for (String verb : new String[] {"attentionInput", "attentionOutput", "experts", "topLogits"}) {
                assertTrue(failed.contains("model: " + verb + ", " + mode), verb + " in " + failed);
            }
            assertTrue(failed.stream().allMatch(group -> group.endsWith(mode)), failed.toString());
        }
    }

    /** A row of zeros, as a kernel leaves that stops too early: the failure names the tensor. */
    @ParameterizedTest
    @CsvSource({
        "token_embd.weight, embed, token_embd.weight",
        "blk.1.attn_q.weight, attentionInput, 'q, blk.1.attn_q.weight'",
        "blk.0.attn_k.weight, attentionInput, 'cached keys, blk.0.attn_k.weight'",
        "blk.1.attn_v.weight, attentionInput, 'cached values, blk.1.attn_v.weight'",
        "blk.1.attn_output.weight, attentionOutput, blk.1.attn_output.weight",
        "blk.0.ffn_gate_inp.weight, route, blk.0",
        "blk.1.ffn_gate_exps.weight, experts, look at blk.1.ffn_gate_exps.weight and blk.1.ffn_up_exps.weight",
        "blk.1.ffn_down_exps.weight, experts, look at blk.1.ffn_down_exps.weight",
        "output.weight, topLogits, logits"
    })
    void aDroppedRowIsFoundInItsTensor(String tensor, String verb, String said) throws IOException {
        int firstToken = new SplittableRandom(ModelValidation.SEED).nextInt(512);
        int row = tensor.startsWith("token") ? firstToken : 3;
        List<Check> failed = model(FaultyDevice.dropping(Backends.open("cpu"), tensor, row)).stream()
                .filter(check -> !check.ok())
                .toList();
        assertFalse(failed.isEmpty(), tensor + " was not found");
        Set<String> verbs = failed.stream().map(Check::verb).collect(Collectors.toSet());
        assertTrue(verbs.equals(Set.of(verb)) || (CACHE.contains(verb) && CACHE.containsAll(verbs)), verbs.toString());
        Check first = failed.getFirst();
        assertTrue((first.name() + ", " + first.detail()).contains(said), first.toString());
    }

    /** What a device refuses is counted, and the verbs after it are still checked, with what the reference computes. */
    @Test
    void unsupportedWeightsAreCounted() throws IOException {
        List<Check> checks = model(FaultyDevice.without(Backends.open("cpu"), TensorType.Q8_0));
        Set<Outcome> outcomes = checks.stream().map(Check::outcome).collect(Collectors.toSet());
        assertEquals(Set.of(Outcome.PASSED, Outcome.UNSUPPORTED), outcomes);
        for (Check check : checks) {
            assertEquals(!check.ok(), CACHE.contains(check.verb()), check.toString());
            assertEquals(check.verb().equals("attentionInput"), check.detail().contains("there is no Q8_0 here"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"nano-Q4_K_M.gguf", "wide-Q6_K.gguf", "nano-split-Q4_K_M.gguf"})
    void aRightDevicePassesOnModels(String file) throws IOException {
        for (TensorType kv : new TensorType[] {TensorType.F16, TensorType.Q8_0}) {
            List<Check> checks = new ArrayList<>();
            try (Device tested = Backends.open("cpu");
                    Device reference = Backends.open("reference");
                    Model model = Model.open(TestData.golden(file))) {
                ModelValidation.Options options = new ModelValidation.Options(OpValidation.modes(tested), kv, 40);
                ModelValidation.run(model, reference, tested, options, checks::add, ValidationProgress.NONE);
                // Two modes, a prompt and a token; embed, logits and choice, and nine checks of six verbs a layer.
                assertEquals(4 * (3 + 9 * model.config().layers()), checks.size());
            }
            assertEquals(List.of(), checks.stream().filter(check -> !check.ok()).toList());
        }
    }
}
