// Sums and maxima over a block of threads, in a fixed order.
#pragma once

#include "reduce.h"

// The same in all threads; `scratch` has a float per warp of the block. Ends with all having read it.
DEVICE float block_sum(float value, float* scratch) {
  value = warp_sum(value);
  if (lane_index() == 0) scratch[warp_index()] = value;
  barrier();
  float sum = 0;
  for (uint32_t warp = 0; warp < block_threads() / 32; warp++) sum += scratch[warp];
  barrier();
  return sum;
}

DEVICE float block_max(float value, float* scratch) {
  value = warp_max(value);
  if (lane_index() == 0) scratch[warp_index()] = value;
  barrier();
  float largest = scratch[0];
  for (uint32_t warp = 1; warp < block_threads() / 32; warp++) largest = larger(largest, scratch[warp]);
  barrier();
  return largest;
}
