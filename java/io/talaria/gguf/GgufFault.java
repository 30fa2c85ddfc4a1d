package io.talaria.gguf;

/** The kinds of fault that reading or writing a GGUF file reports, each with what to do about it. */
public enum GgufFault {
    /** The path names nothing. */
    FILE_NOT_FOUND("check the path"),
    /** The path names a directory, a device or another thing that is not a regular file. */
    NOT_A_FILE("name a .gguf file"),
    /** The operating system refuses to open the file. */
    FILE_UNREADABLE("check its permissions"),
    /** The file has no bytes. */
    FILE_EMPTY(Remedy.DOWNLOAD),
    /** The file does not begin with the four bytes of GGUF. */
    BAD_MAGIC("name a .gguf file"),
    /** GGUF version 1, whose counts have 32 bits. */
    VERSION_1("convert the model again with a current tool"),
    /** A GGUF file for big-endian machines. */
    BIG_ENDIAN("use the little-endian file of this model"),
    /** A version number that is neither 2 nor 3. */
    VERSION_UNSUPPORTED("use a file of GGUF version 2 or 3"),
    /** The file ends before something that its header announces. */
    HEADER_TRUNCATED(Remedy.DOWNLOAD),
    /** The header is longer than {@link GgufLimits#HEADER_BYTES}. */
    HEADER_TOO_LARGE(Remedy.LIMIT),
    /** More keys than {@link GgufLimits#KEYS}. */
    TOO_MANY_KEYS(Remedy.LIMIT),
    /** More tensors than {@link GgufLimits#TENSORS}. */
    TOO_MANY_TENSORS(Remedy.LIMIT),
    /** An empty key or one longer than {@link GgufLimits#KEY_BYTES}. */
    KEY_LENGTH(Remedy.DAMAGED),
    /** The same key twice. */
    KEY_DUPLICATE(Remedy.DAMAGED),
    /** Text that is not UTF-8. */
    TEXT_NOT_UTF8(Remedy.DAMAGED),
    /** A value type or array element type that GGUF does not define. */
    VALUE_TYPE_UNKNOWN(Remedy.DAMAGED),
    /** A bool that is neither 0 nor 1. */
    BOOL_INVALID(Remedy.DAMAGED),
    /** A string longer than {@link GgufLimits#STRING_BYTES}. */
    STRING_TOO_LONG(Remedy.LIMIT),
    /** An array with more elements than {@link GgufLimits#ARRAY_ELEMENTS}. */
    ARRAY_TOO_LONG(Remedy.LIMIT),
    /** An array of arrays. */
    ARRAY_NESTED("convert the model without nested arrays"),
    /** An alignment that is not a power of two from 8 to 65,536. */
    ALIGNMENT_INVALID(Remedy.DAMAGED),
    /** A tensor name that is empty or longer than {@link GgufLimits#NAME_BYTES}. */
    TENSOR_NAME_LENGTH(Remedy.DAMAGED),
    /** The same tensor name twice. */
    TENSOR_DUPLICATE(Remedy.DAMAGED),
    /** A tensor with no dimension or more than four. */
    TENSOR_DIMENSIONS(Remedy.DAMAGED),
    /** A tensor with a dimension of zero. */
    TENSOR_DIMENSION_ZERO(Remedy.DAMAGED),
    /** A tensor whose elements or bytes cannot be counted in 63 bits. */
    TENSOR_TOO_LARGE(Remedy.DAMAGED),
    /** A tensor type number that no GGUF type known to Talaria has. */
    TENSOR_TYPE_UNKNOWN(Remedy.OTHER_TYPE),
    /** A tensor type that GGUF has removed. */
    TENSOR_TYPE_REMOVED("quantise the model again with a current tool"),
    /** A tensor type that GGUF defines and Talaria does not read. */
    TENSOR_TYPE_UNSUPPORTED(Remedy.OTHER_TYPE),
    /** A tensor row that does not fill whole blocks of its type. */
    TENSOR_ROW_NOT_BLOCKS(Remedy.DAMAGED),
    /** A tensor offset that is not a multiple of the alignment. */
    TENSOR_OFFSET_UNALIGNED(Remedy.DAMAGED),
    /** A tensor that lies before the one listed before it. */
    TENSOR_OFFSET_ORDER(Remedy.DAMAGED),
    /** A tensor that shares bytes with the one listed before it. */
    TENSOR_OVERLAP(Remedy.DAMAGED),
    /** A tensor that ends behind the end of the file. */
    TENSOR_OUTSIDE_FILE(Remedy.DOWNLOAD),
    /** A key that a model needs and that the file lacks. */
    KEY_MISSING(Remedy.DAMAGED),
    /** A key with another type than the one that GGUF defines for it. */
    KEY_TYPE(Remedy.DAMAGED),
    /** A key whose value is outside what is possible. */
    KEY_VALUE(Remedy.DAMAGED),
    /** A key whose value is right but asks for something that Talaria does not do. */
    KEY_UNSUPPORTED("use a model of the Mixtral family"),
    /** A shard of a split model whose file name does not fit its place. */
    SHARD_NAME("give the shards the names that they were published with"),
    /** A shard of a split model other than the first was opened. */
    SHARD_NOT_FIRST("open the first shard"),
    /** A sibling shard is not there. */
    SHARD_MISSING("put all shards into one folder"),
    /** Shards that do not belong together. */
    SHARD_MISMATCH("download all shards again from one source"),
    /** The file's length changed while it was open. */
    FILE_CHANGED("leave the file alone while it is open, and open it again"),
    /** A read outside a tensor. */
    READ_OUTSIDE_TENSOR("read within the tensor"),
    /** A tensor's data that is shorter or longer than its type and shape say, while writing. */
    DATA_LENGTH("supply exactly the tensor's bytes");

    private final String remedy;

    GgufFault(String remedy) {
        this.remedy = remedy;
    }

    /** What a user can do, as half a sentence in the imperative. */
    public String remedy() {
        return remedy;
    }

    private static final class Remedy {
        static final String DOWNLOAD = "the file is incomplete, so download or convert it again";
        static final String DAMAGED =
                "the file is damaged or was made by a faulty tool, so download or convert it again";
        static final String OTHER_TYPE = "use another quantisation of this model, such as Q4_K_M";
        static final String LIMIT = "no known model needs that, so get the file from a source you trust";
    }
}
