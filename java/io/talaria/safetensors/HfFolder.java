package io.talaria.safetensors;

import io.talaria.gguf.Printable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;

/**
 * An open Hugging Face folder: config.json, and the weights of model.safetensors or of all shards that
 * model.safetensors.index.json names. Headers are read and checked when it is opened, data by position when asked for.
 * Several threads may read at once.
 */
public final class HfFolder implements AutoCloseable {
    private static final String CONFIG = "config.json";
    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";

    private final Path folder;
    private final HfConfig config;
    private final List<Path> paths = new ArrayList<>();
    private final List<InputFile> files = new ArrayList<>();
    private final Map<String, SafetensorsTensor> tensors = new LinkedHashMap<>();

    private HfFolder(Path folder, HfConfig config) {
        this.folder = folder;
        this.config = config;
    }

    /**
     * Opens a folder and reads the headers in it.
     *
     * @throws SafetensorsException if it is not an acceptable folder
     * @throws IOException if the operating system cannot read it
     */
    public static HfFolder open(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            throw SafetensorsException.of(SafetensorsFault.NOT_A_MODEL_FOLDER, folder, "this is not a folder");
        }
        Path config = folder.resolve(CONFIG);
        if (!Files.exists(config)) {
            throw SafetensorsException.of(SafetensorsFault.NOT_A_MODEL_FOLDER, folder, "there is no " + CONFIG);
        }
        HfFolder opened = new HfFolder(folder, new HfConfig(config, JsonReader.read(config)));
        boolean complete = false;
        try {
            opened.openWeights();
            complete = true;
            return opened;
        } finally {
            if (!complete) {
                opened.close();
            }
        }
    }

    private void openWeights() throws IOException {
        Path index = folder.resolve(INDEX);
        if (Files.exists(folder.resolve(SINGLE))) {
            openShard(folder.resolve(SINGLE));
        } else if (Files.exists(index)) {
            openShards(index, weightMap(index));
        } else {
            throw SafetensorsException.of(
                    SafetensorsFault.NOT_A_MODEL_FOLDER,
                    folder,
                    "there is neither " + SINGLE + " nor " + INDEX
                            + (Files.exists(folder.resolve("pytorch_model.bin.index.json"))
                                    ? ", and weights in pytorch_model*.bin are programs that Talaria does not run"
                                    : ""));
        }
    }

    /** Which file holds each tensor. */
    private static Map<String, String> weightMap(Path index) throws IOException {
        JsonNode json = JsonReader.read(index).path("weight_map");
        if (!json.isObject()) {
            throw SafetensorsException.of(SafetensorsFault.JSON_TYPE, index, "it has no object 'weight_map'");
        }
        if (json.size() > SafetensorsLimits.TENSORS) {
            throw SafetensorsException.of(
                    SafetensorsFault.TOO_MANY_TENSORS, index, "it names " + json.size() + " tensors");
        }
        Map<String, String> map = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry : json.properties()) {
            String name = entry.getValue().isString() ? entry.getValue().asString() : "";
            // A plain name, so that no index makes Talaria read a file elsewhere.
            if (!name.matches("[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}\\.safetensors")) {
                throw SafetensorsException.of(
                        SafetensorsFault.SHARD_NAME,
                        index,
                        "tensor " + Printable.name(entry.getKey()) + " is said to lie in " + Printable.name(name)
                                + ", which is no plain name of a .safetensors file");
            }
            map.put(entry.getKey(), name);
        }
        return map;
    }

    private void openShards(Path index, Map<String, String> weightMap) throws IOException {
        TreeSet<String> names = new TreeSet<>(weightMap.values());
        if (names.size() > SafetensorsLimits.SHARDS) {
            throw SafetensorsException.of(
                    SafetensorsFault.SHARD_NAME, index, "it names " + names.size() + " files of weights");
        }
        for (String name : names) {
            openShard(folder.resolve(name));
        }
        for (SafetensorsTensor tensor : tensors.values()) {
            String file = paths.get(tensor.shard()).getFileName().toString();
            if (!file.equals(weightMap.get(tensor.name()))) {
                throw SafetensorsException.of(
                        SafetensorsFault.INDEX_MISMATCH,
                        index,
                        "it does not say that tensor " + Printable.name(tensor.name()) + " lies in " + file);
            }
        }
        for (Map.Entry<String, String> entry : weightMap.entrySet()) {
            if (!tensors.containsKey(entry.getKey())) {
                throw SafetensorsException.of(
                        SafetensorsFault.INDEX_MISMATCH,
                        index,
                        "tensor " + Printable.name(entry.getKey()) + " is not in " + entry.getValue());
            }
        }
    }

    private void openShard(Path path) throws IOException {
        InputFile file = InputFile.open(path);
        files.add(file);
        paths.add(path);
        for (SafetensorsTensor tensor : SafetensorsHeader.read(path, file, files.size() - 1)) {
            if (tensors.putIfAbsent(tensor.name(), tensor) != null) {
                throw SafetensorsException.of(
                        SafetensorsFault.INDEX_MISMATCH,
                        path,
                        "tensor " + Printable.name(tensor.name()) + " is in another file of the folder too");
            }
        }
    }

    /** The folder's path. */
    public Path path() {
        return folder;
    }

    /** What config.json says. */
    public HfConfig config() {
        return config;
    }

    /** The files of weights, in order. */
    public List<Path> paths() {
        return List.copyOf(paths);
    }

    /** All tensors, shard by shard, in the order of their places. */
    public List<SafetensorsTensor> tensors() {
        return List.copyOf(tensors.values());
    }

    /** The tensor with this name. */
    public Optional<SafetensorsTensor> tensor(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /** The path of another file of the folder, such as tokenizer.model, if it is there. */
    public Optional<Path> file(String name) {
        return Optional.of(folder.resolve(name)).filter(Files::exists);
    }

    /**
     * The object in another JSON file of the folder, such as added_tokens.json, if it is there.
     *
     * @throws SafetensorsException if that is no acceptable JSON
     */
    public Optional<JsonNode> json(String name) throws IOException {
        Optional<Path> path = file(name);
        return path.isEmpty() ? Optional.empty() : Optional.of(JsonReader.read(path.get()));
    }

    /**
     * Fills the target's remaining space with a tensor's data.
     *
     * @param offset where to begin, in bytes from the start of the tensor's data
     * @throws SafetensorsException if the file became shorter since it was opened
     */
    public void read(SafetensorsTensor tensor, long offset, ByteBuffer target) throws IOException {
        if (!tensor.equals(tensors.get(tensor.name()))) {
            throw new IllegalArgumentException("the tensor " + tensor.name() + " is not of this folder");
        }
        if (offset < 0 || offset > tensor.bytes() - target.remaining()) {
            throw new IllegalArgumentException("tensor " + tensor.name() + " has " + tensor.bytes() + " bytes, but "
                    + target.remaining() + " from " + offset + " were asked for");
        }
        files.get(tensor.shard()).fill(tensor.position() + offset, target);
    }

    @Override
    public void close() throws IOException {
        IOException first = null;
        for (InputFile file : files) {
            try {
                file.close();
            } catch (IOException e) {
                first = first == null ? e : first;
            }
        }
        if (first != null) {
            throw first;
        }
    }
}
