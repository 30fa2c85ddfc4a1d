#include "driver_api.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>

namespace talaria::gpu {

std::string built_for() {
  std::string all;
  for (const Image& image : std::span(images, image_count)) {
    if (all.find(image.architecture) == std::string::npos) all += (all.empty() ? "" : ", ") + std::string(image.architecture);
  }
  return all.empty() ? "none" : all;
}

// --- faults -----------------------------------------------------------------------------------------------------------

// Codes after which the device's context answers nothing else, of CUDA and of HIP.
static bool is_sticky(Status status) {
  switch (status) {
    case 4:    // deinitialised
    case 46:   // device unavailable
    case 201:  // the context is invalid: a fault in another queue of the same device ended it
    case 214:  // memory error that ECC could not correct
    case 220:  // NVLink error
    case 226:  // memory error, contained
    case 700:  // illegal address
    case 702:  // a kernel ran too long
    case 709:  // the context was destroyed
    case 710:  // assertion
    case 714:  // hardware stack
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // address space
    case 718:  // program counter
    case 719:  // launch failed
    case 999:  // unknown
    case 1052: case 1053:  // AMD's runtime below HIP
      return true;
    default: return false;
  }
}

void DriverApi::check(Status status, const char* doing, int32_t code) const {
  if (status == DRIVER_OK) return;
  std::string text = error_text(status) + " (error " + std::to_string(status) + ", while " + doing + ")";
  if (is_sticky(status)) throw Fault{TALARIA_LOST, "the device is lost: " + text};
  if (status == DRIVER_OUT_OF_MEMORY) throw Fault{TALARIA_OUT_OF_MEMORY, text};
  throw Fault{code, text};
}

static std::string size_text(int64_t bytes) {
  char text[32];
  if (bytes < 1000000) {
    snprintf(text, sizeof text, "%lld bytes", static_cast<long long>(bytes));
  } else if (bytes < 1000000000) {
    snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  } else {
    snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  }
  return text;
}

// --- opening and closing ----------------------------------------------------------------------------------------------

// A few blocks keep a link busy; more would only keep processors from those who compute.
constexpr int32_t copy_blocks_beside_others = 8;

DriverRuntime::DriverRuntime(const DriverApi& api, std::string device, Properties properties, bool copies_only)
    : api_(api), device_(std::move(device)), properties_(std::move(properties)), copies_only_(copies_only) {
  if (copies_only) properties_.copy_blocks = copy_blocks_beside_others;
}

void DriverRuntime::create_stream() {
  constexpr unsigned independent = 1;  // of the stream that others use when they name none
  enter("creating a stream");
  // Copies go first where blocks of both queues wait for a processor: others wait for them.
  api_.check(api_.create_stream(&stream_, independent, copies_only_ ? copies_priority() : 0), "creating a stream");
}

void DriverRuntime::close() noexcept {
  if (make_current() != DRIVER_OK) return;
  if (stream_ != nullptr) {
    api_.synchronize(stream_);
    api_.destroy_stream(stream_);
    stream_ = nullptr;
  }
  unload_kernels();
}

void DriverRuntime::unload_kernels() noexcept {
  for (void* module : modules_) api_.unload_module(module);
  modules_.clear();
  functions_.fill(nullptr);
}

std::string DriverRuntime::load_kernels(bool (*wanted)(const Image&, const Properties&)) {
  unload_kernels();
  enter("loading kernels");
  std::string refusal;
  for (const Image& image : std::span(images, image_count)) {
    if (!wanted(image, properties_)) continue;
    if (copies_only_ && std::strcmp(image.file, kernel_name(Kernel::exchange)) != 0) continue;
    void* module = nullptr;
    std::string log;
    Status status = load(image, &module, &log);
    if (status == DRIVER_OK) {
      modules_.push_back(module);
      continue;
    }
    // An image without code for this device has the kernels of others; one that is refused may be missed below.
    if (is_sticky(status) || status == DRIVER_OUT_OF_MEMORY) api_.check(status, "loading kernels");
    if (refusal.empty()) refusal = std::string(image.file) + ": " + api_.error_text(status) + (log.empty() ? "" : ": " + log);
  }
  for (size_t i = 0; i < functions_.size(); i++) {
    auto kernel = static_cast<Kernel>(i);
    if ((kernel_needs(kernel) & ~properties_.needs) != 0) continue;
    if (copies_only_ && kernel != Kernel::exchange) continue;
    std::string symbol = std::string("talaria_") + kernel_name(kernel);
    for (void* module : modules_) {
      if (api_.find_function(&functions_[i], module, symbol.c_str()) == DRIVER_OK) break;
      functions_[i] = nullptr;
    }
    if (functions_[i] == nullptr) {
      return std::string("the kernel ") + kernel_name(kernel) + " is not there for " + properties_.architecture +
             (refusal.empty() ? "" : " (" + refusal + ")");
    }
  }
  return "";
}

void DriverRuntime::enter(const char* doing) const { api_.check(make_current(), doing); }

// --- memory -----------------------------------------------------------------------------------------------------------

int64_t DriverRuntime::free_bytes() {
  enter("asking for free memory");
  size_t free = 0, total = 0;
  api_.check(api_.memory_info(&free, &total), "asking for free memory");
  return static_cast<int64_t>(free);
}

void DriverRuntime::fail_allocation(int64_t bytes, const char* what) {
  size_t free = 0, total = 0;
  api_.check(api_.memory_info(&free, &total), "asking for free memory");
  throw Fault{TALARIA_OUT_OF_MEMORY, device_ + " has no room for " + size_text(bytes) + " (" + what + "): of its " +
                                         size_text(static_cast<int64_t>(total)) + " only " +
                                         size_text(static_cast<int64_t>(free)) + " are free"};
}

void* DriverRuntime::allocate(int64_t bytes, const char* what) {
  enter("allocating memory");
  void* memory = nullptr;
  Status status = api_.allocate(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1)));
  if (status == DRIVER_OUT_OF_MEMORY) fail_allocation(bytes, what);
  api_.check(status, "allocating memory");
  return memory;
}

void DriverRuntime::release(void* memory) noexcept {
  if (memory != nullptr && make_current() == DRIVER_OK) api_.release(memory);
}

void* DriverRuntime::allocate_host(int64_t bytes) {
  enter("allocating host memory");
  void* memory = nullptr;
  Status status = api_.allocate_host(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1)), 0);
  if (status == DRIVER_OUT_OF_MEMORY) {
    throw Fault{TALARIA_OUT_OF_MEMORY, "the host has no " + size_text(bytes) + " of memory that can be pinned for " + device_};
  }
  api_.check(status, "allocating host memory");
  return memory;
}

void DriverRuntime::release_host(void* memory) noexcept {
  if (memory != nullptr && make_current() == DRIVER_OK) api_.release_host(memory);
}

namespace {

// Pages of the host that devices of this process are shown: pinned once for all of them, and until the last one is done.
struct PinnedPages {
  struct Use {
    int count = 0;
    std::shared_ptr<void> context;  // of the device that pinned them: they would go with it
  };
  std::mutex mutex;
  std::map<void*, Use> uses;
  static PinnedPages& all() {
    static PinnedPages& pages = *new PinnedPages();  // for good: at exit other threads may still use it
    return pages;
  }
};

}  // namespace

void* DriverRuntime::map_host(void* memory, int64_t bytes) {
  constexpr unsigned for_all_and_mapped = 3;
  constexpr size_t page = 4096;
  enter("sharing host memory");
  PinnedPages& pinned = PinnedPages::all();
  std::lock_guard<std::mutex> lock(pinned.mutex);
  auto found = pinned.uses.find(memory);
  if (found == pinned.uses.end()) {
    std::shared_ptr<void> context = hold_context();
    size_t size = (static_cast<size_t>(bytes) + page - 1) / page * page;
    Status status = api_.pin_host(memory, size, for_all_and_mapped);
    if (status == DRIVER_OUT_OF_MEMORY) {
      throw Fault{TALARIA_OUT_OF_MEMORY, "the host has no " + size_text(bytes) + " of memory that can be pinned for " + device_};
    }
    constexpr Status already_pinned = 712;  // by what could not unpin it
    if (status != already_pinned) api_.check(status, "pinning host memory");
    found = pinned.uses.emplace(memory, PinnedPages::Use{0, std::move(context)}).first;
  }
  void* address = nullptr;
  Status status = api_.host_address(&address, memory, 0);
  if (status != DRIVER_OK && found->second.count == 0) {
    api_.unpin_host(memory);
    pinned.uses.erase(found);
  }
  api_.check(status, "sharing host memory");
  found->second.count++;
  return address;
}

void DriverRuntime::unmap_host(void* memory) noexcept {
  PinnedPages& pinned = PinnedPages::all();
  std::lock_guard<std::mutex> lock(pinned.mutex);
  auto found = pinned.uses.find(memory);
  if (found == pinned.uses.end() || --found->second.count > 0) return;
  if (make_current() == DRIVER_OK) api_.unpin_host(memory);
  pinned.uses.erase(found);
}

std::shared_ptr<void> DriverRuntime::allocate_peer(int64_t bytes, const char* what) {
  enter("allocating memory");
  std::function<Status()> enter_later = entrance();
  void* memory = nullptr;
  Status status = allocate_shared(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1)));
  if (status == DRIVER_OUT_OF_MEMORY) fail_allocation(bytes, what);
  api_.check(status, "allocating memory");
  std::shared_ptr<void> peer(memory, [enter_later, &api = api_](void* freed) {
    if (enter_later() == DRIVER_OK) api.release(freed);
  });
  fill(memory, 0, bytes);
  synchronize();  // others do not wait for this device's stream
  return peer;
}

bool DriverRuntime::reaches(int32_t index) {
  if (is_self(index)) return true;
  if ((properties_.needs & EXCHANGE) == 0) return false;  // the host copies for it
  const char* peers = std::getenv("TALARIA_PEERS");
  if (peers != nullptr && std::strcmp(peers, "0") == 0) return false;
  auto known = reaches_.find(index);
  if (known == reaches_.end()) {
    enter("reaching another device");
    known = reaches_.emplace(index, enable_peer(index) && copies_arrive(index)).first;
  }
  return known->second;
}

Launch DriverRuntime::exchange_launch(const ExchangeArgs& args) const {
  return Launch::of(Kernel::exchange, 1, 1, 1, 1024, args);
}

// Some machines' drivers allow peer access, and what is written gets lost on the way.
bool DriverRuntime::copies_arrive(int32_t index) {
  constexpr int32_t words = 4096;
  auto* host = static_cast<uint32_t*>(allocate_host((2 * words + 2) * 4 + static_cast<int64_t>(sizeof(Meetings))));
  if (host == nullptr) return false;
  uint32_t* back = host + words;
  auto* header = reinterpret_cast<int32_t*>(back + words);
  auto* meetings = reinterpret_cast<Meetings*>(header + 2);
  for (uint32_t i = 0; i < words; i++) host[i] = i * 2654435761u, back[i] = 0;
  header[0] = 1, header[1] = 0, *meetings = Meetings{};
  void* there = nullptr;
  Status status = enter_peer(index);
  if (status == DRIVER_OK) status = allocate_shared(&there, words * 4);
  ExchangeArgs args{};
  args.header = header, args.failed = reinterpret_cast<uint32_t*>(header + 1), args.meetings = meetings;
  args.copy[0].target = static_cast<uint32_t*>(there), args.copy[0].source = host, args.copy[0].row_words = words;
  args.copies = 1;
  if (status == DRIVER_OK) status = make_current();
  if (status == DRIVER_OK) status = start(function(exchange_launch(args)), exchange_launch(args), stream_);
  if (status == DRIVER_OK) status = api_.synchronize(stream_);
  if (status == DRIVER_OK) status = enter_peer(index);  // which reads what it has
  if (status == DRIVER_OK) status = api_.download(back, there, words * 4, nullptr);
  if (status == DRIVER_OK) status = api_.synchronize(nullptr);
  bool arrived = status == DRIVER_OK && std::memcmp(host, back, words * 4) == 0;
  if (there != nullptr && enter_peer(index) == DRIVER_OK) api_.release(there);
  release_host(host);
  enter("reaching another device");
  return arrived;
}

void DriverRuntime::require_streams_that_overlap() {
  constexpr int32_t limit_ms = 2000;
  enter("trying two streams");
  void* second = nullptr;
  auto* cell = static_cast<talaria_event_cell*>(allocate_host(sizeof(talaria_event_cell) + sizeof(Meetings) + 8));
  auto* meetings = reinterpret_cast<Meetings*>(cell + 1);
  auto* header = reinterpret_cast<int32_t*>(meetings + 1);
  *cell = talaria_event_cell{}, *meetings = Meetings{}, header[0] = header[1] = 0;
  ExchangeArgs wait{};
  wait.header = header, wait.failed = reinterpret_cast<uint32_t*>(header + 1), wait.meetings = meetings;
  wait.limit_ms = limit_ms;
  ExchangeArgs signal = wait;
  wait.wait = cell, signal.signal = cell;
  Launch waiting = exchange_launch(wait), signalling = exchange_launch(signal);
  Status status = api_.create_stream(&second, 1, 0);
  if (status == DRIVER_OK) status = start(function(waiting), waiting, stream_);
  if (status == DRIVER_OK) status = start(function(signalling), signalling, second);
  if (status == DRIVER_OK) status = api_.synchronize(stream_);
  if (status == DRIVER_OK) status = api_.synchronize(second);
  bool failed = meetings->failed != 0;
  if (second != nullptr) api_.destroy_stream(second);
  release_host(cell);
  api_.check(status, "trying two streams");
  if (failed) throw Fault{TALARIA_UNSUPPORTED, device_ + " runs no two kernels at the same time: another setting or tool keeps it from that"};
}

void DriverRuntime::upload(void* target, const void* host, int64_t bytes) {
  if (bytes == 0) return;
  enter("copying to the device");
  api_.check(api_.upload(target, host, static_cast<size_t>(bytes), stream_), "copying to the device");
}

void DriverRuntime::download(void* host, const void* source, int64_t bytes) {
  if (bytes == 0) return;
  enter("copying from the device");
  api_.check(api_.download(host, source, static_cast<size_t>(bytes), stream_), "copying from the device");
}

void DriverRuntime::copy(void* target, const void* source, int64_t bytes) {
  if (bytes == 0) return;
  enter("copying on the device");
  api_.check(api_.copy(target, source, static_cast<size_t>(bytes), stream_), "copying on the device");
}

void DriverRuntime::fill(void* target, uint8_t value, int64_t bytes) {
  if (bytes == 0) return;
  enter("filling memory");
  api_.check(api_.fill(target, value, static_cast<size_t>(bytes), stream_), "filling memory");
}

// --- kernels ----------------------------------------------------------------------------------------------------------

void* DriverRuntime::function(const Launch& launch) {
  void* found = launch.kernel < Kernel::count ? functions_[static_cast<size_t>(launch.kernel)] : nullptr;
  if (found == nullptr) {
    throw Fault{TALARIA_UNSUPPORTED,
                std::string("the kernel ") + kernel_name(launch.kernel) + " does not run on " + properties_.architecture};
  }
  return found;
}

Status DriverRuntime::start(void* function, const Launch& launch, void* stream) {
  void* arguments[] = {const_cast<uint8_t*>(launch.args)};
  return api_.launch(function, launch.grid[0], launch.grid[1], launch.grid[2], launch.threads, 1, 1, launch.shared_bytes,
                     stream, arguments, nullptr);
}

void DriverRuntime::start_all(std::span<const Launch> launches) {
  for (const Launch& launch : launches) {
    Status status = start(function(launch), launch, stream_);
    if (status == DRIVER_OK) continue;
    char doing[160];
    snprintf(doing, sizeof doing, "launching %s, %u x %u x %u blocks of %u threads, %u bytes of shared memory",
             kernel_name(launch.kernel), launch.grid[0], launch.grid[1], launch.grid[2], launch.threads,
             launch.shared_bytes);
    api_.check(status, doing);
  }
}

int64_t DriverRuntime::resident_blocks(Kernel kernel, uint32_t threads) {
  void* found = functions_[static_cast<size_t>(kernel)];
  if (found == nullptr) return 0;
  enter("asking how many blocks a kernel runs at once");
  int blocks = 0;
  api_.check(api_.occupancy(&blocks, found, static_cast<int>(threads), 0), "asking how many blocks a kernel runs at once");
  return int64_t{blocks} * properties_.processors;
}

void DriverRuntime::launch(const Launch& launch) {
  enter("launching a kernel");
  prepare(function(launch), launch.shared_bytes);
  start_all(std::span(&launch, 1));
}

namespace {

class DriverGraph final : public Graph {
 public:
  DriverGraph(const DriverRuntime& runtime, const DriverApi& api, void* executable)
      : runtime_(runtime), api_(api), executable_(executable) {}
  ~DriverGraph() override {
    if (runtime_.make_current() == DRIVER_OK) api_.destroy_executable(executable_);
  }
  void* executable() const { return executable_; }

 private:
  const DriverRuntime& runtime_;
  const DriverApi& api_;
  void* executable_;
};

class DriverEvent final : public Event {
 public:
  DriverEvent(const DriverRuntime& runtime, const DriverApi& api, void* event)
      : runtime_(runtime), api_(api), event_(event) {}
  ~DriverEvent() override {
    if (runtime_.make_current() == DRIVER_OK) api_.destroy_event(event_);
  }
  void* event() const { return event_; }

 private:
  const DriverRuntime& runtime_;
  const DriverApi& api_;
  void* event_;
};

}  // namespace

std::unique_ptr<Graph> DriverRuntime::capture(std::span<const Launch> launches) {
  constexpr int this_thread = 1;  // what other threads do meanwhile does not end the capture
  enter("capturing a step");
  for (const Launch& launch : launches) prepare(function(launch), launch.shared_bytes);
  api_.check(api_.begin_capture(stream_, this_thread), "beginning a capture");
  void* graph = nullptr;
  try {
    start_all(launches);
  } catch (const Fault&) {
    if (api_.end_capture(stream_, &graph) == DRIVER_OK && graph != nullptr) api_.destroy_graph(graph);
    throw;
  }
  api_.check(api_.end_capture(stream_, &graph), "ending a capture");
  void* executable = nullptr;
  Status status = api_.instantiate(&executable, graph, 0);
  api_.destroy_graph(graph);
  api_.check(status, "preparing a captured step");
  return std::make_unique<DriverGraph>(*this, api_, executable);
}

void DriverRuntime::replay(Graph& graph) {
  enter("replaying a step");
  api_.check(api_.launch_graph(static_cast<DriverGraph&>(graph).executable(), stream_), "replaying a step");
}

// --- events -----------------------------------------------------------------------------------------------------------

std::unique_ptr<Event> DriverRuntime::new_event() {
  enter("creating an event");
  void* event = nullptr;
  api_.check(api_.create_event(&event, 0), "creating an event");
  return std::make_unique<DriverEvent>(*this, api_, event);
}

void DriverRuntime::record(Event& event) {
  enter("recording an event");
  api_.check(api_.record_event(static_cast<DriverEvent&>(event).event(), stream_), "recording an event");
}

void DriverRuntime::wait(Event& event) {
  enter("waiting for the device");
  api_.check(api_.wait_event(static_cast<DriverEvent&>(event).event()), "waiting for the device");
}

double DriverRuntime::elapsed_ms(Event& from, Event& to) {
  enter("taking a time");
  float ms = 0;
  api_.check(api_.elapsed(&ms, static_cast<DriverEvent&>(from).event(), static_cast<DriverEvent&>(to).event()),
             "taking a time");
  return ms;
}

void DriverRuntime::synchronize() {
  enter("waiting for the device");
  api_.check(api_.synchronize(stream_), "waiting for the device");
}

}  // namespace talaria::gpu
