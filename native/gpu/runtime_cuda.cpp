// NVIDIA GPUs through the driver's own library, libcuda.so.1, opened when it is first asked for: nothing here needs a
// toolkit, and on a machine without a driver the backend says so.
#include <algorithm>
#include <cstdio>
#include <mutex>
#include <optional>

#include "driver_api.hpp"

namespace talaria::gpu {
namespace {

constexpr int needed_version = 11040;  // graphs as we make them, and loads that pass the first cache by

// CUdevice_attribute, CUfunction_attribute, CUjit_option and CUlaunchAttributeID: those used here.
constexpr int MULTIPROCESSORS = 16, COMPUTE_MAJOR = 75, COMPUTE_MINOR = 76, MAX_SHARED_BYTES = 97, KERNEL_TIMEOUT = 17;
constexpr int FUNCTION_PTX_VERSION = 5, FUNCTION_MAX_DYNAMIC_SHARED_BYTES = 8;
constexpr int JIT_ERROR_LOG = 5, JIT_ERROR_LOG_BYTES = 6;
constexpr int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

struct LaunchAttribute {  // CUlaunchAttribute
  int32_t id, pad;
  union {
    char bytes[64];
    int32_t allowed;
  };
};

struct LaunchConfig {  // CUlaunchConfig
  unsigned grid[3], block[3], shared_bytes;
  void* stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// NVIDIA's management library tells how much memory is free without making a context, which takes half a second and
// hundreds of megabytes. It comes with the driver, but not into every container.
class Management {
 public:
  Management() {
    ready_ = library_.open({"libnvidia-ml.so.1"}) && library_.find(init_, "nvmlInit_v2") &&
             library_.find(by_bus_, "nvmlDeviceGetHandleByPciBusId_v2") &&
             library_.find(memory_, "nvmlDeviceGetMemoryInfo") && init_() == 0;
  }

  // Negative: not known.
  int64_t free_bytes(const char* bus) const {
    struct {
      unsigned long long total, free, used;
    } memory{};
    void* device = nullptr;
    if (!ready_ || by_bus_(bus, &device) != 0 || memory_(device, &memory) != 0) return -1;
    return static_cast<int64_t>(memory.free);
  }

 private:
  SharedLibrary library_;
  bool ready_;
  int (*init_)() = nullptr;
  int (*by_bus_)(const char* bus, void** device) = nullptr;
  int (*memory_)(void* device, void* memory) = nullptr;
};

class CudaApi final : public DriverApi {
 public:
  // Throws the reason why there is no device.
  CudaApi() {
    if (!library_.open({"libcuda.so.1"})) {
      throw Fault{TALARIA_UNSUPPORTED, "there is no NVIDIA driver: libcuda.so.1 is not found"};
    }
    library_.find(error_string_, "cuGetErrorString");
    Status (*driver_version)(int*) = nullptr;
    if (library_.find(driver_version, "cuDriverGetVersion")) driver_version(&version);
    if (version < needed_version) {
      throw Fault{TALARIA_UNSUPPORTED, "the NVIDIA driver is too old: it supports CUDA " + version_text(version) +
                                           ", and Talaria needs " + version_text(needed_version) +
                                           ", which driver 470 brings"};
    }
    const char* missing = nullptr;
#define TALARIA_FIND(member, type, cuda, hip) \
  if (!library_.find(member, cuda)) missing = cuda;
    TALARIA_DRIVER_FUNCTIONS(TALARIA_FIND)
#undef TALARIA_FIND
#define TALARIA_FIND(member) \
  if (!library_.find(member, #member)) missing = #member;
    TALARIA_FIND(cuDeviceGet)
    TALARIA_FIND(cuDeviceGetPCIBusId)
    TALARIA_FIND(cuDevicePrimaryCtxRetain)
    TALARIA_FIND(cuDevicePrimaryCtxRelease_v2)
    TALARIA_FIND(cuCtxSetCurrent)
    TALARIA_FIND(cuCtxEnablePeerAccess)
    TALARIA_FIND(cuFuncGetAttribute)
    TALARIA_FIND(cuFuncSetAttribute)
#undef TALARIA_FIND
    if (missing != nullptr) {
      throw Fault{TALARIA_UNSUPPORTED, std::string("libcuda.so.1 has no function ") + missing +
                                           ": it is no NVIDIA driver that Talaria knows"};
    }
    library_.find(cuLaunchKernelEx, "cuLaunchKernelEx");  // of CUDA 11.8; without it nothing is launched early
    Status status = init(0);
    if (status == DRIVER_NO_DEVICE) {
      throw Fault{TALARIA_UNSUPPORTED, "there is an NVIDIA driver, but no NVIDIA GPU that it may use"};
    }
    check(status, "starting the NVIDIA driver", TALARIA_UNSUPPORTED);
  }

  std::string error_text(Status status) const override {
    const char* text = nullptr;
    if (error_string_ == nullptr || error_string_(status, &text) != DRIVER_OK || text == nullptr) return "no such error";
    return text;
  }

  int attribute(int which, int device) const {
    int value = 0;
    check(device_attribute(&value, which, device), "asking for a device's attributes", TALARIA_UNSUPPORTED);
    return value;
  }

  int version = 0;
  Status (*cuDeviceGet)(int* device, int index) = nullptr;
  Status (*cuDeviceGetPCIBusId)(char* bus, int bytes, int device) = nullptr;
  Status (*cuDevicePrimaryCtxRetain)(void** context, int device) = nullptr;
  Status (*cuDevicePrimaryCtxRelease_v2)(int device) = nullptr;
  Status (*cuCtxSetCurrent)(void* context) = nullptr;
  Status (*cuCtxEnablePeerAccess)(void* other, unsigned flags) = nullptr;
  Status (*cuFuncGetAttribute)(int* value, int attribute, void* function) = nullptr;
  Status (*cuFuncSetAttribute)(void* function, int attribute, int value) = nullptr;
  Status (*cuLaunchKernelEx)(const LaunchConfig* config, void* function, void** arguments, void** extra) = nullptr;

 private:
  SharedLibrary library_;
  Status (*error_string_)(Status status, const char** text) = nullptr;
};

// --- what the images have code for ------------------------------------------------------------------------------------

// The text in PTX that stands alone: for GPUs older than the toolkit, and the last resort where its fat binaries are
// newer than the driver.
bool is_text(const Image& image) { return std::strncmp(image.architecture, "sm_", 3) == 0; }

// Volta's matrix units are of use to Volta alone.
bool text_wanted(const Image& image, const Properties& properties) {
  return is_text(image) && ((properties.needs & HMMA) != 0 || std::strstr(image.file, "_hmma") == nullptr);
}

// Whether an entry such as 86, 90a or ptx90 is code for a GPU of compute capability `compute`.
bool serves(const char* entry, int compute) {
  if (std::strncmp(entry, "ptx", 3) == 0) return std::atoi(entry + 3) <= compute;
  char* end = nullptr;
  int built = static_cast<int>(std::strtol(entry, &end, 10));
  if (*end == 'a') return built == compute;
  return built / 10 == compute / 10 && built <= compute;
}

template <typename Test>
bool has_entry(const Image& image, const Test& test) {
  if (is_text(image)) return false;
  std::string entries = image.architecture;
  for (size_t at = 0; at < entries.size();) {
    size_t end = std::min(entries.find(' ', at), entries.size());
    if (test(entries.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

bool fat_binary_wanted(const Image& image, const Properties& properties) {
  return has_entry(image, [&](const std::string& entry) { return serves(entry.c_str(), properties.compute); });
}

// The matrix units that a GPU has and there is code for: sm_75 runs what was made for sm_70 too, which uses none of its own.
uint32_t matrix_units(int compute) {
  if (compute >= 80) return MMA_INT8 | MMA_F16;
  if (compute == 70 || compute == 72) return HMMA;
  bool made_for = compute == 75 && std::any_of(images, images + image_count, [](const Image& image) {
    return has_entry(image, [](const std::string& entry) { return entry == "75"; });
  });
  return made_for ? MMA_INT8 | MMA_F16 : ANY;
}

bool has_code(const Properties& properties) {
  return std::any_of(images, images + image_count, [&](const Image& image) {
    return fat_binary_wanted(image, properties) || (is_text(image) && properties.compute >= std::atoi(image.architecture + 3));
  });
}

// --- a device ---------------------------------------------------------------------------------------------------------

class CudaRuntime final : public DriverRuntime {
 public:
  // `numbers`: the driver's, of all devices that can be opened.
  CudaRuntime(const CudaApi& api, int32_t index, std::vector<int> numbers, const Properties& properties, bool copies_only)
      : DriverRuntime(api, "cuda:" + std::to_string(index), properties, copies_only),
        cuda_(api),
        numbers_(std::move(numbers)),
        device_number_(numbers_[static_cast<size_t>(index)]) {
    cuda_.check(cuda_.cuDevicePrimaryCtxRetain(&context_, device_number_), "opening the device", TALARIA_UNSUPPORTED);
    try {
      create_stream();
      load_all();
    } catch (...) {
      leave();
      throw;
    }
  }
  ~CudaRuntime() override { leave(); }

  Status make_current() const override { return cuda_.cuCtxSetCurrent(context_); }
  std::shared_ptr<void> hold_context() const override { return hold_context_of(device_number_); }
  std::function<Status()> entrance() const override {
    return [&cuda = cuda_, context = hold_context()] { return cuda.cuCtxSetCurrent(context.get()); };
  }

 private:
  std::shared_ptr<void> hold_context_of(int number) const {
    void* context = nullptr;
    cuda_.check(cuda_.cuDevicePrimaryCtxRetain(&context, number), "holding a context");
    return {context, [&cuda = cuda_, number](void*) { cuda.cuDevicePrimaryCtxRelease_v2(number); }};
  }

  bool is_there(int32_t index) const { return index >= 0 && static_cast<size_t>(index) < numbers_.size(); }
  bool is_self(int32_t index) const override { return is_there(index) && numbers_[static_cast<size_t>(index)] == device_number_; }
  int copies_priority() const override { return -1; }
  Status enter_peer(int32_t index) const override { return cuda_.cuCtxSetCurrent(reached_.at(index).get()); }

  bool enable_peer(int32_t index) override {
    if (!is_there(index)) return false;
    int other = numbers_[static_cast<size_t>(index)], can = 0;
    if (cuda_.can_access_peer(&can, device_number_, other) != DRIVER_OK || can == 0) return false;
    std::shared_ptr<void> context = hold_context_of(other);
    cuda_.check(make_current(), "reaching another device");  // which holding its context may have changed
    Status status = cuda_.cuCtxEnablePeerAccess(context.get(), 0);
    if (status != DRIVER_OK && status != DRIVER_PEER_ENABLED) return false;
    reached_[index] = std::move(context);
    return true;
  }

  void leave() noexcept {
    close();
    cuda_.cuCtxSetCurrent(nullptr);
    cuda_.cuDevicePrimaryCtxRelease_v2(device_number_);
  }

  void load_all() {
    std::string reason = load_kernels(fat_binary_wanted);
    if (!reason.empty() && std::any_of(images, images + image_count, is_text)) {
      properties_.needs &= EXCHANGE | HMMA;
      std::string second = load_kernels(text_wanted);
      if (second.empty()) reason.clear();
    }
    if (!reason.empty()) {
      throw Fault{TALARIA_UNSUPPORTED, device_ + " (" + properties_.architecture + ") cannot be used: " + reason +
                                           ". The kernels were built by " + images_compiler +
                                           ", the driver supports CUDA " + version_text(cuda_.version) +
                                           "; a newer driver may help, or building Talaria on this machine"};
    }
    // Asking for what a kernel was built for also loads it, which must not happen in the middle of a capture.
    bool dependent = properties_.dependent_launch;
    for (void* function : functions_) {
      int built_for = 0;
      if (function == nullptr) continue;
      cuda_.check(cuda_.cuFuncGetAttribute(&built_for, FUNCTION_PTX_VERSION, function), "loading kernels");
      dependent = dependent && built_for >= 90;  // or it would not wait for the launch before it
    }
    properties_.dependent_launch = dependent;
    if (copies_only_) require_streams_that_overlap();
  }

  Status load(const Image& image, void** module, std::string* log) override {
    char text[1024] = "";
    int options[] = {JIT_ERROR_LOG, JIT_ERROR_LOG_BYTES};
    void* values[] = {text, reinterpret_cast<void*>(sizeof text)};
    Status status = cuda_.load_module(module, image.data, 2, options, values);
    text[sizeof text - 1] = 0;
    *log = text;
    log->erase(std::min(log->find('\n'), log->size()));
    return status;
  }

  void prepare(void* function, uint32_t shared_bytes) override {
    if (shared_bytes <= 48 << 10) return;
    cuda_.check(cuda_.cuFuncSetAttribute(function, FUNCTION_MAX_DYNAMIC_SHARED_BYTES, static_cast<int>(shared_bytes)),
                "allowing a kernel more shared memory");
  }

  Status start(void* function, const Launch& launch, void* stream) override {
    if (!launch.dependent || !properties_.dependent_launch) return DriverRuntime::start(function, launch, stream);
    LaunchAttribute attribute{};
    attribute.id = PROGRAMMATIC_STREAM_SERIALIZATION;
    attribute.allowed = 1;
    LaunchConfig config{{launch.grid[0], launch.grid[1], launch.grid[2]}, {launch.threads, 1, 1}, launch.shared_bytes,
                        stream, &attribute, 1};
    void* arguments[] = {const_cast<uint8_t*>(launch.args)};
    return cuda_.cuLaunchKernelEx(&config, function, arguments, nullptr);
  }

  const CudaApi& cuda_;
  const std::vector<int> numbers_;
  const int device_number_;
  void* context_ = nullptr;
  std::map<int32_t, std::shared_ptr<void>> reached_;  // contexts of other devices: what is allowed would go with them
};

// --- the devices ------------------------------------------------------------------------------------------------------

class CudaDriver final : public Driver {
 public:
  const char* name() const override { return "cuda"; }

  int32_t device_count() override { return static_cast<int32_t>(devices().size()); }

  Properties properties(int32_t index) override { return describe(device(index)); }

  int64_t free_bytes(int32_t index) override {
    int number = device(index);
    char bus[32] = "";
    if (api().cuDeviceGetPCIBusId(bus, sizeof bus, number) == DRIVER_OK) {
      int64_t free = management_.free_bytes(bus);
      if (free >= 0) return free;
    }
    void* context = nullptr;
    size_t free = 0, total = 0;
    api().check(api().cuDevicePrimaryCtxRetain(&context, number), "opening the device", TALARIA_UNSUPPORTED);
    Status status = api().cuCtxSetCurrent(context);
    if (status == DRIVER_OK) status = api().memory_info(&free, &total);
    api().cuCtxSetCurrent(nullptr);
    api().cuDevicePrimaryCtxRelease_v2(number);
    api().check(status, "asking for free memory");
    return static_cast<int64_t>(free);
  }

  std::unique_ptr<Runtime> open(int32_t index, bool copies_only) override {
    Properties properties = describe(device(index));
    return std::make_unique<CudaRuntime>(api(), index, devices(), properties, copies_only);
  }

 private:
  const CudaApi& api() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!absent_.empty()) throw Fault{TALARIA_UNSUPPORTED, absent_};
    if (!api_) {
      try {
        api_.emplace();
      } catch (const Fault& fault) {
        absent_ = fault.text;
        throw Fault{TALARIA_UNSUPPORTED, absent_};
      }
    }
    return *api_;
  }

  // The devices that there is code for: an old card beside a good one is passed over.
  std::vector<int> devices() {
    int count = 0;
    api().check(api().device_count(&count), "counting devices", TALARIA_UNSUPPORTED);
    std::vector<int> usable;
    std::string passed_over;
    for (int i = 0; i < count; i++) {
      int number = 0;
      api().check(api().cuDeviceGet(&number, i), "finding a device", TALARIA_UNSUPPORTED);
      Properties found = describe(number);
      if (has_code(found)) {
        usable.push_back(number);
      } else {
        passed_over += (passed_over.empty() ? "" : ", ") + found.name + " (" + found.architecture + ")";
      }
    }
    if (usable.empty() && count == 0) throw Fault{TALARIA_UNSUPPORTED, "the NVIDIA driver shows no GPU"};
    if (usable.empty()) {
      throw Fault{TALARIA_UNSUPPORTED, "this build of Talaria has no kernels for " + passed_over + "; it has them for " +
                                           built_for() + ". GPUs before sm_70 are not supported"};
    }
    return usable;
  }

  int device(int32_t index) {
    std::vector<int> all = devices();
    if (index < 0 || static_cast<size_t>(index) >= all.size()) {
      throw Fault{TALARIA_INVALID, "there is no device cuda:" + std::to_string(index)};
    }
    return all[static_cast<size_t>(index)];
  }

  Properties describe(int number) {
    const CudaApi& cuda = api();
    Properties result;
    char name[128] = "";
    size_t bytes = 0;
    cuda.check(cuda.device_name(name, sizeof name - 1, number), "asking for a device's name", TALARIA_UNSUPPORTED);
    cuda.check(cuda.device_memory(&bytes, number), "asking for a device's memory", TALARIA_UNSUPPORTED);
    result.name = name;
    result.memory_bytes = static_cast<int64_t>(bytes);
    result.page_bytes = int64_t{2} << 20;
    result.compute = cuda.attribute(COMPUTE_MAJOR, number) * 10 + cuda.attribute(COMPUTE_MINOR, number);
    result.architecture = "sm_" + std::to_string(result.compute);
    result.processors = cuda.attribute(MULTIPROCESSORS, number);
    result.lanes = 32;
    result.shared_bytes = cuda.attribute(MAX_SHARED_BYTES, number);
    result.needs = matrix_units(result.compute);
    // Where a display hangs on the GPU the driver ends kernels that take seconds, and so those that wait.
    if (cuda.attribute(KERNEL_TIMEOUT, number) == 0) result.needs |= EXCHANGE;
    // Within captured steps from CUDA 12.3 on.
    result.dependent_launch = result.compute >= 90 && cuda.version >= 12030 && cuda.cuLaunchKernelEx != nullptr;
    return result;
  }

  std::mutex mutex_;
  std::optional<CudaApi> api_;
  std::string absent_;
  Management management_;
};

}  // namespace

Driver& driver() {
  static CudaDriver* the_driver = new CudaDriver();  // for good: at exit the driver's library may end before we do
  return *the_driver;
}

}  // namespace talaria::gpu
