// The CPU backend's table: one device, the machine's processor and memory.
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <unordered_map>

#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include "../../kernels/cpu/bandwidth.hpp"
#include "../../kernels/cpu/simd.hpp"
#include "step.hpp"

namespace talaria::cpu {

namespace {

int64_t total_memory() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
}

// Memory that can be had without swapping. Where the system does not say, all of it.
int64_t free_memory() {
  long long kib = -1;
  if (FILE* file = fopen("/proc/meminfo", "r")) {
    char line[256];
    while (kib < 0 && fgets(line, sizeof line, file) != nullptr) {
      if (sscanf(line, "MemAvailable: %lld kB", &kib) != 1) kib = -1;
    }
    fclose(file);
  }
  return kib >= 0 ? static_cast<int64_t>(kib) * 1024 : total_memory();
}

// Cores that this process may use, two threads of one core counted once.
int32_t physical_cores() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    std::set<std::string> cores;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      if (!CPU_ISSET(cpu, &allowed)) continue;
      std::string path = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
      char siblings[256] = "";
      if (FILE* file = fopen(path.c_str(), "r")) {
        if (fgets(siblings, sizeof siblings, file) == nullptr) siblings[0] = 0;
        fclose(file);
      }
      cores.insert(siblings[0] != 0 ? siblings : path);
    }
    if (!cores.empty()) return static_cast<int32_t>(cores.size());
  }
#endif
  return std::max(1, static_cast<int32_t>(std::thread::hardware_concurrency()));
}

void processor_name(char* name, size_t size) {
  snprintf(name, size, "CPU");
#ifdef __APPLE__
  sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0);
#else
  if (FILE* file = fopen("/proc/cpuinfo", "r")) {
    char line[256], model[128];
    while (fgets(line, sizeof line, file) != nullptr) {
      if (sscanf(line, "model name : %127[^\n]", model) == 1) {
        snprintf(name, size, "%s", model);
        break;
      }
    }
    fclose(file);
  }
#endif
}

struct Device {
  explicit Device(const talaria_device_options& options)
      : wait_limit_ms(options.wait_limit_ms),
        plan_only(options.plan_only != 0),
        pool(options.threads > 0 ? options.threads : physical_cores()),
        scratch(plan_only) {}

  int32_t wait_limit_ms;
  bool plan_only;
  Pool pool;
  Scratch scratch;
  std::unordered_map<void*, std::unique_ptr<Memory>> tensors;
  std::unordered_map<void*, std::unique_ptr<Step>> steps;
  Queue queue;  // last, and so destroyed first: it may be running a step
};

// Of a tensor that is only planned: sums of as many as a model may have do not overflow.
constexpr int64_t most_planned_bytes = int64_t{1} << 44;

Device& of(void* device) { return *static_cast<Device*>(device); }

int32_t device_count(talaria_status*) { return 1; }

int32_t device_info(int32_t index, talaria_device_info* info, talaria_status* status) {
  if (index != 0) return report(status, TALARIA_UNSUPPORTED, "there is one cpu device, cpu:0");
  info->activation_block = 32;
  info->memory_bytes = total_memory();
  info->free_bytes = free_memory();
  char processor[128];
  processor_name(processor, sizeof processor);
  snprintf(info->name, sizeof info->name, "%.80s, %s", processor, simd().name);
  return TALARIA_OK;
}

int32_t device_open(int32_t index, const talaria_device_options* options, void** device, talaria_status* status) {
  if (index != 0) return report(status, TALARIA_UNSUPPORTED, "there is one cpu device, cpu:0");
  if (options->copies_only != 0) return report(status, TALARIA_UNSUPPORTED, "the cpu has one queue");
  return reporting(status, [&] {
    *device = std::make_unique<Device>(*options).release();
  });
}

void device_close(void* device) { delete static_cast<Device*>(device); }

int32_t sync(void* device, talaria_status* status) { return of(device).queue.wait(status); }

int32_t tensor_new(void* device, const talaria_tensor_desc* desc, int64_t bytes, void** tensor, talaria_status* status) {
  return reporting(status, [&] {
    bool plan_only = of(device).plan_only;
    if (plan_only && bytes > most_planned_bytes) {
      throw Fault{TALARIA_OUT_OF_MEMORY, std::string("tensor ") + desc->label + " needs " + std::to_string(bytes) +
                                             " bytes, more than any machine has"};
    }
    int64_t available = plan_only ? INT64_MAX : free_memory();
    // The kernel hands out more than there is and kills the process later; so ask first.
    if (bytes >= available) {
      throw Fault{TALARIA_OUT_OF_MEMORY, std::string("tensor ") + desc->label + " needs " + std::to_string(bytes) +
                                             " bytes and " + std::to_string(available) + " are free; close what else runs"};
    }
    auto memory = std::make_unique<Memory>(*desc, bytes, plan_only);
    *tensor = memory.get();
    of(device).tensors.emplace(memory.get(), std::move(memory));
  });
}

void tensor_free(void* device, void* tensor) { of(device).tensors.erase(tensor); }

int32_t write(void* device, void* tensor, int64_t offset, const uint8_t* source, int64_t bytes, talaria_status* status) {
  int32_t code = sync(device, status);
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] { static_cast<Memory*>(tensor)->write(offset, source, bytes, of(device).pool); });
}

int32_t read(void* device, void* tensor, int64_t offset, uint8_t* target, int64_t bytes, talaria_status* status) {
  int32_t code = sync(device, status);
  if (code == TALARIA_OK) std::memcpy(target, static_cast<Memory*>(tensor)->data() + offset, static_cast<size_t>(bytes));
  return code;
}

int32_t step_new(void* device, const talaria_step_options* options, void** step, talaria_status* status) {
  return reporting(status, [&] {
    auto made = std::make_unique<Step>(*options, of(device).wait_limit_ms, of(device).queue.cancelled(), of(device).pool,
                                       of(device).scratch);
    *step = made.get();
    of(device).steps.emplace(made.get(), std::move(made));
  });
}

int32_t step_append(void*, void* step, int32_t op, const void* args, talaria_status* status) {
  return reporting(status, [&] { static_cast<Step*>(step)->append(op, args); });
}

int32_t step_end(void* device, void* step, talaria_status* status) {
  return reporting(status, [&] { static_cast<Step*>(step)->end(of(device).plan_only ? INT64_MAX : free_memory()); });
}

void step_free(void* device, void* step) { of(device).steps.erase(step); }

int32_t run(void* device, void* step, const int32_t* batch, int64_t words, talaria_status* status) {
  return reporting(status, [&] {
    std::vector<int32_t> copy(batch, batch + words);
    auto* run = static_cast<Step*>(step);
    of(device).queue.add([run, copy = std::move(copy)] { run->run(copy.data()); }, [run] { run->abandon(); });
  });
}

// Bytes read per second, in 10^9: the median of some passes over memory that no cache holds.
int32_t read_bandwidth(void* device, int64_t bytes, double* result, talaria_status* status) {
  int32_t code = sync(device, status);
  if (code != TALARIA_OK) return code;
  return reporting(status, [&] {
    if (bytes >= free_memory()) throw Fault{TALARIA_OUT_OF_MEMORY, "there is less memory free than is to be read"};
    *result = measure_read_bandwidth(bytes, of(device).pool);
  });
}

void device_memory(void* device, talaria_device_memory* memory) {
  memory->weight_bytes = memory->kv_bytes = memory->rounding_bytes = 0;
  memory->scratch_bytes = of(device).scratch.floats() * static_cast<int64_t>(sizeof(float));
  for (const auto& [object, tensor] : of(device).tensors) {
    int64_t& sum = tensor->kind() == TALARIA_WEIGHT ? memory->weight_bytes
                   : tensor->kind() == TALARIA_KV   ? memory->kv_bytes
                                                    : memory->scratch_bytes;
    sum += tensor->bytes();
  }
}

constexpr talaria_backend_table table = {
    sizeof(talaria_backend_table), TALARIA_ABI_VERSION, "cpu", device_count, device_info, device_open, device_close, sync,
    tensor_new, tensor_free, write, read, step_new, step_append, step_end, step_free, run, read_bandwidth,
    device_memory, nullptr, nullptr, nullptr,
};

}  // namespace
}  // namespace talaria::cpu

extern "C" __attribute__((visibility("default"))) const talaria_backend_table* talaria_backend(uint32_t abi_version) {
  return abi_version == TALARIA_ABI_VERSION ? &talaria::cpu::table : nullptr;
}
