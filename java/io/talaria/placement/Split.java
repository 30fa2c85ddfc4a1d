package io.talaria.placement;

/** How a model is divided among devices. */
public enum Split {
    /** The first device has everything but the experts, which are spread over all. */
    EXPERTS,
    /** Every device has layers that follow one another, whole. */
    LAYERS,
    /** The first device has everything but the experts; of each of them every device has a range of the FFN's columns. */
    FFN,
    /** Every device has a range of every layer's heads and of all experts' columns, and its part of the KV cache. */
    TENSOR
}
