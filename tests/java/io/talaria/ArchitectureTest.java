package io.talaria;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.Architectures;
import com.tngtech.archunit.library.dependencies.SlicesRuleDefinition;
import org.junit.jupiter.api.Test;

/** Dependencies point downwards only. */
class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("io.talaria");

    @Test
    void packagesKnowOnlyThoseBelow() {
        Architectures.layeredArchitecture()
                .consideringOnlyDependenciesInLayers()
                .layer("cli")
                .definedBy("io.talaria.cli..")
                .layer("convert")
                .definedBy("io.talaria.convert..")
                .layer("bench")
                .definedBy("io.talaria.bench..")
                .layer("validate")
                .definedBy("io.talaria.validate..")
                .layer("eval")
                .definedBy("io.talaria.eval..")
                .layer("library")
                .definedBy("io.talaria")
                .layer("engine")
                .definedBy("io.talaria.engine..")
                .layer("placement")
                .definedBy("io.talaria.placement..")
                .layer("sampling")
                .definedBy("io.talaria.sampling..")
                .layer("chat")
                .definedBy("io.talaria.chat..")
                .layer("model")
                .definedBy("io.talaria.model..")
                .layer("devices")
                .definedBy("io.talaria.backend.jni..", "io.talaria.backend.opencl..", "io.talaria.backend.reference..")
                .layer("backend")
                .definedBy("io.talaria.backend")
                .layer("safetensors")
                .definedBy("io.talaria.safetensors..")
                .layer("tokenizer")
                .definedBy("io.talaria.tokenizer..")
                .layer("gguf")
                .definedBy("io.talaria.gguf..")
                .layer("quant")
                .definedBy("io.talaria.quant..")
                .whereLayer("cli")
                .mayNotBeAccessedByAnyLayer()
                .whereLayer("convert")
                .mayOnlyBeAccessedByLayers("cli")
                .whereLayer("safetensors")
                .mayOnlyBeAccessedByLayers("convert")
                .whereLayer("bench")
                .mayOnlyBeAccessedByLayers("cli")
                .whereLayer("validate")
                .mayOnlyBeAccessedByLayers("cli")
                .whereLayer("eval")
                .mayOnlyBeAccessedByLayers("cli")
                .whereLayer("library")
                .mayOnlyBeAccessedByLayers("cli", "eval")
                .whereLayer("engine")
                .mayOnlyBeAccessedByLayers("cli", "eval", "library")
                .whereLayer("placement")
                .mayOnlyBeAccessedByLayers("cli", "library")
                .whereLayer("sampling")
                .mayOnlyBeAccessedByLayers("library", "engine")
                .whereLayer("chat")
                .mayOnlyBeAccessedByLayers("cli", "eval", "library", "engine")
                .whereLayer("model")
                .mayOnlyBeAccessedByLayers(
                        "cli", "eval", "library", "engine", "placement", "bench", "validate", "convert")
                .whereLayer("devices")
                .mayNotBeAccessedByAnyLayer()
                .whereLayer("backend")
                .mayOnlyBeAccessedByLayers(
                        "cli", "library", "bench", "validate", "engine", "placement", "model", "devices")
                .whereLayer("tokenizer")
                .mayOnlyBeAccessedByLayers("cli", "eval", "library", "engine", "model", "chat", "convert")
                .whereLayer("gguf")
                .mayOnlyBeAccessedByLayers("cli", "model", "tokenizer", "bench", "convert", "safetensors")
                .check(CLASSES);
    }

    @Test
    void thereAreNoCycles() {
        SlicesRuleDefinition.slices()
                .matching("io.talaria.(**)")
                .should()
                .beFreeOfCycles()
                .check(CLASSES);
    }

    /** The formats, and choosing among numbers, know nothing of what uses them, nor of any library. */
    @Test
    void theBottomStandsAlone() {
        noClasses()
                .that()
                .resideInAnyPackage("io.talaria.quant..", "io.talaria.gguf..", "io.talaria.tokenizer..")
                .should()
                .dependOnClassesThat()
                .resideOutsideOfPackages("io.talaria.quant..", "io.talaria.gguf..", "io.talaria.tokenizer..", "java..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("io.talaria.sampling..")
                .should()
                .dependOnClassesThat()
                .resideOutsideOfPackages("io.talaria.sampling..", "java..")
                .check(CLASSES);
    }

    /** JavaCPP, JOCL and the command line stay behind a package each; JSON is the business of those who read or print it. */
    @Test
    void librariesStayWhereTheyBelong() {
        only("io.talaria.backend.jni..", "org.bytedeco..").check(CLASSES);
        only("io.talaria.backend.opencl..", "org.jocl..").check(CLASSES);
        only("io.talaria.cli..", "picocli..").check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackages("io.talaria.cli..", "io.talaria.safetensors..", "io.talaria.convert..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("tools.jackson..")
                .check(CLASSES);
        only("io.talaria.cli..", "org.jline..").check(CLASSES);
    }

    private static ArchRule only(String user, String library) {
        return noClasses()
                .that()
                .resideOutsideOfPackage(user)
                .should()
                .dependOnClassesThat()
                .resideInAPackage(library);
    }

    /** Nothing unpacks objects from bytes, and only the command line may end the process. */
    @Test
    void nothingIsDeserialisedAndNobodyExits() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .areAssignableTo(java.io.ObjectInputStream.class)
                .check(CLASSES);
        noClasses()
                .that()
                .doNotHaveFullyQualifiedName("io.talaria.cli.Main")
                .should()
                .callMethod(System.class, "exit", int.class)
                .check(CLASSES);
    }
}
