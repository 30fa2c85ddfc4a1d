// Sums and maxima over warps and blocks, in a fixed order.
#pragma once

#include "dialect.h"

// The same in all 32 lanes.
DEVICE float warp_sum(float value) {
  UNROLL
  for (uint32_t step = 16; step > 0; step /= 2) value += shuffle_xor(value, step);
  return value;
}

DEVICE float larger(float a, float b) { return a > b ? a : b; }

DEVICE float warp_max(float value) {
  UNROLL
  for (uint32_t step = 16; step > 0; step /= 2) value = larger(value, shuffle_xor(value, step));
  return value;
}

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
