// Devices that are the emulator (tests/simt), of kernels/gpu or of kernels/metal: their memory is the host's, and a launch has run when the call returns.
//
// Settings, read when a device is asked for or opened:
//   TALARIA_SIMT_DEVICES   how many there are: 1 to 8
//   TALARIA_SIMT_MEMORY    bytes of each
//   TALARIA_SIMT_NEEDS     which of Needs they have, as a number
//   TALARIA_PEERS          0: devices do not reach each other's memory
//   TALARIA_SIMT_ORDER     forward, reverse or random[:seed]: which threads and blocks go first
//   TALARIA_SIMT_CHECK     1: after every launch, look whether the kernel wrote outside of an allocation
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>

#include "../../tests/simt/faults.h"
#include "../../tests/simt/fiber.hpp"
#include "../../tests/simt/simt.hpp"
#include "runtime.h"
#if defined(TALARIA_SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace talaria::gpu {

namespace {

#if defined(TALARIA_METAL_EMULATED)  // kernels/metal in place of kernels/gpu
constexpr const char *driver_name = "metal", *what_is_emulated = "emulator of Metal";
constexpr uint32_t normal_needs = SIMDGROUP;
#else
constexpr const char *driver_name = "simt", *what_is_emulated = "emulator";
constexpr uint32_t normal_needs = EXCHANGE | (simt::lanes == 64 ? MFMA : MMA_INT8 | MMA_F16);
#endif

constexpr int64_t guard = 256, alignment = 256;
constexpr uint8_t guard_value = 0xA5;
constexpr int32_t most_devices = 8;

std::atomic<int64_t> allocations_left{0}, launches_left{0};  // until one fails; 0 or less: none does
std::atomic<int64_t> allocated_bytes{0}, launches{0};

bool fails_now(std::atomic<int64_t>& left) { return left.load() > 0 && left.fetch_sub(1) == 1; }

// A setting's number; what is no number within the limits counts as not set.
int64_t setting(const char* name, int64_t normal, int64_t least, int64_t most) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == 0) return normal;
  char* end = nullptr;
  int64_t value = std::strtoll(text, &end, 0);
  return *end != 0 || value < least || value > most ? normal : value;
}

// The bytes left of each device, for those that ask before it is opened too.
std::atomic<int64_t> used_bytes[most_devices];

Properties properties_of(int32_t index) {
  Properties p;
  p.name = what_is_emulated + (" of " + std::to_string(simt::lanes)) + " lanes, device " + std::to_string(index);
  p.architecture = "simt" + std::to_string(simt::lanes);
  p.memory_bytes = setting("TALARIA_SIMT_MEMORY", int64_t{4} << 30, 1, int64_t{1} << 46);
  p.processors = static_cast<int32_t>(simt::host_threads());
  p.lanes = simt::lanes;
  p.shared_bytes = static_cast<int64_t>(simt::most_shared_bytes);
  p.host_runs = true;
  p.needs = static_cast<uint32_t>(setting("TALARIA_SIMT_NEEDS", normal_needs, 0, UINT32_MAX));
  return p;
}

struct Allocation {
  int64_t bytes = 0;
  std::string what;
};

using Allocations = std::map<uint8_t*, Allocation>;

// Peer memory of all devices, which belongs to none.
std::mutex peers_mutex;
Allocations peers;
std::string peer_harm;  // that was seen when one was freed

int64_t counted(int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

// An empty string, or what was written beside the allocation, and by whom.
std::string harm_by(const std::string& who, const uint8_t* memory, const Allocation& allocation) {
#if defined(TALARIA_SIMT_ASAN)
  static_cast<void>(who), static_cast<void>(memory), static_cast<void>(allocation);
  return {};  // the sanitizer watches the guards
#else
  auto whole = [](const uint8_t* begin) {
    static const std::vector<uint8_t> expected(guard, guard_value);
    return std::memcmp(begin, expected.data(), guard) == 0;
  };
  bool before = whole(memory - guard), behind = whole(memory + allocation.bytes);
  if (before && behind) return {};
  return who + (behind ? " wrote before the beginning of '" : " wrote past the end of '") + allocation.what + "'";
#endif
}

void free_guarded(uint8_t* memory, int64_t bytes, int32_t index) {
  uint8_t* begin = memory - guard;
#if defined(TALARIA_SIMT_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(begin, static_cast<size_t>(bytes + 2 * guard));
#endif
  std::free(begin);
  used_bytes[index] -= counted(bytes);
  allocated_bytes -= counted(bytes);
}

bool lies_in(const Allocations& allocations, const uint8_t* from, int64_t bytes) {
  auto after = std::upper_bound(allocations.begin(), allocations.end(), from,
                                [](const uint8_t* at, const auto& allocation) { return at < allocation.first; });
  if (after == allocations.begin()) return false;
  const auto& [memory, allocation] = *std::prev(after);
  return bytes >= 0 && bytes <= allocation.bytes && from - memory <= allocation.bytes - bytes;
}

struct SimtGraph : Graph {
  explicit SimtGraph(std::span<const Launch> launches) : launches(launches.begin(), launches.end()) {}
  std::vector<Launch> launches;
};
struct SimtEvent : Event {
  std::chrono::steady_clock::time_point at;
};

class SimtRuntime : public Runtime {
 public:
  explicit SimtRuntime(int32_t index) : index_(index), properties_(properties_of(index)) {
    check_ = setting("TALARIA_SIMT_CHECK", 0, 0, 1) != 0;
    const char* order = std::getenv("TALARIA_SIMT_ORDER");
    std::string name = order == nullptr ? "forward" : order;
    if (name == "reverse") order_ = simt::Order::REVERSE;
    if (name.starts_with("random")) order_ = simt::Order::RANDOM;
    if (name.starts_with("random:")) seed_ = std::strtoull(name.c_str() + 7, nullptr, 0);
  }
  ~SimtRuntime() override {
    while (!allocations_.empty()) release(allocations_.begin()->first);
  }

  const Properties& properties() const override { return properties_; }
  int64_t free_bytes() override { return properties_.memory_bytes - used_bytes[index_]; }

  void* allocate(int64_t bytes, const char* what) override;
  void release(void* memory) noexcept override;
  void* allocate_host(int64_t bytes) override {
    void* memory = nullptr;
    if (bytes < 0 || posix_memalign(&memory, alignment, static_cast<size_t>(std::max<int64_t>(bytes, 1))) != 0) {
      throw Fault{TALARIA_OUT_OF_MEMORY, "the host has no " + std::to_string(bytes) + " bytes left"};
    }
    return memory;
  }
  void release_host(void* memory) noexcept override { std::free(memory); }
  void* map_host(void* memory, int64_t) override { return memory; }
  void unmap_host(void*) noexcept override {}

  std::shared_ptr<void> allocate_peer(int64_t bytes, const char* what) override;
  bool reaches(int32_t index) override {
    if (index == index_) return (properties_.needs & SIMDGROUP) == 0;
    bool peers = setting("TALARIA_PEERS", 1, 0, 1) != 0;
    return index >= 0 && index < most_devices && peers && (properties_.needs & EXCHANGE) != 0;
  }

  void upload(void* target, const void* host, int64_t bytes) override {
    check_range(target, bytes, "upload");
    std::memcpy(target, host, static_cast<size_t>(bytes));
  }
  void download(void* host, const void* source, int64_t bytes) override {
    check_range(source, bytes, "download");
    std::memcpy(host, source, static_cast<size_t>(bytes));
  }
  void copy(void* target, const void* source, int64_t bytes) override {
    check_range(target, bytes, "copy");
    check_range(source, bytes, "copy");
    std::memmove(target, source, static_cast<size_t>(bytes));
  }
  void fill(void* target, uint8_t value, int64_t bytes) override {
    check_range(target, bytes, "fill");
    std::memset(target, value, static_cast<size_t>(bytes));
  }

  // As if it ran 120 warps at once: the shapes of tests meet blocks of each size then.
  int64_t resident_blocks(Kernel, uint32_t threads) override { return 120 * 32 / threads; }
  void launch(const Launch& launch) override;
  std::unique_ptr<Graph> capture(std::span<const Launch> launches) override {
    return std::make_unique<SimtGraph>(launches);
  }
  void replay(Graph& graph) override {
    for (const Launch& each : static_cast<SimtGraph&>(graph).launches) launch(each);
  }

  std::unique_ptr<Event> new_event() override { return std::make_unique<SimtEvent>(); }
  void record(Event& event) override { static_cast<SimtEvent&>(event).at = std::chrono::steady_clock::now(); }
  void wait(Event&) override { check_lost(); }
  double elapsed_ms(Event& from, Event& to) override {
    std::chrono::duration<double, std::milli> time = static_cast<SimtEvent&>(to).at - static_cast<SimtEvent&>(from).at;
    return time.count();
  }
  void synchronize() override {
    check_lost();
    check_guards();
  }

 private:
  void check_lost() const {
    if (!lost_.empty()) throw Fault{TALARIA_LOST, lost_};
  }
  [[noreturn]] void lose(std::string text) {
    lost_ = std::move(text);
    throw Fault{TALARIA_LOST, lost_};
  }
  void check_range(const void* begin, int64_t bytes, const char* verb);
  std::string harm(const uint8_t* memory, const Allocation& allocation) const;
  void check_guards(const Allocations& allocations) {
    for (const auto& [memory, allocation] : allocations) {
      std::string text = harm(memory, allocation);
      if (!text.empty()) lose(std::move(text));
    }
  }
  void check_guards() {
    check_guards(allocations_);
    std::lock_guard<std::mutex> lock(peers_mutex);
    check_guards(peers);
    if (!peer_harm.empty()) lose(peer_harm);
  }

  int32_t index_;
  Properties properties_;
  bool check_ = false;
  simt::Order order_ = simt::Order::FORWARD;
  uint64_t seed_ = 1;
  Allocations allocations_;
  const char* last_kernel_ = nullptr;
  std::string lost_;  // why nothing runs any more
};

void* SimtRuntime::allocate(int64_t bytes, const char* what) {
  check_lost();
  bytes = std::max<int64_t>(bytes, 1);
  auto refuse = [&] {
    throw Fault{TALARIA_OUT_OF_MEMORY, std::string(what) + " needs " + std::to_string(bytes) + " bytes, " +
                                           std::to_string(free_bytes()) + " are free on " + properties_.name};
  };
  if (bytes > properties_.memory_bytes || fails_now(allocations_left)) refuse();
  int64_t size = counted(bytes);
  if (used_bytes[index_].fetch_add(size) + size > properties_.memory_bytes) {
    used_bytes[index_] -= size;
    refuse();
  }
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, static_cast<size_t>(bytes + 2 * guard)) != 0) {
    used_bytes[index_] -= size;
    refuse();
  }
  allocated_bytes += size;
  auto* begin = static_cast<uint8_t*>(memory) + guard;
  std::memset(begin - guard, guard_value, guard);
  std::memset(begin, 0xFF, static_cast<size_t>(bytes));  // NaN, whichever float it is read as
  std::memset(begin + bytes, guard_value, guard);
#if defined(TALARIA_SIMT_ASAN)
  ASAN_POISON_MEMORY_REGION(begin - guard, guard);
  ASAN_POISON_MEMORY_REGION(begin + bytes, guard);
#endif
  allocations_[begin] = {bytes, what};
  return begin;
}

void SimtRuntime::release(void* memory) noexcept {
  auto at = allocations_.find(static_cast<uint8_t*>(memory));
  if (at == allocations_.end()) return;
  if (lost_.empty()) lost_ = harm(at->first, at->second);  // whoever calls next hears of it
  free_guarded(at->first, at->second.bytes, index_);
  allocations_.erase(at);
}

std::shared_ptr<void> SimtRuntime::allocate_peer(int64_t bytes, const char* what) {
  auto* begin = static_cast<uint8_t*>(allocate(bytes, what));
  std::memset(begin, 0, static_cast<size_t>(bytes));
  std::lock_guard<std::mutex> lock(peers_mutex);
  peers.insert(allocations_.extract(begin));
  return {begin, [index = index_](void* memory) {
            std::lock_guard<std::mutex> lock(peers_mutex);
            auto at = peers.find(static_cast<uint8_t*>(memory));
            if (peer_harm.empty()) peer_harm = harm_by("a kernel of some device", at->first, at->second);
            free_guarded(at->first, at->second.bytes, index);
            peers.erase(at);
          }};
}

void SimtRuntime::check_range(const void* begin, int64_t bytes, const char* verb) {
  check_lost();
  if (bytes == 0) return;
  auto* from = static_cast<const uint8_t*>(begin);
  if (lies_in(allocations_, from, bytes)) return;
  {
    std::lock_guard<std::mutex> lock(peers_mutex);
    if (lies_in(peers, from, bytes)) return;
  }
  lose(std::string(verb) + " of " + std::to_string(bytes) + " bytes that are not all in one allocation of the device");
}

std::string SimtRuntime::harm(const uint8_t* memory, const Allocation& allocation) const {
  std::string who = last_kernel_ == nullptr ? "the host" : std::string("kernel ") + last_kernel_;
  if (!check_ && last_kernel_ != nullptr) who += ", or one before it (TALARIA_SIMT_CHECK=1 tells which),";
  return harm_by(who, memory, allocation);
}

void SimtRuntime::launch(const Launch& launch) {
  check_lost();
  last_kernel_ = kernel_name(launch.kernel);
  launches++;
  if (fails_now(launches_left)) lose(std::string("kernel ") + last_kernel_ + ": failed as asked");
  const simt::Registration* kernel = simt::find(last_kernel_);
  if (kernel == nullptr) lose(std::string("this library has no kernel ") + last_kernel_);
  simt::Grid grid = {{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, launch.shared_bytes};
  try {
    simt::run(*kernel, grid, launch.args, launch.args_bytes, order_, seed_++);
  } catch (const std::exception& e) {
    lose(e.what());
  }
  if (check_) check_guards();
}

class SimtDriver : public Driver {
 public:
  const char* name() const override { return driver_name; }
  int32_t device_count() override {
    return static_cast<int32_t>(setting("TALARIA_SIMT_DEVICES", 1, 1, most_devices));
  }
  Properties properties(int32_t index) override { return properties_of(known(index)); }
  int64_t free_bytes(int32_t index) override {
    return properties_of(known(index)).memory_bytes - used_bytes[index];
  }
  std::unique_ptr<Runtime> open(int32_t index, bool) override { return std::make_unique<SimtRuntime>(known(index)); }

 private:
  int32_t known(int32_t index) {
    if (index >= 0 && index < device_count()) return index;
    throw Fault{TALARIA_INVALID, "there is no emulated device " + std::to_string(index)};
  }
};

}  // namespace

Driver& driver() {
  static SimtDriver instance;
  return instance;
}

}  // namespace talaria::gpu

void talaria_simt_fail(int64_t allocation, int64_t launch) {
  talaria::gpu::allocations_left = allocation;
  talaria::gpu::launches_left = launch;
}
int64_t talaria_simt_allocated() { return talaria::gpu::allocated_bytes; }
int64_t talaria_simt_launches() { return talaria::gpu::launches; }
