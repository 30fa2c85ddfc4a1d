package io.talaria.safetensors;

/** The kinds of fault that reading a Hugging Face folder reports, each with what to do about it. */
public enum SafetensorsFault {
    /** The path is no folder, or has not what a model's folder has. */
    NOT_A_MODEL_FOLDER("name a folder with config.json and model.safetensors"),
    /** A file of the folder is not there. */
    FILE_MISSING("download the folder again, with all its files"),
    /** A file is a folder, a device or another thing that is not a regular file. */
    NOT_A_FILE("download the folder again, with all its files"),
    /** The file ends before something that it announces. */
    TRUNCATED(Remedy.DOWNLOAD),
    /** The file has more bytes than it announces. */
    SURPLUS(Remedy.DAMAGED),
    /** JSON, or the header of a file, that is longer than its limit. */
    JSON_TOO_LARGE(Remedy.LIMIT),
    /** Text that is not JSON, or JSON with a name twice, too deep or with too many values. */
    JSON_INVALID(Remedy.DAMAGED),
    /** JSON whose values are not of the type that they must have. */
    JSON_TYPE(Remedy.DAMAGED),
    /** More tensors than {@link SafetensorsLimits#TENSORS}. */
    TOO_MANY_TENSORS(Remedy.LIMIT),
    /** A type of numbers that Talaria does not read. */
    DTYPE_UNSUPPORTED("use the folder of this model in bfloat16, float16 or float32"),
    /** A shape that is no list of positive numbers, or whose bytes cannot be counted. */
    SHAPE_INVALID(Remedy.DAMAGED),
    /** A tensor's place that does not have the bytes of its type and shape, or lies outside the file. */
    OFFSETS_INVALID(Remedy.DAMAGED),
    /** Tensors that share bytes. */
    OVERLAP(Remedy.DAMAGED),
    /** Bytes between two tensors that belong to none. */
    GAP(Remedy.DAMAGED),
    /** An index that names a file outside of the folder, or no file of weights. */
    SHARD_NAME(Remedy.UNTRUSTED),
    /** An index and files that do not hold the same tensors. */
    INDEX_MISMATCH("download all files of the folder again from one source"),
    /** The file's length changed while it was open. */
    FILE_CHANGED("leave the folder alone while it is read, and begin again"),
    /** Values in config.json, or tensors, that make no model that Talaria runs. */
    MODEL_UNSUPPORTED("use a model of the Mixtral family"),
    /** A value of config.json that is missing or impossible. */
    CONFIG_INVALID("correct config.json, or download it again"),
    /** A tensor that the model needs and the folder lacks. */
    TENSOR_MISSING("download the folder again, with all its files"),
    /** A tensor whose shape is not the one that config.json calls for. */
    TENSOR_SHAPE("use the config.json that belongs to these weights"),
    /** A tensor that no part of the model would use. */
    TENSOR_LEFT_OVER("use a model of the Mixtral family, without additions"),
    /** Files of the tokenizer that are damaged or do something that Talaria does not do. */
    TOKENIZER("use the tokenizer.model that belongs to this model");

    private final String remedy;

    SafetensorsFault(String remedy) {
        this.remedy = remedy;
    }

    /** What a user can do, as half a sentence in the imperative. */
    public String remedy() {
        return remedy;
    }

    private static final class Remedy {
        static final String DOWNLOAD = "the file is incomplete, so download it again";
        static final String DAMAGED = "the file is damaged or was made by a faulty tool, so download it again";
        static final String LIMIT = "no known model needs that, so get the file from a source you trust";
        static final String UNTRUSTED = "get the folder from a source you trust";
    }
}
