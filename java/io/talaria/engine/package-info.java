/** Many texts over one decoder: requests, batches, blocks of the KV cache, and those that texts share. */
package io.talaria.engine;
