// Faults, and the backends' shared libraries.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <map>

#include "handles.hpp"

namespace talaria {

void fail(int32_t code, const char* format, ...) {
  char text[sizeof(talaria_status::text)];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Fault{code, text};
}

void set_status(talaria_status* status, int32_t code, const char* text) {
  if (status == nullptr) return;
  status->code = code;
  snprintf(status->text, sizeof status->text, "%s", text);
}

void require_ok(int32_t code, const talaria_status& status) {
  if (code != TALARIA_OK) throw Fault{code, status.text};
}

namespace {

uint64_t open_backend(const char* path) {
  static std::mutex mutex;
  static std::map<std::string, uint64_t>* opened = new std::map<std::string, uint64_t>();
  if (path == nullptr || *path == 0) fail(TALARIA_INVALID, "backend_open: no path");

  std::lock_guard<std::mutex> lock(mutex);
  auto known = opened->find(path);
  if (known != opened->end()) return known->second;

  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail(TALARIA_UNSUPPORTED, "the library does not load: %s", dlerror());
  auto entry = reinterpret_cast<talaria_backend_entry>(dlsym(library, TALARIA_BACKEND_ENTRY));
  if (entry == nullptr)
    fail(TALARIA_UNSUPPORTED, "%s is no Talaria backend: it exports no %s", path, TALARIA_BACKEND_ENTRY);
  const talaria_backend_table* table = entry(TALARIA_ABI_VERSION);
  if (table == nullptr || table->size != sizeof(talaria_backend_table) || table->abi_version != TALARIA_ABI_VERSION) {
    fail(TALARIA_UNSUPPORTED, "%s was built for another version of Talaria; build it again", path);
  }
  auto backend = std::make_shared<Backend>();
  backend->path = path;
  backend->table = table;
  uint64_t handle = Handles::all().add(backend);
  opened->emplace(path, handle);
  return handle;
}

}  // namespace
}  // namespace talaria

using namespace talaria;

#define TALARIA_EXPORT extern "C" __attribute__((visibility("default")))

TALARIA_EXPORT int32_t talaria_abi_version(void) { return TALARIA_ABI_VERSION; }

TALARIA_EXPORT uint64_t talaria_backend_open(const char* path, talaria_status* status) {
  return guarded<uint64_t>(status, 0, [&] { return open_backend(path); });
}

TALARIA_EXPORT int32_t talaria_device_count(uint64_t backend, talaria_status* status) {
  return guarded<int32_t>(status, 0, [&] {
    auto found = Handles::all().get<Backend>(backend, "device_count");
    talaria_status report{};
    int32_t count = found->table->device_count(&report);
    if (count <= 0) throw Fault{report.code, report.text};
    return count;
  });
}

TALARIA_EXPORT int32_t talaria_device_get_info(uint64_t backend, int32_t index, uint8_t* info, int64_t bytes,
                                               talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Backend>(backend, "device_get_info");
    auto result = read_struct<talaria_device_info>(info, bytes, "device_info");
    talaria_status report{};
    require_ok(found->table->device_info(index, &result, &report), report);
    memcpy(info, &result, sizeof result);
    return static_cast<int32_t>(TALARIA_OK);
  });
}
