// The emulator of a GPU's thread blocks, as kernels see it (kernels/gpu/dialect.h) and as its runtime drives it
// (native/gpu/runtime_simt.cpp). Each thread of a block is a fiber; barriers and shuffles switch between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace talaria::simt {

#ifndef TALARIA_SIMT_LANES
#define TALARIA_SIMT_LANES 32
#endif
constexpr uint32_t lanes = TALARIA_SIMT_LANES;  // of a hardware warp: 32 or 64

// --- what kernels call ------------------------------------------------------------------------------------------------

uint32_t thread();         // of the block
uint32_t block_threads();
uint32_t block(int axis);  // 0: x, 1: y, 2: z
uint32_t grid(int axis);
void barrier();            // all threads of the block
void warp_barrier();       // all lanes of the hardware warp
void* shared(size_t bytes);  // the block's memory: the same for all its threads; poisoned when the block begins
[[noreturn]] void misaligned(const void* address);

// Gives `mine` (at most 64 bytes) to the other lanes of the hardware warp and returns when all have given theirs: then
// received(lane) is what that lane gave, until the next exchange of this thread.
void exchange(const void* mine, size_t bytes);
const void* received(uint32_t lane);

// What lane `lane` of this thread's logical warp of 32 gives.
template <typename T>
T shuffle(T mine, uint32_t lane) {
  static_assert(sizeof(T) <= 64);
  exchange(&mine, sizeof mine);
  T result;
  std::memcpy(&result, received(thread() % lanes / 32 * 32 + lane % 32), sizeof result);
  return result;
}

// --- what the runtime calls -------------------------------------------------------------------------------------------

using Function = void (*)(const void* args);

// A kernel makes itself known when its library is loaded.
struct Registration {
  Registration(const char* name, Function function, size_t args_bytes, uint32_t max_threads);
  const char* name;
  Function function;
  size_t args_bytes;
  uint32_t max_threads;
  const Registration* next;
};
const Registration* find(const char* name);  // null: there is none

enum class Order { FORWARD, REVERSE, RANDOM };

struct Grid {
  uint32_t blocks[3];
  uint32_t threads;
  size_t shared_bytes;  // 0: what the kernel declares
};

// Runs all blocks, on several threads of the host. Throws std::runtime_error with a sentence when threads of a block wait
// at different places, when a launch does not fit the kernel, or when a kernel is misaligned.
void run(const Registration& kernel, const Grid& grid, const void* args, size_t args_bytes, Order order, uint64_t seed);

}  // namespace talaria::simt
