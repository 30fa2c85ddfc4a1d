// AMD GPUs through ROCm's HIP runtime, libamdhip64, opened when it is first asked for: nothing here needs ROCm to build.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "driver_api.hpp"

namespace talaria::gpu {
namespace {

constexpr int MULTIPROCESSORS = 63;  // hipDeviceAttributeMultiprocessorCount, from HIP 5 to 7

class HipApi final : public DriverApi {
 public:
  // Throws the reason why there is no device.
  HipApi() {
    std::string rocm = std::getenv("ROCM_PATH") == nullptr ? "/opt/rocm" : std::getenv("ROCM_PATH");
    rocm += "/lib/libamdhip64.so";
    if (!library_.open({"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", rocm.c_str()})) {
      throw Fault{TALARIA_UNSUPPORTED, "there is no ROCm: libamdhip64.so.7, .6 or .5 is not found"};
    }
    library_.find(error_string_, "hipGetErrorString");
    library_.find(runtime_version_, "hipRuntimeGetVersion");
    const char* missing = nullptr;
#define TALARIA_FIND(member, type, cuda, hip) \
  if (!library_.find(member, hip)) missing = hip;
    TALARIA_DRIVER_FUNCTIONS(TALARIA_FIND)
#undef TALARIA_FIND
    if (!library_.find(set_device, "hipSetDevice")) missing = "hipSetDevice";
    if (!library_.find(enable_peer, "hipDeviceEnablePeerAccess")) missing = "hipDeviceEnablePeerAccess";
    if (!library_.find(allocate_flagged, "hipExtMallocWithFlags")) missing = "hipExtMallocWithFlags";
    library_.find(link_type, "hipExtGetLinkTypeAndHopCount");  // without it there are no peers
    if (!library_.find(properties_, "hipGetDevicePropertiesR0600") && !library_.find(properties_, "hipGetDeviceProperties")) {
      missing = "hipGetDeviceProperties";
    }
    if (missing != nullptr) {
      throw Fault{TALARIA_UNSUPPORTED, "ROCm is too old: libamdhip64 has no " + std::string(missing) + "; Talaria needs 5.2"};
    }
    Status status = init(0);
    int count = 0;
    if (status == DRIVER_OK) status = device_count(&count);
    bool none = status == DRIVER_NO_DEVICE || status == DRIVER_INVALID_DEVICE;  // ROCm 5 gives the latter
    if (none || (status == DRIVER_OK && count == 0)) throw Fault{TALARIA_UNSUPPORTED, no_device()};
    check(status, "starting HIP", TALARIA_UNSUPPORTED);
  }

  std::string error_text(Status status) const override {
    const char* text = error_string_ == nullptr ? nullptr : error_string_(status);
    return text == nullptr ? "no such error" : text;
  }

  // gfx90a, without the features that may follow. The struct that has it has changed between versions, and is asked for
  // by no other way; but behind the device's name, which comes first, its architecture is the one text that begins so.
  std::string architecture(int device) const {
    constexpr size_t name_bytes = 256;
    alignas(16) char bytes[16384] = {};
    check(properties_(bytes, device), "asking for a device's architecture", TALARIA_UNSUPPORTED);
    for (size_t i = name_bytes; i + 8 < sizeof bytes; i++) {
      if (std::strncmp(bytes + i, "gfx", 3) != 0 || bytes[i + 3] < '1' || bytes[i + 3] > '9') continue;
      std::string text(bytes + i, strnlen(bytes + i, 64));
      return text.substr(0, text.find(':'));
    }
    return "";
  }

  Status (*set_device)(int device) = nullptr;
  Status (*enable_peer)(int other, unsigned flags) = nullptr;
  Status (*allocate_flagged)(void** memory, size_t bytes, unsigned flags) = nullptr;
  Status (*link_type)(int device, int other, uint32_t* type, uint32_t* hops) = nullptr;

 private:
  std::string no_device() const {
    int version = 0;
    if (runtime_version_ != nullptr) runtime_version_(&version);
    std::string text = "there is ROCm";
    if (version > 0) {
      text += " (HIP " + std::to_string(version / 10000000) + "." + std::to_string(version / 100000 % 100) + ")";
    }
    text += ", but no AMD GPU that it may use";
    if (access("/dev/kfd", F_OK) != 0) return text + ": the kernel driver's /dev/kfd is not there";
    if (access("/dev/kfd", R_OK | W_OK) != 0) {
      return text + ": this user may not open /dev/kfd; members of the groups render and video may";
    }
    return text;
  }

  SharedLibrary library_;
  const char* (*error_string_)(Status status) = nullptr;
  Status (*runtime_version_)(int* version) = nullptr;
  Status (*properties_)(void* properties, int device) = nullptr;
};

bool same_architecture(const Image& image, const Properties& properties) { return properties.architecture == image.architecture; }

class HipRuntime final : public DriverRuntime {
 public:
  // `numbers`: HIP's, of all devices that can be opened.
  HipRuntime(const HipApi& api, int32_t index, std::vector<int> numbers, const Properties& properties, bool copies_only)
      : DriverRuntime(api, "hip:" + std::to_string(index), properties, copies_only),
        hip_(api),
        numbers_(std::move(numbers)),
        device_number_(numbers_[static_cast<size_t>(index)]) {
    try {
      create_stream();
      std::string reason = load_kernels(same_architecture);
      if (!reason.empty()) {
        throw Fault{TALARIA_UNSUPPORTED, device_ + " (" + properties_.architecture + ") cannot be used: " + reason +
                                             ". The kernels were built by " + images_compiler};
      }
      if (copies_only_) require_streams_that_overlap();
    } catch (...) {
      close();
      throw;
    }
  }
  ~HipRuntime() override { close(); }

  Status make_current() const override { return hip_.set_device(device_number_); }
  std::function<Status()> entrance() const override {
    return [&hip = hip_, number = device_number_] { return hip.set_device(number); };
  }

 private:
  bool is_there(int32_t index) const { return index >= 0 && static_cast<size_t>(index) < numbers_.size(); }
  bool is_self(int32_t index) const override { return is_there(index) && numbers_[static_cast<size_t>(index)] == device_number_; }
  Status enter_peer(int32_t index) const override { return hip_.set_device(numbers_[static_cast<size_t>(index)]); }

  // Only GPUs with a link of their own have memory that sees others' writes while kernels run; over PCIe what hipMalloc gives
  // may lie in caches that see them between kernels only.
  bool is_linked(int other) const {
    constexpr uint32_t infinity_fabric = 4;  // HSA_AMD_LINK_INFO_TYPE_XGMI
    uint32_t type = 0, hops = 0;
    int can = 0;
    return other != device_number_ && hip_.link_type != nullptr && hip_.link_type(device_number_, other, &type, &hops) == DRIVER_OK &&
           type == infinity_fabric && hip_.can_access_peer(&can, device_number_, other) == DRIVER_OK && can != 0;
  }
  bool enable_peer(int32_t index) override {
    if (!is_there(index)) return false;
    int other = numbers_[static_cast<size_t>(index)];
    if (!is_linked(other)) return false;
    Status status = hip_.enable_peer(other, 0);
    return status == DRIVER_OK || status == DRIVER_PEER_ENABLED;
  }
  Status allocate_shared(void** memory, size_t bytes) const override {
    constexpr unsigned fine_grained = 1;
    bool linked = std::any_of(numbers_.begin(), numbers_.end(), [&](int other) { return is_linked(other); });
    return linked ? hip_.allocate_flagged(memory, bytes, fine_grained) : api_.allocate(memory, bytes);
  }

  Status load(const Image& image, void** module, std::string*) override {
    return hip_.load_module(module, image.data, 0, nullptr, nullptr);
  }
  void prepare(void*, uint32_t) override {}  // all of a block's memory is there for the asking

  const HipApi& hip_;
  const std::vector<int> numbers_;
  const int device_number_;
};

class HipDriver final : public Driver {
 public:
  const char* name() const override { return "hip"; }

  int32_t device_count() override { return static_cast<int32_t>(devices().size()); }

  Properties properties(int32_t index) override { return describe(device(index)); }

  int64_t free_bytes(int32_t index) override {
    size_t free = 0, total = 0;
    api().check(api().set_device(device(index)), "asking for free memory");
    api().check(api().memory_info(&free, &total), "asking for free memory");
    return static_cast<int64_t>(free);
  }

  std::unique_ptr<Runtime> open(int32_t index, bool copies_only) override {
    Properties properties = describe(device(index));
    return std::make_unique<HipRuntime>(api(), index, devices(), properties, copies_only);
  }

 private:
  const HipApi& api() {
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

  static bool has_code(const Properties& properties) {
    return std::any_of(images, images + image_count,
                       [&](const Image& image) { return same_architecture(image, properties); });
  }

  // The devices that there is code for: the graphics of a processor beside a good card are passed over.
  std::vector<int> devices() {
    int count = 0;
    api().check(api().device_count(&count), "counting devices", TALARIA_UNSUPPORTED);
    std::vector<int> usable;
    std::string passed_over;
    for (int i = 0; i < count; i++) {
      Properties found = describe(i);
      if (has_code(found)) {
        usable.push_back(i);
      } else {
        passed_over += (passed_over.empty() ? "" : ", ") + found.name + " (" + found.architecture + ")";
      }
    }
    if (usable.empty()) {
      throw Fault{TALARIA_UNSUPPORTED,
                  "this build of Talaria has no kernels for " + passed_over + "; it has them for " + built_for()};
    }
    return usable;
  }

  int device(int32_t index) {
    std::vector<int> all = devices();
    if (index < 0 || static_cast<size_t>(index) >= all.size()) {
      throw Fault{TALARIA_INVALID, "there is no device hip:" + std::to_string(index)};
    }
    return all[static_cast<size_t>(index)];
  }

  Properties describe(int number) {
    const HipApi& hip = api();
    Properties result;
    char name[128] = "";
    size_t bytes = 0;
    int processors = 0;
    hip.check(hip.device_name(name, sizeof name - 1, number), "asking for a device's name", TALARIA_UNSUPPORTED);
    hip.check(hip.device_memory(&bytes, number), "asking for a device's memory", TALARIA_UNSUPPORTED);
    hip.check(hip.device_attribute(&processors, MULTIPROCESSORS, number), "asking for a device's size", TALARIA_UNSUPPORTED);
    result.name = name;
    result.memory_bytes = static_cast<int64_t>(bytes);
    result.page_bytes = int64_t{2} << 20;
    result.processors = processors;
    result.architecture = hip.architecture(number);
    const std::string& gfx = result.architecture;
    result.compute = gfx.size() > 3 ? static_cast<int32_t>(std::strtol(gfx.c_str() + 3, nullptr, 16)) : 0;
    result.lanes = gfx.compare(0, 4, "gfx9") == 0 ? 64 : 32;  // as the kernels are built
    result.shared_bytes = 64 << 10;                           // of every AMD GPU that is listed in cmake/Hip.cmake
    result.needs = EXCHANGE;
    if (gfx == "gfx908" || gfx == "gfx90a") result.needs |= MFMA;
    if (gfx.compare(0, 5, "gfx11") == 0) result.needs |= WMMA;
    return result;
  }

  std::mutex mutex_;
  std::optional<HipApi> api_;
  std::string absent_;
};

}  // namespace

Driver& driver() {
  static HipDriver* the_driver = new HipDriver();  // for good: at exit ROCm's library may end before we do
  return *the_driver;
}

}  // namespace talaria::gpu
