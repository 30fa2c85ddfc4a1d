// What the verbs' launch logic needs of a GPU: memory, copies, kernels, events. One implementation per kind of device.
//
// A Runtime is one device with one stream: everything is queued there in order, unless a function says that it waits.
// Calls come one at a time, from any thread. Functions throw Fault (fault.hpp): OUT_OF_MEMORY leaves the device usable,
// LOST does not.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../../kernels/gpu/launch_args.h"
#include "../common/fault.hpp"

namespace talaria::gpu {

// Every kernel by name: what kernels.def lists.
enum class Kernel : int32_t {
#define TALARIA_GPU_KERNEL(name, needs) name,
#include "../../kernels/gpu/kernels.def"
#undef TALARIA_GPU_KERNEL
  count
};
const char* kernel_name(Kernel kernel);
uint32_t kernel_needs(Kernel kernel);  // what of Needs a device must have to run it

// What a kernel needs beyond the 32-lane subset that every device has. A kernel is there if its device has all of it.
enum Needs : uint32_t {
  ANY = 0,
  MMA_INT8 = 1,   // mma of 16 rows on int8 and ldmatrix: sm_75 and later
  MMA_F16 = 2,    // mma of 16 rows on f16: sm_75 and later
  MFMA = 4,       // gfx908, gfx90a: 64 lanes
  WMMA = 8,       // gfx11
  SIMDGROUP = 16,  // matrices of a simdgroup: Apple's GPUs, whose `tile` kernels have smaller tiles
  EXCHANGE = 32,   // kernels that read and write the host's memory and wait for what others write there
  HMMA = 64,       // mma.m8n8k4 on f16: sm_70 and sm_72
};

struct Properties {
  std::string name;          // what the hardware calls itself
  std::string architecture;  // sm_90, gfx908, simt32
  int64_t memory_bytes = 0;
  int64_t page_bytes = 256;  // that the driver hands out for what is not small
  int32_t processors = 0;    // multiprocessors, compute units
  int32_t lanes = 32;        // of a hardware warp
  int64_t shared_bytes = 48 << 10;  // of a block, at most
  uint32_t needs = ANY;      // what it has of Needs
  int32_t copy_blocks = 64;  // that copy many rows between devices, at most
  bool dependent_launch = false;    // programmatic dependent launch: sm_90 and later
  bool host_runs = false;   // launches run on the thread that makes them, which is then the queue's own: the emulator
  int32_t compute = 0;       // CUDA: 90 for sm_90; HIP: 0x908 for gfx908; else 0
};

// One launch of a kernel: everything that does not change between runs of a step.
struct Launch {
  Kernel kernel = Kernel::count;
  uint32_t grid[3] = {1, 1, 1};
  uint32_t threads = 0;
  uint32_t shared_bytes = 0;  // dynamic; 0 where the kernel declares what it uses
  // May begin while the launch before it ends: it calls dependency_wait() before it touches what others write.
  bool dependent = false;
  uint32_t args_bytes = 0;
  alignas(16) uint8_t args[384];

  template <typename Args>
  static Launch of(Kernel kernel, uint32_t x, uint32_t y, uint32_t z, uint32_t threads, const Args& args) {
    static_assert(sizeof(Args) <= sizeof Launch::args && std::is_trivially_copyable_v<Args>);
    Launch launch;
    launch.kernel = kernel;
    launch.grid[0] = x, launch.grid[1] = y, launch.grid[2] = z;
    launch.threads = threads;
    launch.args_bytes = sizeof(Args);
    std::memcpy(launch.args, &args, sizeof(Args));
    return launch;
  }
};

// A list of launches in the form that a device replays fastest.
class Graph {
 public:
  virtual ~Graph() = default;
};

// A point in a stream.
class Event {
 public:
  virtual ~Event() = default;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  // By Memory (tensor.hpp), all together: as asked for, and in the driver's pages.
  int64_t asked_bytes = 0, taken_bytes = 0;

  virtual const Properties& properties() const = 0;
  virtual int64_t free_bytes() = 0;

  virtual void* allocate(int64_t bytes, const char* what) = 0;  // 256-byte aligned; contents undefined
  virtual void release(void* memory) noexcept = 0;              // after `synchronize`
  virtual void* allocate_host(int64_t bytes) = 0;               // pinned; kernels of a device with EXCHANGE reach it there
  virtual void release_host(void* memory) noexcept = 0;

  // The device's address of whole pages of the host that others share, for devices with EXCHANGE, until it is unmapped as
  // often as it was mapped.
  virtual void* map_host(void* memory, int64_t bytes) = 0;
  virtual void unmap_host(void* memory) noexcept = 0;

  // Zeros in the device's memory for kernels of all devices that reach it, for as long as anybody holds it, also when the
  // runtime has gone.
  virtual std::shared_ptr<void> allocate_peer(int64_t bytes, const char* what) = 0;
  // Whether such memory of the driver's device `index`, which may be the same device, can be copied from and to; makes it so.
  virtual bool reaches(int32_t index) = 0;

  // Host memory of the three that copy: pinned, or the call waits until it is read or written.
  virtual void upload(void* target, const void* host, int64_t bytes) = 0;
  virtual void download(void* host, const void* source, int64_t bytes) = 0;
  virtual void copy(void* target, const void* source, int64_t bytes) = 0;
  virtual void fill(void* target, uint8_t value, int64_t bytes) = 0;

  // How many blocks, of so many threads, of a kernel that uses no dynamic memory the device runs at once; 0: that is not known.
  virtual int64_t resident_blocks(Kernel, uint32_t) { return 0; }

  virtual void launch(const Launch& launch) = 0;
  virtual std::unique_ptr<Graph> capture(std::span<const Launch> launches) = 0;
  virtual void replay(Graph& graph) = 0;

  virtual std::unique_ptr<Event> new_event() = 0;
  virtual void record(Event& event) = 0;
  virtual void wait(Event& event) = 0;                // the host waits
  virtual double elapsed_ms(Event& from, Event& to) = 0;  // both have been waited for
  virtual void synchronize() = 0;                     // the host waits for all
};

// The devices of one kind. Absent as a whole when the driver's library is not there, or too old.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual const char* name() const = 0;           // cuda, hip, simt
  virtual int32_t device_count() = 0;             // throws Fault UNSUPPORTED with the reason why there is none
  virtual Properties properties(int32_t index) = 0;
  virtual int64_t free_bytes(int32_t index) = 0;
  // With `copies_only`, for the kernel `exchange` alone, beside runtimes that compute.
  virtual std::unique_ptr<Runtime> open(int32_t index, bool copies_only = false) = 0;
};

// Defined by runtime_cuda.cpp, runtime_hip.cpp or runtime_simt.cpp, of which a backend's library has one.
Driver& driver();

}  // namespace talaria::gpu
