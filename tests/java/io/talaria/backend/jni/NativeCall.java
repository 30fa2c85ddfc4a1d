package io.talaria.backend.jni;

/** The functions of the C ABI. */
enum NativeCall {
    BACKEND_OPEN,
    DEVICE_COUNT,
    DEVICE_GET_INFO,
    DEVICE_OPEN,
    DEVICE_CLOSE,
    DEVICE_GET_MEMORY,
    READ_BANDWIDTH,
    SYNC,
    TENSOR_NEW,
    TENSOR_FREE,
    WRITE,
    READ,
    STEP_NEW,
    STEP_APPEND,
    STEP_END,
    STEP_FREE,
    RUN,
    EVENT_NEW,
    EVENT_FREE,
    EVENT_SIGNAL,
    EVENT_WAIT,
    EVENT_ABANDON
}
