// A driver's library without a GPU, libcuda.so.1 or, with FAKE_HIP, libamdhip64.so.7: memory is the host's, launches are
// written down. It is strict where drivers are: a call without a current device fails, and after a sticky fault all fail.
//
// The environment variable FAKE_GPU says what it is to be, as words: version=11020 count=2 compute=90 (or arch=gfx90a)
// memory=BYTES refuse=IMAGE-TEXT lacks=KERNEL fail=MEMBER:STATUS (one of TALARIA_DRIVER_FUNCTIONS).
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "../../native/gpu/driver_api.hpp"

using talaria::gpu::Status;

#define FAKE_EXPORT extern "C" __attribute__((visibility("default")))
#ifdef FAKE_HIP
#define FAKE_NAME(cuda, hip) hip
#else
#define FAKE_NAME(cuda, hip) cuda
#endif

// What the two call by different names and in different ways: the current device reaches another one.
static Status note_peer(int other);

// Each function under the name that the library exports.
#define FAKE_DECLARE(member, type, cuda, hip) \
  FAKE_EXPORT std::type_identity_t<type> fake_##member __asm__(FAKE_NAME(cuda, hip));
TALARIA_DRIVER_FUNCTIONS(FAKE_DECLARE)
#undef FAKE_DECLARE

namespace {

std::string setting(const char* name, const char* otherwise) {
  const char* all = std::getenv("FAKE_GPU");
  std::string text = " ", key = " ";
  text.append(all == nullptr ? "" : all).append(" ");
  key.append(name).append("=");
  size_t at = text.find(key);
  if (at == std::string::npos) return otherwise;
  at += key.size();
  return text.substr(at, text.find(' ', at) - at);
}

int number(const char* name, int otherwise) { return std::atoi(setting(name, std::to_string(otherwise).c_str()).c_str()); }

struct Graph {
  std::vector<std::string> launches;
};

std::string log_text;
// What a lost device does not give back is no leak: it stays known until the process has ended.
std::map<void*, size_t>& memory = *new std::map<void*, size_t>();
std::set<void*>& live = *new std::set<void*>();  // streams, events, modules, graphs
size_t used = 0;
Graph* capturing = nullptr;
std::string priorities;  // of streams
Status sticky = 0;
thread_local int current = -1;

// What a call returns before it does anything.
Status trouble(const char* member, bool needs_device) {
  if (sticky != 0) return sticky;
  std::string fail = setting("fail", "");
  size_t colon = fail.find(':');
  if (colon != std::string::npos && fail.substr(0, colon) == member) {
    Status status = std::atoi(fail.c_str() + colon + 1);
    if (status >= 700 && status < 800) sticky = status;
    return status;
  }
  return needs_device && current < 0 ? 201 : 0;
}

Status make(const char* member, void** result) {
  if (Status status = trouble(member, true)) return status;
  *result = ::operator new(1);
  live.insert(*result);
  return 0;
}

Status end(const char* member, void* object) {
  if (Status status = trouble(member, true)) return status;
  if (live.erase(object) == 0) return 400;
  ::operator delete(object);
  return 0;
}

Status move(const char* member, void* target, const void* source, size_t bytes, void* stream) {
  if (Status status = trouble(member, true)) return status;
  if (stream != nullptr && live.count(stream) == 0) return 400;
  std::memcpy(target, source, bytes);
  return 0;
}

void note(const std::string& line) {
  if (capturing != nullptr) {
    capturing->launches.push_back(line);
  } else {
    log_text += line + "\n";
  }
}

// The one kernel whose work is looked at. Streams that do not overlap let a wait end without a signal.
void exchange(const ExchangeArgs& a) {
  if (a.wait != nullptr && number("overlap", 1) == 0) a.meetings->failed = 1;
  for (int i = 0; i < a.copies && number("arrive", 1) != 0; i++) {
    std::memcpy(a.copy[i].target, a.copy[i].source, static_cast<size_t>(a.header[0] * a.copy[i].row_words) * 4);
  }
}

std::string launch_text(void* function, const unsigned* grid, const unsigned* block, unsigned shared, void** arguments) {
  char text[200];
  snprintf(text, sizeof text, "%s %u,%u,%u %u,%u,%u %u %d", static_cast<const char*>(function), grid[0], grid[1], grid[2],
           block[0], block[1], block[2], shared, *static_cast<int*>(arguments[0]));
  return text;
}

}  // namespace

// What the test asks.
FAKE_EXPORT const char* fake_log() { return log_text.c_str(); }
FAKE_EXPORT const char* fake_priorities() { return priorities.c_str(); }
FAKE_EXPORT int fake_live() { return static_cast<int>(live.size() + memory.size()); }

Status fake_init(unsigned) { return trouble("init", false); }
Status fake_device_count(int* count) { return *count = number("count", 1), trouble("device_count", false); }
Status fake_device_name(char* name, int bytes, int device) {
  return snprintf(name, static_cast<size_t>(bytes), "Fake %d", device), trouble("device_name", false);
}
Status fake_device_memory(size_t* bytes, int) { return *bytes = static_cast<size_t>(number("memory", 1 << 30)), 0; }
Status fake_device_attribute(int* value, int attribute, int) {
  int compute = number("compute", 90);
  *value = attribute == 75 ? compute / 10 : attribute == 76 ? compute % 10 : attribute == 97 ? 232448 : attribute == 17 ? number("timeout", 0) : 132;
  return trouble("device_attribute", false);
}
Status fake_memory_info(size_t* free, size_t* total) {
  fake_device_memory(total, 0);
  *free = *total - used;
  return trouble("memory_info", true);
}

Status fake_allocate(void** result, size_t bytes) {
  if (Status status = trouble("allocate", true)) return status;
  size_t free, total;
  fake_memory_info(&free, &total);
  if (bytes > free) return 2;
  *result = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  memory[*result] = bytes;
  used += bytes;
  return 0;
}
Status fake_release(void* which) {
  if (Status status = trouble("release", true)) return status;
  auto found = memory.find(which);
  if (found == memory.end()) return 1;
  used -= found->second;
  std::free(which);
  memory.erase(found);
  return 0;
}
Status fake_allocate_host(void** result, size_t bytes, unsigned) { return fake_allocate(result, bytes); }
Status fake_release_host(void* which) { return fake_release(which); }
Status fake_pin_host(void* which, size_t bytes, unsigned) {
  if (Status status = trouble("pin_host", true)) return status;
  if (bytes % 4096 != 0) return 1;
  return live.insert(which).second ? 0 : 712;
}
Status fake_unpin_host(void* which) {
  if (Status status = trouble("unpin_host", true)) return status;
  return live.erase(which) == 0 ? 713 : 0;
}
Status fake_host_address(void** address, void* which, unsigned) {
  *address = which;
  if (Status status = trouble("host_address", true)) return status;
  return live.count(which) == 0 ? 1 : 0;
}
Status fake_upload(void* t, const void* s, size_t bytes, void* stream) { return move("upload", t, s, bytes, stream); }
Status fake_download(void* t, const void* s, size_t bytes, void* stream) { return move("download", t, s, bytes, stream); }
Status fake_copy(void* t, const void* s, size_t bytes, void* stream) { return move("copy", t, s, bytes, stream); }
Status fake_fill(void* target, unsigned char value, size_t bytes, void* stream) {
  if (Status status = trouble("fill", true)) return status;
  if (live.count(stream) == 0) return 400;
  std::memset(target, value, bytes);
  return 0;
}

Status fake_load_module(void** module, const void* image, unsigned options, int* option, void** value) {
  if (Status status = trouble("load_module", true)) return status;
  const char* text = static_cast<const char*>(image);  // the images of this test are texts
  if (setting("refuse", "-") == text) {
    for (unsigned i = 0; i < options; i++) {
      if (option[i] == 5) snprintf(static_cast<char*>(value[i]), 32, "no such ISA\nmore");
    }
    return 222;
  }
  return make("load_module", module);
}
Status fake_unload_module(void* module) { return end("unload_module", module); }
Status fake_find_function(void** function, void* module, const char* name) {
  if (Status status = trouble("find_function", true)) return status;
  if (live.count(module) == 0) return 400;
  if (setting("lacks", "-") == name) return 500;
  static std::set<std::string> names;
  *function = const_cast<char*>(names.insert(name).first->c_str());
  return 0;
}
Status fake_launch(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void* stream, void** arguments, void**) {
  if (Status status = trouble("launch", true)) return status;
  if (live.count(stream) == 0) return 400;
  if (std::strcmp(static_cast<char*>(function), "talaria_exchange") == 0) {
    exchange(*static_cast<ExchangeArgs*>(arguments[0]));
  }
  const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
  note(launch_text(function, grid, block, shared, arguments));
  return 0;
}

Status fake_create_stream(void** stream, unsigned, int priority) {
  priorities += std::to_string(priority) + " ";
  return make("create_stream", stream);
}
Status fake_destroy_stream(void* stream) { return end("destroy_stream", stream); }
Status fake_synchronize(void* stream) {
  if (Status status = trouble("synchronize", true)) return status;
  return stream != nullptr && live.count(stream) == 0 ? 400 : capturing != nullptr ? 900 : 0;
}
Status fake_begin_capture(void*, int) {
  if (Status status = trouble("begin_capture", true)) return status;
  capturing = new Graph();
  live.insert(capturing);
  return 0;
}
Status fake_end_capture(void*, void** graph) {
  if (Status status = trouble("end_capture", true)) return status;
  *graph = capturing;
  capturing = nullptr;
  return 0;
}
Status fake_instantiate(void** executable, void* graph, unsigned long long) {
  if (Status status = trouble("instantiate", true)) return status;
  auto* copy = new Graph(*static_cast<Graph*>(graph));
  live.insert(copy);
  *executable = copy;
  return 0;
}
Status fake_destroy_graph(void* graph) {
  if (live.erase(graph) == 0) return 400;
  delete static_cast<Graph*>(graph);
  return 0;
}
Status fake_destroy_executable(void* executable) { return fake_destroy_graph(executable); }
Status fake_launch_graph(void* executable, void*) {
  if (Status status = trouble("launch_graph", true)) return status;
  for (const std::string& line : static_cast<Graph*>(executable)->launches) note("graph: " + line);
  return 0;
}

Status fake_can_access_peer(int* can, int device, int other) {
  *can = device != other && number("peers", 1) != 0;
  return trouble("can_access_peer", true);
}

Status fake_occupancy(int* blocks, void*, int threads, size_t) {
  *blocks = 2048 / threads;
  return trouble("occupancy", true);
}

Status fake_create_event(void** event, unsigned) { return make("create_event", event); }
Status fake_destroy_event(void* event) { return end("destroy_event", event); }
Status fake_record_event(void* event, void*) { return live.count(event) == 0 ? 400 : trouble("record_event", true); }
Status fake_wait_event(void* event) { return live.count(event) == 0 ? 400 : trouble("wait_event", true); }
Status fake_elapsed(float* ms, void*, void*) { return *ms = 1.5f, trouble("elapsed", true); }

// As strict as drivers are about a second time.
Status note_peer(int other) {
  if (Status status = trouble("enable_peer", true)) return status;
  static std::set<std::pair<int, int>>& enabled = *new std::set<std::pair<int, int>>();
  if (!enabled.insert({current, other}).second) return 704;
  note("device " + std::to_string(current) + " reaches " + std::to_string(other));
  return 0;
}

#ifdef FAKE_HIP
FAKE_EXPORT Status hipExtGetLinkTypeAndHopCount(int, int, uint32_t* type, uint32_t* hops) {
  *type = static_cast<uint32_t>(number("link", 4)), *hops = 1;
  return sticky;
}
FAKE_EXPORT Status hipDeviceEnablePeerAccess(int other, unsigned) { return note_peer(other); }
FAKE_EXPORT Status hipExtMallocWithFlags(void** result, size_t bytes, unsigned flags) {
  return flags != 1 ? 1 : number("link", 4) != 4 ? 2 : fake_allocate(result, bytes);
}
FAKE_EXPORT const char* hipGetErrorString(Status) { return "a fake error"; }
FAKE_EXPORT Status hipRuntimeGetVersion(int* version) { return *version = 60342131, 0; }
FAKE_EXPORT Status hipSetDevice(int device) { return current = device, sticky; }
FAKE_EXPORT Status hipGetDevicePropertiesR0600(char* properties, int) {
  snprintf(properties, 256, "gfx is no name");
  snprintf(properties + 1160, 256, "%s", setting("arch", "gfx90a:sramecc+:xnack-").c_str());
  return 0;
}
#else
FAKE_EXPORT Status cuGetErrorString(Status, const char** text) { return *text = "a fake error", 0; }
FAKE_EXPORT Status cuDriverGetVersion(int* version) { return *version = number("version", 12040), 0; }
FAKE_EXPORT Status cuDeviceGet(int* device, int index) { return *device = index, 0; }
FAKE_EXPORT Status cuDeviceGetPCIBusId(char* bus, int bytes, int) { return snprintf(bus, static_cast<size_t>(bytes), "none"), 0; }
static int context_holders[8];
FAKE_EXPORT Status cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = reinterpret_cast<void*>(intptr_t{device} + 1);
  if (context_holders[device]++ == 0) live.insert(*context);
  return 0;
}
FAKE_EXPORT Status cuDevicePrimaryCtxRelease_v2(int device) {
  if (--context_holders[device] == 0) live.erase(reinterpret_cast<void*>(intptr_t{device} + 1));
  return 0;
}
FAKE_EXPORT Status cuCtxSetCurrent(void* context) {
  return current = static_cast<int>(reinterpret_cast<intptr_t>(context)) - 1, sticky;
}
FAKE_EXPORT Status cuCtxEnablePeerAccess(void* other, unsigned) {
  if (live.count(other) == 0) return 201;
  return note_peer(static_cast<int>(reinterpret_cast<intptr_t>(other)) - 1);
}
FAKE_EXPORT Status cuFuncGetAttribute(int* value, int, void*) { return *value = number("built", 90), trouble("attribute", true); }
FAKE_EXPORT Status cuFuncSetAttribute(void* function, int, int value) {
  log_text += std::string(static_cast<char*>(function)) + " may have " + std::to_string(value) + "\n";
  return trouble("attribute", true);
}
struct Config {
  unsigned grid[3], block[3], shared;
  void* stream;
  const int* attributes;  // id, padding, value
  unsigned count;
};
FAKE_EXPORT Status cuLaunchKernelEx(const Config* config, void* function, void** arguments, void**) {
  if (config->count != 1 || config->attributes[0] != 6 || config->attributes[2] != 1) return 1;
  note("early: " + launch_text(function, config->grid, config->block, config->shared, arguments));
  return trouble("launch", true);
}
#endif
