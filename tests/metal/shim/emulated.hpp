// The emulator (tests/simt) as the shim of Metal's library sees it: plain functions, as kernels are compiled as C++14 and
// the emulator is C++20.
#pragma once

#include <stddef.h>

#define EMULATED_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace emulated {

struct Position {
  unsigned block[3], grid[3], index, threads;
};
Position position();
unsigned lane();
void* shared(size_t bytes);
void barrier(const char* file, int line);
void warp_barrier(const char* file, int line);
void exchange(const void* mine, size_t bytes, const char* file, int line);
const void* received(unsigned lane);
bool add_kernel(const char* name, void (*function)(const void* args), size_t args_bytes, unsigned most_threads);

}  // namespace emulated
