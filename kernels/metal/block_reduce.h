// Sums and maxima over a block of threads, in a fixed order.
#pragma once

#include "../gpu/reduce.h"
#include "kernel.h"

// The same in all threads; `scratch` has a float per warp of the block. Ends with all having read it.
DEVICE float block_sum(Place at, float value, threadgroup float* scratch) {
  value = warp_sum(value);
  if (at.lane() == 0) scratch[at.warp()] = value;
  barrier();
  float sum = 0;
  for (uint warp = 0; warp < at.threads / 32; warp++) sum += scratch[warp];
  barrier();
  return sum;
}

DEVICE float block_max(Place at, float value, threadgroup float* scratch) {
  value = warp_max(value);
  if (at.lane() == 0) scratch[at.warp()] = value;
  barrier();
  float largest = scratch[0];
  for (uint warp = 1; warp < at.threads / 32; warp++) largest = larger(largest, scratch[warp]);
  barrier();
  return largest;
}
