// What all .metal files begin with: how a kernel is declared, and where its threads find themselves.
//
// Kernels have the names, the arguments and the order of sums of kernels/gpu. What a lane computes by itself is the same
// source: the headers of kernels/gpu. How the threads of a block share their work is written here anew, for Metal tells
// a thread where it is by parameters of the kernel alone, and its blocks have 32 KB of memory.
#pragma once

#include "../gpu/dialect.h"

struct Place {
  uint3 block, grid;     // of the grid, and its size
  uint index, threads;   // of the block, and its size
  uint lane() const { return index & 31; }
  uint warp() const { return index >> 5; }
};

#if !defined(KERNEL)  // the emulator has its own (tests/metal)
// A kernel: KERNEL(name, Args, threads) { body, with the args struct as `a` and the thread's place as HERE }
#define KERNEL(name, Args, most_threads)                                                                               \
  [[kernel, max_total_threads_per_threadgroup(most_threads)]] void talaria_##name(                                     \
      constant Args& a [[buffer(0)]], uint3 block_at [[threadgroup_position_in_grid]],                                 \
      uint3 grid_size [[threadgroups_per_grid]], uint3 block_size [[threads_per_threadgroup]],                         \
      uint index_in_block [[thread_index_in_threadgroup]])
// Memory that the threads of a block share; contents undefined. One per kernel, first in its body.
#define SHARED(Type, name) threadgroup Type name
#endif
#define HERE \
  Place { block_at, grid_size, index_in_block, block_size.x }
