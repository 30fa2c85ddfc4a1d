// A GPU backend's table: devices over the Runtime that its library was built with.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <system_error>
#include <unordered_map>

#include "plan_runtime.hpp"
#include "step.hpp"

namespace talaria::gpu {

namespace {

// A device's Meetings, of one that has them.
class PinnedMeetings {
 public:
  explicit PinnedMeetings(Runtime& runtime) : runtime_(runtime) {
    if ((runtime.properties().needs & EXCHANGE) == 0) return;
    all_ = static_cast<Meetings*>(runtime.allocate_host(sizeof(Meetings)));
    if (all_ != nullptr) *all_ = Meetings{};  // null: of a device that only plans
  }
  PinnedMeetings(const PinnedMeetings&) = delete;
  PinnedMeetings& operator=(const PinnedMeetings&) = delete;
  ~PinnedMeetings() {
    if (all_ != nullptr) runtime_.release_host(all_);
  }
  Meetings* get() const { return all_; }
  void close() {
    if (all_ != nullptr) __atomic_store_n(&all_->closing, 1, __ATOMIC_RELEASE);
  }
  // The talaria_waited of a wait that has ended without a signal since the last call; else TALARIA_SIGNALLED.
  int32_t take_failed() {
    if (all_ == nullptr) return TALARIA_SIGNALLED;
    return static_cast<int32_t>(__atomic_exchange_n(&all_->failed, uint32_t{TALARIA_SIGNALLED}, __ATOMIC_ACQ_REL));
  }

 private:
  Runtime& runtime_;
  Meetings* all_ = nullptr;
};

std::unique_ptr<Runtime> open_runtime(int32_t index, const talaria_device_options& options) {
  bool copies_only = options.copies_only != 0;
  if (copies_only && (driver().properties(index).needs & EXCHANGE) == 0)
    throw Fault{TALARIA_UNSUPPORTED, "this device leaves copies between devices to the host"};
  if (options.plan_only != 0) return plan_runtime(driver().properties(index));
  return driver().open(index, copies_only);
}

struct Device {
  Device(int32_t index, const talaria_device_options& options)
      : wait_limit_ms(options.wait_limit_ms),
        runtime(open_runtime(index, options)),
        uploader(*runtime),
        scratch(*runtime),
        meetings(*runtime) {}

  int32_t wait_limit_ms;
  std::unique_ptr<Runtime> runtime;
  Uploader uploader;
  Scratch scratch;
  PinnedMeetings meetings;
  std::shared_ptr<PeerBytes> peers = std::make_shared<PeerBytes>();
  std::unordered_map<void*, std::unique_ptr<Tensor>> tensors;
  std::unordered_map<void*, std::unique_ptr<Step>> steps;
  Queue queue;  // last, and so destroyed first: it may be running a step
};

Device& of(void* device) { return *static_cast<Device*>(device); }

int32_t device_count(talaria_status* status) {
  int32_t count = 0;
  reporting(status, [&] { count = driver().device_count(); });
  return count;
}

void require_device(int32_t index) {
  int32_t count = driver().device_count();
  if (index < 0 || index >= count) {
    const std::string name = driver().name();
    throw Fault{TALARIA_UNSUPPORTED, "there is no device " + name + ":" + std::to_string(index) + "; the last one is " +
                                         name + ":" + std::to_string(count - 1)};
  }
}

int32_t device_info(int32_t index, talaria_device_info* info, talaria_status* status) {
  return reporting(status, [&] {
    require_device(index);
    Properties properties = driver().properties(index);
    info->activation_block = 32;
    info->memory_bytes = properties.memory_bytes;
    info->free_bytes = driver().free_bytes(index);
    snprintf(info->name, sizeof info->name, "%.80s, %.30s", properties.name.c_str(), properties.architecture.c_str());
  });
}

int32_t device_open(int32_t index, const talaria_device_options* options, void** device, talaria_status* status) {
  return reporting(status, [&] {
    require_device(index);
    *device = std::make_unique<Device>(index, *options).release();
  });
}

void device_close(void* device) {
  auto* closed = static_cast<Device*>(device);
  closed->meetings.close();
  closed->queue.stop();
  talaria_status ignored{};
  reporting(&ignored, [&] { closed->runtime->synchronize(); });
  delete closed;
}

// Waits for the queue and then for the device; for what its kernels have waited in vain for, too.
int32_t sync(void* device, talaria_status* status) {
  Device& d = of(device);
  int32_t code = d.queue.wait(status);
  // Whatever has failed: when this returns, nothing runs.
  talaria_status own{};
  int32_t after = reporting(&own, [&] {
    d.runtime->synchronize();
    int32_t waited = d.meetings.take_failed();
    if (waited != TALARIA_SIGNALLED) throw no_signal(waited, d.wait_limit_ms);
  });
  if (after != TALARIA_OK && code != TALARIA_LOST && (code == TALARIA_OK || after == TALARIA_LOST)) {
    code = report(status, after, own.text);
  }
  if (code == TALARIA_LOST) {
    for (const auto& [object, step] : d.steps) step->abandon();
  }
  return code;
}

int32_t tensor_new(void* device, const talaria_tensor_desc* desc, int64_t bytes, void** tensor, talaria_status* status) {
  int32_t code = of(device).queue.wait(status);
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] {
    auto made = std::make_unique<Tensor>(*of(device).runtime, *desc, bytes);
    if (desc->kind == TALARIA_WEIGHT) of(device).uploader.reserve(made->row_bytes);
    *tensor = made.get();
    of(device).tensors.emplace(made.get(), std::move(made));
  });
}

void tensor_free(void* device, void* tensor) { of(device).tensors.erase(tensor); }

int32_t write(void* device, void* tensor, int64_t offset, const uint8_t* source, int64_t bytes, talaria_status* status) {
  int32_t code = of(device).queue.wait(status);
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] {
    Device& d = of(device);
    auto& target = *static_cast<Tensor*>(tensor);
    if (target.desc.kind == TALARIA_WEIGHT) {
      d.uploader.write_weight(target, offset, source, bytes);
    } else {
      d.runtime->upload(target.memory.data() + offset, source, bytes);
      d.runtime->synchronize();
    }
  });
}

int32_t read(void* device, void* tensor, int64_t offset, uint8_t* target, int64_t bytes, talaria_status* status) {
  int32_t code = sync(device, status);
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] {
    of(device).runtime->download(target, static_cast<Tensor*>(tensor)->memory.data() + offset, bytes);
    of(device).runtime->synchronize();
  });
}

int32_t step_new(void* device, const talaria_step_options* options, void** step, talaria_status* status) {
  return reporting(status, [&] {
    Device& d = of(device);
    auto made = std::make_unique<Step>(*options, *d.runtime, d.scratch, d.wait_limit_ms, d.queue.cancelled(), d.meetings.get());
    *step = made.get();
    d.steps.emplace(made.get(), std::move(made));
  });
}

int32_t step_append(void*, void* step, int32_t op, const void* args, talaria_status* status) {
  return reporting(status, [&] { static_cast<Step*>(step)->append(op, args); });
}

int32_t step_end(void* device, void* step, talaria_status* status) {
  int32_t code = sync(device, status);  // the scratch memory may be exchanged
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] {
    static_cast<Step*>(step)->end();
    // Those that the scratch memory has moved away from follow it now; one that finds no room tries again when it runs.
    for (const auto& [object, other] : of(device).steps) {
      talaria_status ignored{};
      if (reporting(&ignored, [&, &other = other] { other->refresh(); }) == TALARIA_LOST) throw Fault{TALARIA_LOST, ignored.text};
    }
  });
}

void step_free(void* device, void* step) { of(device).steps.erase(step); }

// What only queues work on the device is run here; what would keep the caller waiting goes to the queue's own thread.
int32_t run(void* device, void* step, const int32_t* batch, int64_t words, talaria_status* status) {
  return reporting(status, [&] {
    Device& d = of(device);
    auto* run = static_cast<Step*>(step);
    if (!d.runtime->properties().host_runs && !run->needs_host() && d.queue.idle()) return run->run(batch);
    std::vector<int32_t> copy(batch, batch + words);
    d.queue.add([run, copy = std::move(copy)] { run->run(copy.data()); }, [run] { run->abandon(); });
  });
}

double best_pass_ms(Runtime& runtime, const Launch& pass, int passes) {
  double best = 0;
  auto from = runtime.new_event(), to = runtime.new_event();
  for (int i = 0; i < passes; i++) {
    runtime.record(*from);
    runtime.launch(pass);
    runtime.record(*to);
    runtime.wait(*to);
    double ms = runtime.elapsed_ms(*from, *to);
    if (i == 0 || ms < best) best = ms;
  }
  return best;
}

int32_t read_bandwidth(void* device, int64_t bytes, double* result, talaria_status* status) {
  int32_t code = sync(device, status);
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] {
    Runtime& runtime = *of(device).runtime;
    constexpr uint32_t threads = 256;
    uint32_t blocks = static_cast<uint32_t>(std::max(1, runtime.properties().processors)) * 8;
    Memory source(runtime, bytes, "memory to read"), sums(runtime, int64_t{blocks} * threads / 32 * 4, "sums of what is read");
    runtime.fill(source.data(), 0, bytes);
    ReadArgs args{};
    args.source = source.data(), args.sums = reinterpret_cast<uint32_t*>(sums.data()), args.bytes = bytes / 16 * 16;
    double ms = best_pass_ms(runtime, Launch::of(Kernel::read_bandwidth, blocks, 1, 1, threads, args), 9);
    runtime.synchronize();
    *result = static_cast<double>(args.bytes) / (ms * 1e6);
  });
}

void device_memory(void* device, talaria_device_memory* memory) {
  const Runtime& runtime = *of(device).runtime;
  memory->weight_bytes = memory->kv_bytes = 0;
  for (const auto& [object, tensor] : of(device).tensors) {
    if (tensor->desc.kind == TALARIA_WEIGHT) memory->weight_bytes += tensor->memory.bytes();
    if (tensor->desc.kind == TALARIA_KV) memory->kv_bytes += tensor->memory.bytes();
  }
  const PeerBytes& peers = *of(device).peers;
  memory->scratch_bytes = runtime.asked_bytes - memory->weight_bytes - memory->kv_bytes + peers.asked;
  memory->rounding_bytes = runtime.taken_bytes - runtime.asked_bytes + peers.taken - peers.asked;
}

int32_t reaches(void* device, int32_t index) {
  talaria_status ignored{};
  bool result = false;
  reporting(&ignored, [&] { result = of(device).runtime->reaches(index); });
  return result;
}

int32_t peer_new(void* device, const talaria_tensor_desc* desc, int64_t bytes, void** peer, talaria_status* status) {
  int32_t code = of(device).queue.wait(status);
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] {
    Device& d = of(device);
    *peer = std::make_unique<Peer>(*d.runtime, d.peers, bytes, desc->label).release();
  });
}

void peer_free(void* peer) { delete static_cast<Peer*>(peer); }

const talaria_backend_table& table() {
  static const talaria_backend_table table = {
      sizeof(talaria_backend_table), TALARIA_ABI_VERSION, driver().name(), device_count, device_info, device_open,
      device_close, sync, tensor_new, tensor_free, write, read, step_new, step_append, step_end, step_free, run,
      read_bandwidth, device_memory, reaches, peer_new, peer_free,
  };
  return table;
}

}  // namespace
}  // namespace talaria::gpu

extern "C" __attribute__((visibility("default"))) const talaria_backend_table* talaria_backend(uint32_t abi_version) {
  return abi_version == TALARIA_ABI_VERSION ? &talaria::gpu::table() : nullptr;
}
