// Sums and maxima over warps, in a fixed order.
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
