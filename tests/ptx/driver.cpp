// libcuda.so.1 without a GPU: a driver whose compiler is the reader of PTX beside it, and whose device is the machine. It
// takes modules as texts alone. Streams run each on a thread of their own; a kernel that traps says so on the error output,
// and the device is lost, as with a real one.
//
// TALARIA_PTX_DEVICES (1) and TALARIA_PTX_COMPUTE (90) say what there is, TALARIA_PTX_REPORT names a file for what was counted,
// TALARIA_PTX_ORDER=reverse runs blocks and warps the other way round.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <type_traits>

#include "../../native/gpu/driver_api.hpp"
#include "machine.hpp"

using talaria::gpu::Status;

#define PTX_EXPORT extern "C" __attribute__((visibility("default")))

// Each function under the name that the library exports.
#define PTX_DECLARE(member, type, cuda, hip) PTX_EXPORT std::type_identity_t<type> ptx_##member __asm__(cuda);
TALARIA_DRIVER_FUNCTIONS(PTX_DECLARE)
#undef PTX_DECLARE

namespace {

constexpr Status INVALID = 1, OUT_OF_MEMORY = 2, BAD_CONTEXT = 201, BAD_IMAGE = 218, NOT_FOUND = 500, ILLEGAL = 719,
                 ALREADY_PINNED = 712, NOT_PINNED = 713, PEER_ENABLED = 704;
constexpr int most_devices = 8;

int setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

std::atomic<Status> sticky[most_devices];
std::atomic<uint32_t> launches{0};
thread_local int current = -1;

using Work = std::function<void()>;

class Stream {
 public:
  explicit Stream(int device) : device(device), thread_([this] { serve(); }) {}
  ~Stream() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // Into the graph that is being captured, or to run soon.
  void add(Work work) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (captured != nullptr) {
      captured->push_back(std::move(work));
    } else {
      queue_.push_back(std::move(work));
    }
    changed_.notify_all();
  }

  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
  }

  const int device;
  std::vector<Work>* captured = nullptr;
  uint32_t running_since = 0;  // launches that an early one may meet; of this stream's thread

 private:
  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Work work = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
      lock.unlock();
      if (sticky[device] == 0) work();
      work = nullptr;
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  bool busy_ = false, ending_ = false;
  std::thread thread_;
};

// The stream of a handle; none stands for the current device's own, which is there for good.
Stream* stream_of(void* handle) {
  if (handle != nullptr) return static_cast<Stream*>(handle);
  static std::mutex& mutex = *new std::mutex();
  static std::map<int, Stream*>& own = *new std::map<int, Stream*>();
  std::lock_guard<std::mutex> lock(mutex);
  Stream*& stream = own[current];
  if (stream == nullptr) stream = new Stream(current);
  return stream;
}

struct Function {
  const ptx::Kernel* kernel;
  uint32_t dynamic_bytes = 48 << 10;  // that a launch may have
};

struct Module {
  std::vector<std::unique_ptr<ptx::Kernel>> kernels;
  std::vector<std::unique_ptr<Function>> functions;
};

struct Event {
  std::mutex mutex;
  std::condition_variable changed;
  int pending = 0;
  double seconds = 0;
};

struct State {
  std::mutex mutex;
  std::map<void*, std::pair<int, size_t>> memory;  // device (-1: the host's) and bytes
  std::map<void*, size_t> pinned;
  std::set<std::pair<int, int>> peers;
  size_t used[most_devices] = {};
};
State& state() {
  static State& the_state = *new State();
  return the_state;
}

size_t device_bytes() { return static_cast<size_t>(setting("TALARIA_PTX_MEGABYTES", 8192)) << 20; }

Status trouble() { return current < 0 ? BAD_CONTEXT : sticky[current].load(); }

void write_report() {
  std::string text = ptx::report();
  if (text.empty()) return;
  if (FILE* file = std::fopen(std::getenv("TALARIA_PTX_REPORT"), "w")) {
    std::fputs(text.c_str(), file);
    std::fclose(file);
  }
}

// On its own stream, in order; what was launched early may meet those that were there before it.
Status queue(Function* function, const unsigned* grid, const unsigned* block, unsigned shared, void* stream,
             void** arguments, bool early) {
  if (Status status = trouble()) return status;
  const ptx::Kernel& kernel = *function->kernel;
  const unsigned threads = block[0] * block[1] * block[2];
  if (threads == 0 || threads > kernel.most_threads || grid[0] == 0 || grid[1] == 0 || grid[2] == 0 ||
      grid[1] > 65535 || grid[2] > 65535 || shared + kernel.shared_bytes > function->dynamic_bytes) {
    return INVALID;
  }
  auto launch = std::make_shared<ptx::Launch>();
  launch->kernel = &kernel;
  for (int i = 0; i < 3; i++) launch->grid[i] = grid[i], launch->threads[i] = block[i];
  launch->dynamic_shared_bytes = shared;
  const auto* bytes = static_cast<const uint8_t*>(arguments[0]);
  launch->parameters.assign(bytes, bytes + kernel.parameter_bytes);
  auto* on = stream_of(stream);
  on->add([launch, on, early] {
    ptx::Launch now = *launch;
    now.number = ++launches;
    if (!early || on->running_since == 0) on->running_since = now.number;
    if (early && on->running_since != now.number) now.running_since = on->running_since;
    try {
      ptx::run(now);
    } catch (const ptx::Trap& trap) {
      std::fprintf(stderr, "ptx: %s\n", trap.what());
      sticky[on->device] = ILLEGAL;
    }
  });
  return 0;
}

// Other work than launches: all before it has ended, and it ends before what follows.
Status queue_other(void* stream, Work work) {
  if (Status status = trouble()) return status;
  auto* on = stream_of(stream);
  on->add([on, work = std::move(work)] {
    on->running_since = 0;
    work();
  });
  return 0;
}

}  // namespace

Status ptx_init(unsigned) {
  static const int once = std::atexit(write_report);
  return once == 0 ? 0 : INVALID;
}
Status ptx_device_count(int* count) { return *count = std::min(setting("TALARIA_PTX_DEVICES", 1), most_devices), 0; }
Status ptx_device_name(char* name, int bytes, int) {
  return std::snprintf(name, static_cast<size_t>(bytes), "PTX on this processor"), 0;
}
Status ptx_device_memory(size_t* bytes, int) { return *bytes = device_bytes(), 0; }
Status ptx_device_attribute(int* value, int attribute, int) {
  const int compute = setting("TALARIA_PTX_COMPUTE", 90);
  switch (attribute) {
    case 16: return *value = 4, 0;  // multiprocessors
    case 17: return *value = 0, 0;  // a limit to how long kernels run
    case 75: return *value = compute / 10, 0;
    case 76: return *value = compute % 10, 0;
    case 97: return *value = compute >= 90 ? 232448 : compute >= 80 ? 101376 : compute == 75 ? 65536 : 98304, 0;
    default: return INVALID;
  }
}
Status ptx_memory_info(size_t* free, size_t* total) {
  if (Status status = trouble()) return status;
  std::lock_guard<std::mutex> lock(state().mutex);
  return *total = device_bytes(), *free = *total - state().used[current], 0;
}

static Status allocate(void** result, size_t bytes, int device) {
  if (Status status = trouble()) return status;
  std::lock_guard<std::mutex> lock(state().mutex);
  if (device >= 0 && state().used[device] + bytes > device_bytes()) return OUT_OF_MEMORY;
  const size_t rounded = (bytes + 255) / 256 * 256;
  *result = std::aligned_alloc(256, rounded);
  if (*result == nullptr) return OUT_OF_MEMORY;
  std::memset(*result, 0xa5, rounded);  // nobody may count on zeros
  state().memory[*result] = {device, bytes};
  if (device >= 0) state().used[device] += bytes;
  ptx::Memory::all().add(*result, bytes, device < 0);
  return 0;
}
static Status release(void* which) {
  std::lock_guard<std::mutex> lock(state().mutex);
  auto found = state().memory.find(which);
  if (found == state().memory.end()) return INVALID;
  auto [device, bytes] = found->second;
  if (device >= 0) state().used[device] -= bytes;
  state().memory.erase(found);
  ptx::Memory::all().remove(which);
  std::free(which);
  return 0;
}
Status ptx_allocate(void** result, size_t bytes) { return allocate(result, bytes, current); }
Status ptx_release(void* which) { return trouble() != 0 ? trouble() : release(which); }
Status ptx_allocate_host(void** result, size_t bytes, unsigned) { return allocate(result, bytes, -1); }
Status ptx_release_host(void* which) { return trouble() != 0 ? trouble() : release(which); }
Status ptx_pin_host(void* which, size_t bytes, unsigned) {
  if (Status status = trouble()) return status;
  std::lock_guard<std::mutex> lock(state().mutex);
  if (bytes % 4096 != 0) return INVALID;
  if (!state().pinned.emplace(which, bytes).second) return ALREADY_PINNED;
  ptx::Memory::all().add(which, bytes, true);
  return 0;
}
Status ptx_unpin_host(void* which) {
  if (Status status = trouble()) return status;
  std::lock_guard<std::mutex> lock(state().mutex);
  if (state().pinned.erase(which) == 0) return NOT_PINNED;
  ptx::Memory::all().remove(which);
  return 0;
}
Status ptx_host_address(void** address, void* which, unsigned) {
  *address = which;
  std::lock_guard<std::mutex> lock(state().mutex);
  return state().pinned.count(which) == 0 ? INVALID : trouble();
}

static Status move(void* target, const void* source, size_t bytes, void* stream) {
  return queue_other(stream, [=] { std::memcpy(target, source, bytes); });
}
// With memory of the host that is not pinned, the call is done with it when it returns.
static bool is_pinned(const void* memory, size_t bytes) {
  return ptx::Memory::all().find(reinterpret_cast<uintptr_t>(memory), bytes) != nullptr;
}
Status ptx_upload(void* t, const void* s, size_t bytes, void* stream) {
  if (is_pinned(s, bytes)) return move(t, s, bytes, stream);
  const auto* from = static_cast<const uint8_t*>(s);
  return queue_other(
      stream, [t, staged = std::vector<uint8_t>(from, from + bytes)] { std::memcpy(t, staged.data(), staged.size()); });
}
Status ptx_download(void* t, const void* s, size_t bytes, void* stream) {
  Status status = move(t, s, bytes, stream);
  if (status == 0 && !is_pinned(t, bytes)) stream_of(stream)->wait();
  return status;
}
Status ptx_copy(void* t, const void* s, size_t bytes, void* stream) { return move(t, s, bytes, stream); }
Status ptx_fill(void* target, unsigned char value, size_t bytes, void* stream) {
  return queue_other(stream, [=] { std::memset(target, value, bytes); });
}

Status ptx_load_module(void** module, const void* image, unsigned options, int* option, void** value) {
  if (Status status = trouble()) return status;
  auto loaded = std::make_unique<Module>();
  try {
    const char* text = static_cast<const char*>(image);
    if (std::strstr(text, ".version") == nullptr) throw ptx::Trap("it is no text");
    loaded->kernels = ptx::parse(text, "module");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ptx: %s\n", e.what());
    for (unsigned i = 0; i < options; i++) {
      if (option[i] == 5) std::snprintf(static_cast<char*>(value[i]), 1024, "%s", e.what());
    }
    return BAD_IMAGE;
  }
  *module = loaded.release();
  return 0;
}
Status ptx_unload_module(void* module) { return delete static_cast<Module*>(module), trouble(); }
Status ptx_find_function(void** function, void* module, const char* name) {
  if (Status status = trouble()) return status;
  auto* in = static_cast<Module*>(module);
  for (auto& kernel : in->kernels) {
    if (kernel->name != name) continue;
    in->functions.push_back(std::make_unique<Function>(Function{kernel.get()}));
    *function = in->functions.back().get();
    return 0;
  }
  return NOT_FOUND;
}
Status ptx_launch(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                  unsigned shared, void* stream, void** arguments, void**) {
  const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
  return queue(static_cast<Function*>(function), grid, block, shared, stream, arguments, false);
}

Status ptx_create_stream(void** stream, unsigned, int) {
  return trouble() != 0 ? trouble() : (*stream = new Stream(current), 0);
}
Status ptx_destroy_stream(void* stream) { return delete static_cast<Stream*>(stream), 0; }
Status ptx_synchronize(void* stream) {
  if (Status status = trouble()) return status;
  stream_of(stream)->wait();
  return sticky[stream_of(stream)->device];
}
Status ptx_begin_capture(void* stream, int) {
  return static_cast<Stream*>(stream)->captured = new std::vector<Work>(), trouble();
}
Status ptx_end_capture(void* stream, void** graph) {
  auto* from = static_cast<Stream*>(stream);
  *graph = from->captured, from->captured = nullptr;
  return trouble();
}
Status ptx_instantiate(void** executable, void* graph, unsigned long long) {
  return *executable = new std::vector<Work>(*static_cast<std::vector<Work>*>(graph)), trouble();
}
Status ptx_destroy_graph(void* graph) { return delete static_cast<std::vector<Work>*>(graph), trouble(); }
Status ptx_destroy_executable(void* executable) { return ptx_destroy_graph(executable); }
Status ptx_launch_graph(void* executable, void* stream) {
  if (Status status = trouble()) return status;
  auto* on = stream_of(stream);
  on->add([on] { on->running_since = 0; });  // a graph begins when all before it has ended
  for (const Work& work : *static_cast<std::vector<Work>*>(executable)) on->add(work);
  on->add([on] { on->running_since = 0; });
  return 0;
}

Status ptx_create_event(void** event, unsigned) { return *event = new Event(), trouble(); }
Status ptx_destroy_event(void* event) { return delete static_cast<Event*>(event), trouble(); }
Status ptx_record_event(void* event, void* stream) {
  if (Status status = trouble()) return status;
  auto* e = static_cast<Event*>(event);
  {
    std::lock_guard<std::mutex> lock(e->mutex);
    e->pending++;
  }
  stream_of(stream)->add([e] {
    std::lock_guard<std::mutex> lock(e->mutex);
    e->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    e->pending--;
    e->changed.notify_all();
  });
  return 0;
}
Status ptx_wait_event(void* event) {
  auto* e = static_cast<Event*>(event);
  std::unique_lock<std::mutex> lock(e->mutex);
  while (e->pending > 0 && trouble() == 0) e->changed.wait_for(lock, std::chrono::milliseconds(20));
  return trouble();
}
Status ptx_elapsed(float* ms, void* from, void* to) {
  *ms = static_cast<float>((static_cast<Event*>(to)->seconds - static_cast<Event*>(from)->seconds) * 1e3);
  return trouble();
}

// As if 30 warps had room on a processor.
Status ptx_occupancy(int* blocks, void*, int threads, size_t) { return *blocks = 30 * 32 / threads, trouble(); }

Status ptx_can_access_peer(int* can, int device, int other) { return *can = device != other, trouble(); }

PTX_EXPORT Status cuGetErrorString(Status status, const char** text) {
  *text = status == ILLEGAL ? "a kernel did what it must not; the error output says what"
                            : "the machine for PTX refuses this";
  return 0;
}
PTX_EXPORT Status cuDriverGetVersion(int* version) { return *version = 13000, 0; }
PTX_EXPORT Status cuDeviceGet(int* device, int index) { return *device = index, 0; }
PTX_EXPORT Status cuDeviceGetPCIBusId(char* bus, int bytes, int) {
  return std::snprintf(bus, static_cast<size_t>(bytes), "none"), 0;
}
PTX_EXPORT Status cuDevicePrimaryCtxRetain(void** context, int device) {
  return *context = reinterpret_cast<void*>(static_cast<intptr_t>(device) + 1), 0;
}
PTX_EXPORT Status cuDevicePrimaryCtxRelease_v2(int device) {
  // The last holder of a context takes what had gone wrong with it; here every close of a lost device does.
  return sticky[device] = 0, 0;
}
PTX_EXPORT Status cuCtxSetCurrent(void* context) {
  current = static_cast<int>(reinterpret_cast<intptr_t>(context)) - 1;
  return current < 0 ? 0 : sticky[current].load();
}
PTX_EXPORT Status cuCtxEnablePeerAccess(void* other, unsigned) {
  std::lock_guard<std::mutex> lock(state().mutex);
  const int device = static_cast<int>(reinterpret_cast<intptr_t>(other)) - 1;
  return state().peers.insert({current, device}).second ? trouble() : PEER_ENABLED;
}
PTX_EXPORT Status cuFuncGetAttribute(int* value, int attribute, void* function) {
  if (attribute != 5) return INVALID;
  return *value = static_cast<Function*>(function)->kernel->target, trouble();
}
PTX_EXPORT Status cuFuncSetAttribute(void* function, int attribute, int value) {
  if (attribute != 8) return INVALID;
  return static_cast<Function*>(function)->dynamic_bytes = static_cast<uint32_t>(value), trouble();
}

struct LaunchConfig {
  unsigned grid[3], block[3], shared;
  void* stream;
  const int* attributes;  // id, padding, value
  unsigned count;
};
PTX_EXPORT Status cuLaunchKernelEx(const LaunchConfig* config, void* function, void** arguments, void**) {
  if (config->count != 1 || config->attributes[0] != 6) return INVALID;
  return queue(static_cast<Function*>(function), config->grid, config->block, config->shared, config->stream, arguments,
               config->attributes[2] == 1);
}
