package io.talaria.engine;

/**
 * What an engine is busy with.
 *
 * @param waiting requests whose turn has not come
 * @param running requests in work
 * @param blocks blocks of the KV cache
 * @param blocksInUse those that requests in work hold
 * @param blocksCached those, in use or not, that are found again by the tokens they hold
 */
public record Usage(int waiting, int running, int blocks, int blocksInUse, int blocksCached) {}
