package io.talaria.cli;

import io.talaria.backend.DeviceException;
import io.talaria.gguf.AtomicFile;
import io.talaria.model.Model;
import io.talaria.model.ModelConfig;
import io.talaria.model.ModelException;
import io.talaria.model.Placement;
import io.talaria.model.Placement.LayerPlace;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Who has what, as a file: {@code devices}, a list of names; {@code layers}, each with its {@code home}, the number of a
 * device in that list, and either {@code experts}, for each device a list of those that it has, or {@code columns}, for each
 * device how many columns of the FFN it has of every expert; with columns also {@code kv_heads}, for each device how many, if
 * attention is divided too.
 */
record PlacementFile(Path path, List<String> devices, List<JsonNode> layers) {
    private static final long MAX_BYTES = 16 << 20;

    static PlacementFile read(Path path) throws IOException {
        if (Files.size(path) > MAX_BYTES) {
            throw new ModelException(path + ": a placement has no more than " + MAX_BYTES + " bytes");
        }
        try {
            JsonNode file = JsonMapper.builder().build().readTree(Files.readAllBytes(path));
            List<String> devices = new ArrayList<>();
            for (JsonNode device : file.path("devices")) {
                devices.add(device.asString());
            }
            List<JsonNode> layers = new ArrayList<>();
            file.path("layers").forEach(layers::add);
            if (devices.isEmpty() || layers.isEmpty()) {
                throw new ModelException(path + ": a placement has 'devices' and 'layers', two lists");
            }
            return new PlacementFile(path, devices, layers);
        } catch (JacksonException e) {
            throw new ModelException(path + ": this is no JSON: " + e.getOriginalMessage());
        }
    }

    /**
     * The placement, for a model.
     *
     * @throws ModelException if it is not of this model, or an expert or a column is on two devices or on none
     */
    Placement placement(Model model) throws ModelException {
        ModelConfig config = model.config();
        if (layers.size() != config.layers()) {
            throw new ModelException(
                    path + ": it has " + layers.size() + " layers where the model has " + config.layers());
        }
        List<LayerPlace> places = new ArrayList<>();
        for (int layer = 0; layer < layers.size(); layer++) {
            JsonNode node = layers.get(layer);
            JsonNode home = node.path("home");
            if (!home.isInt() || home.asInt() < 0 || home.asInt() >= devices.size()) {
                throw bad(layer, "its 'home' is not the number of one of the " + devices.size() + " devices");
            }
            if (node.has("experts") == node.has("columns")) {
                throw bad(layer, "it has to have either 'experts' or 'columns'");
            }
            if (node.has("kv_heads") && !node.has("columns")) {
                throw bad(layer, "it has 'kv_heads', and so has to have 'columns'");
            }
            LayerPlace place = node.has("columns")
                    ? divided(layer, home.asInt(), node)
                    : new LayerPlace(home.asInt(), experts(layer, node.get("experts"), config.experts()));
            Optional<String> problem =
                    place.problem(config, model.weights().layers().get(layer), devices.size());
            if (problem.isPresent()) {
                throw bad(layer, problem.get());
            }
            places.add(place);
        }
        Placement placement = new Placement(places);
        try {
            placement.check(model, devices.size());
        } catch (DeviceException e) {
            throw new ModelException(path + ": " + e.getMessage());
        }
        return placement;
    }

    private LayerPlace divided(int layer, int home, JsonNode node) throws ModelException {
        List<Integer> columns = counts(layer, node, "columns");
        return node.has("kv_heads")
                ? LayerPlace.tensor(home, columns, counts(layer, node, "kv_heads"))
                : LayerPlace.divided(home, columns);
    }

    private List<Integer> counts(int layer, JsonNode node, String field) throws ModelException {
        JsonNode list = node.get(field);
        List<Integer> counts = new ArrayList<>();
        for (JsonNode count : list) {
            if (!count.isInt() || count.asInt() < 0) {
                throw bad(layer, count + " in '" + field + "' is no count");
            }
            counts.add(count.asInt());
        }
        if (!list.isArray() || counts.size() != devices.size()) {
            throw bad(layer, "'" + field + "' is not a number for each of the " + devices.size() + " devices");
        }
        return counts;
    }

    private List<Integer> experts(int layer, JsonNode lists, int count) throws ModelException {
        if (!lists.isArray() || lists.size() != devices.size()) {
            throw bad(layer, "'experts' is not a list for each of the " + devices.size() + " devices");
        }
        Integer[] device = new Integer[count];
        for (int i = 0; i < lists.size(); i++) {
            for (JsonNode node : lists.get(i)) {
                if (!node.isInt() || node.asInt() < 0 || node.asInt() >= count) {
                    throw bad(layer, node + " is no expert; there are 0 to " + (count - 1));
                }
                int expert = node.asInt();
                if (device[expert] != null) {
                    throw bad(layer, "expert " + expert + " is named twice");
                }
                device[expert] = i;
            }
        }
        int missing = Arrays.asList(device).indexOf(null);
        if (missing >= 0) {
            throw bad(layer, "expert " + missing + " is on no device");
        }
        return List.of(device);
    }

    private ModelException bad(int layer, String problem) {
        return new ModelException(path + ": layer " + layer + ": " + problem);
    }

    static void write(Path path, List<String> devices, Placement placement) throws IOException {
        List<Object> layers = new ArrayList<>();
        for (LayerPlace layer : placement.layers()) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("home", layer.home());
            if (layer.isDivided()) {
                entry.put("columns", layer.columns());
                if (layer.dividesAttention()) {
                    entry.put("kv_heads", layer.kvHeads());
                }
            } else {
                entry.put(
                        "experts",
                        IntStream.range(0, devices.size()).mapToObj(layer::held).toList());
            }
            layers.add(entry);
        }
        Map<String, Object> file = new LinkedHashMap<>();
        file.put("devices", devices);
        file.put("layers", layers);
        try (AtomicFile target = AtomicFile.create(path)) {
            target.write(ByteBuffer.wrap(Json.text(file).getBytes(StandardCharsets.UTF_8)));
            target.commit();
        }
    }
}
