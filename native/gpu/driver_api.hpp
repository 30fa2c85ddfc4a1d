// What NVIDIA's and AMD's driver interfaces have in common, which is nearly all but the names: memory, streams, modules,
// graphs, events. runtime_cuda.cpp and runtime_hip.cpp add how a device is found and made current.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>

#include "images.hpp"
#include "runtime.h"
#include "shared_library.hpp"

namespace talaria::gpu {

using Status = int;  // CUresult and hipError_t, whose common codes have the same numbers

enum : Status { DRIVER_OK = 0, DRIVER_OUT_OF_MEMORY = 2, DRIVER_NO_DEVICE = 100, DRIVER_INVALID_DEVICE = 101, DRIVER_PEER_ENABLED = 704 };

// X(member, type, name in libcuda, name in libamdhip64). Handles and device addresses are pointers in both.
#define TALARIA_DRIVER_FUNCTIONS(X)                                                                                       \
  X(init, Status(unsigned flags), "cuInit", "hipInit")                                                                    \
  X(device_count, Status(int* count), "cuDeviceGetCount", "hipGetDeviceCount")                                            \
  X(device_name, Status(char* name, int bytes, int device), "cuDeviceGetName", "hipDeviceGetName")                        \
  X(device_memory, Status(size_t* bytes, int device), "cuDeviceTotalMem_v2", "hipDeviceTotalMem")                         \
  X(device_attribute, Status(int* value, int attribute, int device), "cuDeviceGetAttribute", "hipDeviceGetAttribute")     \
  X(memory_info, Status(size_t* free, size_t* total), "cuMemGetInfo_v2", "hipMemGetInfo")                                 \
  X(allocate, Status(void** memory, size_t bytes), "cuMemAlloc_v2", "hipMalloc")                                          \
  X(release, Status(void* memory), "cuMemFree_v2", "hipFree")                                                             \
  X(allocate_host, Status(void** memory, size_t bytes, unsigned flags), "cuMemHostAlloc", "hipHostMalloc")                \
  X(release_host, Status(void* memory), "cuMemFreeHost", "hipHostFree")                                                   \
  X(pin_host, Status(void* memory, size_t bytes, unsigned flags), "cuMemHostRegister_v2", "hipHostRegister")              \
  X(unpin_host, Status(void* memory), "cuMemHostUnregister", "hipHostUnregister")                                         \
  X(host_address, Status(void** address, void* memory, unsigned flags), "cuMemHostGetDevicePointer_v2",                   \
    "hipHostGetDevicePointer")                                                                                            \
  X(upload, Status(void* target, const void* host, size_t bytes, void* stream), "cuMemcpyHtoDAsync_v2",                   \
    "hipMemcpyHtoDAsync")                                                                                                 \
  X(download, Status(void* host, const void* source, size_t bytes, void* stream), "cuMemcpyDtoHAsync_v2",                 \
    "hipMemcpyDtoHAsync")                                                                                                 \
  X(copy, Status(void* target, const void* source, size_t bytes, void* stream), "cuMemcpyDtoDAsync_v2",                   \
    "hipMemcpyDtoDAsync")                                                                                                 \
  X(fill, Status(void* target, unsigned char value, size_t bytes, void* stream), "cuMemsetD8Async", "hipMemsetD8Async")   \
  X(load_module, Status(void** module, const void* image, unsigned options, int* option, void** value),                   \
    "cuModuleLoadDataEx", "hipModuleLoadDataEx")                                                                          \
  X(unload_module, Status(void* module), "cuModuleUnload", "hipModuleUnload")                                             \
  X(find_function, Status(void** function, void* module, const char* name), "cuModuleGetFunction",                        \
    "hipModuleGetFunction")                                                                                               \
  X(launch, Status(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, \
                   unsigned block_z, unsigned shared_bytes, void* stream, void** arguments, void** extra),                \
    "cuLaunchKernel", "hipModuleLaunchKernel")                                                                            \
  X(create_stream, Status(void** stream, unsigned flags, int priority), "cuStreamCreateWithPriority",                     \
    "hipStreamCreateWithPriority")                                                                                        \
  X(destroy_stream, Status(void* stream), "cuStreamDestroy_v2", "hipStreamDestroy")                                       \
  X(synchronize, Status(void* stream), "cuStreamSynchronize", "hipStreamSynchronize")                                     \
  X(begin_capture, Status(void* stream, int mode), "cuStreamBeginCapture_v2", "hipStreamBeginCapture")                    \
  X(end_capture, Status(void* stream, void** graph), "cuStreamEndCapture", "hipStreamEndCapture")                         \
  X(instantiate, Status(void** executable, void* graph, unsigned long long flags), "cuGraphInstantiateWithFlags",         \
    "hipGraphInstantiateWithFlags")                                                                                       \
  X(destroy_graph, Status(void* graph), "cuGraphDestroy", "hipGraphDestroy")                                              \
  X(destroy_executable, Status(void* executable), "cuGraphExecDestroy", "hipGraphExecDestroy")                            \
  X(launch_graph, Status(void* executable, void* stream), "cuGraphLaunch", "hipGraphLaunch")                              \
  X(create_event, Status(void** event, unsigned flags), "cuEventCreate", "hipEventCreateWithFlags")                       \
  X(destroy_event, Status(void* event), "cuEventDestroy_v2", "hipEventDestroy")                                           \
  X(can_access_peer, Status(int* can, int device, int other), "cuDeviceCanAccessPeer", "hipDeviceCanAccessPeer")           \
  X(record_event, Status(void* event, void* stream), "cuEventRecord", "hipEventRecord")                                   \
  X(wait_event, Status(void* event), "cuEventSynchronize", "hipEventSynchronize")                                         \
  X(elapsed, Status(float* ms, void* from, void* to), "cuEventElapsedTime", "hipEventElapsedTime")                        \
  X(occupancy, Status(int* blocks, void* function, int threads, size_t dynamic_bytes),                                    \
    "cuOccupancyMaxActiveBlocksPerMultiprocessor", "hipModuleOccupancyMaxActiveBlocksPerMultiprocessor")

class DriverApi {
 public:
  virtual ~DriverApi() = default;

#define TALARIA_MEMBER(member, type, cuda, hip) std::add_pointer_t<type> member = nullptr;
  TALARIA_DRIVER_FUNCTIONS(TALARIA_MEMBER)
#undef TALARIA_MEMBER

  virtual std::string error_text(Status status) const = 0;  // the interface's own words

  // Throws the Fault that a failure means: LOST if the device can no longer be used, or else `code`. `doing` completes
  // "while ...".
  void check(Status status, const char* doing, int32_t code = TALARIA_INVALID) const;
};

// Names of what the images were built for, each once, for messages.
std::string built_for();

// The part of a Runtime that is the same on both.
class DriverRuntime : public Runtime {
 public:
  DriverRuntime(const DriverApi& api, std::string device, Properties properties, bool copies_only);
  DriverRuntime(const DriverRuntime&) = delete;
  DriverRuntime& operator=(const DriverRuntime&) = delete;

  const Properties& properties() const override { return properties_; }
  int64_t free_bytes() override;
  void* allocate(int64_t bytes, const char* what) override;
  void release(void* memory) noexcept override;
  void* allocate_host(int64_t bytes) override;
  void release_host(void* memory) noexcept override;
  void* map_host(void* memory, int64_t bytes) override;
  void unmap_host(void* memory) noexcept override;
  std::shared_ptr<void> allocate_peer(int64_t bytes, const char* what) override;
  bool reaches(int32_t index) override;
  void upload(void* target, const void* host, int64_t bytes) override;
  void download(void* host, const void* source, int64_t bytes) override;
  void copy(void* target, const void* source, int64_t bytes) override;
  void fill(void* target, uint8_t value, int64_t bytes) override;
  int64_t resident_blocks(Kernel kernel, uint32_t threads) override;
  void launch(const Launch& launch) override;
  std::unique_ptr<Graph> capture(std::span<const Launch> launches) override;
  void replay(Graph& graph) override;
  std::unique_ptr<Event> new_event() override;
  void record(Event& event) override;
  void wait(Event& event) override;
  double elapsed_ms(Event& from, Event& to) override;
  void synchronize() override;

  // Makes the device that of the calling thread: calls come from any.
  virtual Status make_current() const = 0;
  // Keeps what belongs to the device's context for as long as it is held, whether or not the runtime is still there.
  virtual std::shared_ptr<void> hold_context() const { return nullptr; }
  // The same as make_current, for when the runtime has gone.
  virtual std::function<Status()> entrance() const = 0;

 protected:
  // Whether a device that can be opened is this one.
  virtual bool is_self(int32_t index) const = 0;
  // Lets kernels of this device read and write the memory of another one; whether they can.
  virtual bool enable_peer(int32_t index) = 0;
  // Makes another device that of the calling thread, once that is so.
  virtual Status enter_peer(int32_t index) const = 0;
  // Memory that devices see each other's writes to while kernels run.
  virtual Status allocate_shared(void** memory, size_t bytes) const { return api_.allocate(memory, bytes); }
  // Of a queue that only copies: streams of lower numbers go first.
  virtual int copies_priority() const { return 0; }
  // Throws UNSUPPORTED if a kernel of one stream keeps those of another from running, as with some settings of drivers and
  // tools: a queue that only copies would then wait for what waits for it.
  void require_streams_that_overlap();
  // The last step of opening, and the first of closing, both by the class that knows how a device is made current.
  void create_stream();
  void close() noexcept;

  // Loads an image; what it returns is the interface's status. `log` gets what a compiler in the driver said.
  virtual Status load(const Image& image, void** module, std::string* log) = 0;
  // Fits a kernel to a launch with so much dynamic shared memory; what it does is not queued.
  virtual void prepare(void* function, uint32_t shared_bytes) = 0;
  virtual Status start(void* function, const Launch& launch, void* stream);

  // Loads the images of an architecture and finds the kernels in them. Returns why one is missing, as a sentence; empty
  // if all are there.
  std::string load_kernels(bool (*wanted)(const Image&, const Properties&));

  const DriverApi& api_;
  const std::string device_;  // cuda:0
  Properties properties_;
  const bool copies_only_;
  std::array<void*, static_cast<size_t>(Kernel::count)> functions_{};

 private:
  void enter(const char* doing) const;
  [[noreturn]] void fail_allocation(int64_t bytes, const char* what);
  void* function(const Launch& launch);
  void start_all(std::span<const Launch> launches);
  void unload_kernels() noexcept;

  bool copies_arrive(int32_t index);
  Launch exchange_launch(const ExchangeArgs& args) const;

  std::map<int32_t, bool> reaches_;
  std::vector<void*> modules_;
  void* stream_ = nullptr;
};

}  // namespace talaria::gpu
