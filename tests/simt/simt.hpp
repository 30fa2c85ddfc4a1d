// The emulator of a GPU's thread blocks, as kernels see it (kernels/gpu/dialect.h) and as its runtime drives it
// (native/gpu/runtime_simt.cpp). Each thread of a block is a fiber; barriers and shuffles switch between them.
//
// It is strict where hardware may let things pass: all threads of a block take part in every barrier, at the same line
// of the same source, and all lanes of a hardware warp in every exchange. A thread that has returned takes part in
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace talaria::simt {

#ifndef TALARIA_SIMT_LANES
#define TALARIA_SIMT_LANES 32
#endif
constexpr uint32_t lanes = TALARIA_SIMT_LANES;  // of a hardware warp: 32 or 64
static_assert(lanes == 32 || lanes == 64);
#ifndef TALARIA_SIMT_SHARED_BYTES
#define TALARIA_SIMT_SHARED_BYTES (lanes == 32 ? 99 << 10 : 64 << 10)  // sm_86's and gfx9's
#endif
constexpr size_t most_shared_bytes = TALARIA_SIMT_SHARED_BYTES;  // of a block
constexpr size_t most_exchanged_bytes = 128;
inline bool flush_subnormals = false;  // the matrix unit takes subnormal f16 numbers for zeros, as gfx90a's does

// --- what kernels call -----------------------------------------------------------------------------------------------
// The place of a barrier or an exchange is where it is called; wrappers hand on their caller's.

#define TALARIA_SIMT_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

uint32_t thread();         // of the block
uint32_t block_threads();
uint32_t block(int axis);  // 0: x, 1: y, 2: z
uint32_t grid(int axis);
void barrier(TALARIA_SIMT_PLACE);       // all threads of the block
void warp_barrier(TALARIA_SIMT_PLACE);  // all lanes of the hardware warp
// The block's memory: the same for all its threads; NaNs when the block begins. A kernel asks for one size only.
void* shared(size_t bytes);
[[noreturn]] void misaligned(const void* address);
// A thread of a kernel that waits for what others of the host write: the time, and letting them.
uint64_t nanoseconds();
void pause(uint32_t look);
[[noreturn]] void fault(const char* what);  // whatever else a kernel may not do

// Gives `mine` (at most 128 bytes) to the other lanes of the hardware warp and returns when all have given theirs: then
// received(lane) is what that lane gave, until the next exchange of this thread.
void exchange(const void* mine, size_t bytes, TALARIA_SIMT_PLACE);
const void* received(uint32_t lane);

// What lane `lane` of this thread's logical warp of 32 gives.
template <typename T>
T shuffle(T mine, uint32_t lane, TALARIA_SIMT_PLACE) {
  static_assert(sizeof(T) <= most_exchanged_bytes);
  exchange(&mine, sizeof mine, file, line);
  T result;
  std::memcpy(&result, received(thread() % lanes / 32 * 32 + lane % 32), sizeof result);
  return result;
}

// --- what the runtime calls ------------------------------------------------------------------------------------------

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

// Runs all blocks, on several threads of the host (all cores; TALARIA_SIMT_THREADS). Throws std::runtime_error with a
// sentence when threads of a block wait at different places, when a launch does not fit the kernel, when a kernel is
// misaligned, throws, or writes past the end of its block's memory. What other blocks wrote by then stays written.
void run(const Registration& kernel, const Grid& grid, const void* args, size_t args_bytes, Order order, uint64_t seed);

// How many threads of the host take part in a run.
uint32_t host_threads();

// --- behind it -------------------------------------------------------------------------------------------------------
class Processor;

namespace detail {

// The fiber that runs on this thread of the host. A block stays on its thread, so kernels may keep the address.
struct Running {
  uint32_t thread, threads;
  uint32_t block[3], grid[3];
  unsigned char* given;           // what lanes of the hardware warp give to the exchange under way, one after another
  const unsigned char* received;  // what they gave to the last one,
  size_t received_bytes;          // so much each
  Processor* processor;
};
#if defined(__linux__) && defined(__GLIBC__)
extern thread_local __attribute__((tls_model("initial-exec"))) constinit Running running;
#else
extern thread_local constinit Running running;
#endif

// Where a thread waits.
enum class Wait : uint32_t { NOTHING, EXCHANGE, WARP_BARRIER, BARRIER, RETURNED };
void wait(Wait what, uint32_t bytes, const char* file, int line);

}  // namespace detail

inline uint32_t thread() { return detail::running.thread; }
inline uint32_t block_threads() { return detail::running.threads; }
inline uint32_t block(int axis) { return detail::running.block[axis]; }
inline uint32_t grid(int axis) { return detail::running.grid[axis]; }
inline void barrier(const char* file, int line) { detail::wait(detail::Wait::BARRIER, 0, file, line); }
inline void warp_barrier(const char* file, int line) { detail::wait(detail::Wait::WARP_BARRIER, 0, file, line); }
// Memory that a kernel asks for ahead has to be there: its ends are read, which sanitizers see.
void prefetch(const uint8_t* address, uint32_t bytes);
inline void exchange(const void* mine, size_t bytes, const char* file, int line) {
  if (bytes > most_exchanged_bytes) fault("an exchange of more than 128 bytes");
  std::memcpy(detail::running.given + thread() % lanes * bytes, mine, bytes);
  detail::wait(detail::Wait::EXCHANGE, static_cast<uint32_t>(bytes), file, line);
}
inline const void* received(uint32_t lane) {
  return detail::running.received + lane % lanes * detail::running.received_bytes;
}

}  // namespace talaria::simt
