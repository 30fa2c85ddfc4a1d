package io.talaria.backend;

/**
 * What is known of a device without opening it.
 *
 * @param device the name that users type, such as {@code cuda:0}
 * @param name what the hardware calls itself
 * @param memoryBytes its memory; for devices that use the host's, that
 * @param freeBytes what of it is free now
 * @param activationBlock values per block when activations are rounded to int8: 32 or 256
 */
public record DeviceInfo(String device, String name, long memoryBytes, long freeBytes, int activationBlock) {}
