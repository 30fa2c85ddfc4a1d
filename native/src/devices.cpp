// Devices: opening, closing, waiting.
#include <algorithm>
#include <cstring>

#include "handles.hpp"

namespace talaria {

Locked::Locked(uint64_t handle, bool even_if_lost)
    : device_(Handles::all().get<Device>(handle, "device")), lock_(device_->mutex) {
  if (device_->closed) fail(TALARIA_INVALID, "device: it is closed");
  if (device_->lost && !even_if_lost) fail(TALARIA_LOST, "the device is lost; close it and open it again");
}

Device::~Device() { close(); }

bool Device::reaches(const Backend& of, int32_t at) const {
  return &of == backend.get() && table().reaches != nullptr && table().reaches(object, at) != 0;
}

void Device::require_memory(const char* call) const {
  if (plan_only) fail(TALARIA_INVALID, "%s: this device only plans; its tensors have no memory", call);
}

void Device::close() {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  if (closed) return;
  closed = true;  // from here on, tensors and steps leave their backend objects to device_close
  // First the queue, since it uses the host tensors, events and views that the children keep alive.
  if (object != nullptr) table().device_close(object);
  for (uint64_t child : children) Handles::all().remove(child);
  children.clear();
}

void Device::check(int32_t code, const talaria_status& status) {
  if (code == TALARIA_OK) return;
  if (code == TALARIA_LOST) lost = true;
  throw Fault{code, status.text};
}

void Device::drain() noexcept {
  talaria_status status{};
  int32_t code = table().sync(object, &status);
  if (code == TALARIA_OK) return;
  if (code == TALARIA_LOST) lost = true;
  if (pending_.code == TALARIA_OK) pending_ = status;
}

void Device::raise_pending() {
  talaria_status raised = pending_;
  pending_.code = TALARIA_OK;
  require_ok(raised.code, raised);
}

namespace {

uint64_t open_device(uint64_t backend, int32_t index, const uint8_t* options, int64_t bytes) {
  auto device = std::make_shared<Device>();
  device->backend = Handles::all().get<Backend>(backend, "device_open");
  device->index = index;
  auto read = read_struct<talaria_device_options>(options, bytes, "device_options");
  if (read.wait_limit_ms < 0) fail(TALARIA_INVALID, "device_options: wait_limit_ms is %d", read.wait_limit_ms);
  if (read.threads < 0 || read.threads > 1024)
    fail(TALARIA_INVALID, "device_options: threads is %d, must be 0 to 1024", read.threads);
  if (read.plan_only != 0 && read.plan_only != 1)
    fail(TALARIA_INVALID, "device_options: plan_only is %d, must be 0 or 1", read.plan_only);
  if (read.copies_only != 0 && read.copies_only != 1)
    fail(TALARIA_INVALID, "device_options: copies_only is %d, must be 0 or 1", read.copies_only);
  // As long as another device may compute: a failure is heard of at once, by events that are abandoned.
  if (read.wait_limit_ms == 0) read.wait_limit_ms = 600000;
  device->plan_only = read.plan_only == 1;
  device->copies_only = read.copies_only == 1;
  talaria_status report{};
  require_ok(device->table().device_open(index, &read, &device->object, &report), report);
  return Handles::all().add(device);
}

}  // namespace
}  // namespace talaria

using namespace talaria;

#define TALARIA_EXPORT extern "C" __attribute__((visibility("default")))

TALARIA_EXPORT uint64_t talaria_device_open(uint64_t backend, int32_t index, const uint8_t* options, int64_t bytes,
                                            talaria_status* status) {
  return guarded<uint64_t>(status, 0, [&] { return open_device(backend, index, options, bytes); });
}

TALARIA_EXPORT int32_t talaria_device_close(uint64_t device, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    Locked locked(device, true);
    Handles::all().remove(device);
    locked->close();
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_device_reaches(uint64_t device, uint64_t other, talaria_status* status) {
  return guarded<int32_t>(status, 0, [&] {
    auto found = Handles::all().get<Device>(other, "device_reaches");
    Locked locked(device);
    // The other one is not locked: what is looked at does not change, and two locks could wait for each other.
    return static_cast<int32_t>(found->plan_only == locked->plan_only && locked->reaches(*found->backend, found->index));
  });
}

TALARIA_EXPORT double talaria_read_bandwidth(uint64_t device, int64_t bytes, talaria_status* status) {
  return guarded<double>(status, 0, [&] {
    Locked locked(device);
    locked->require_memory("read_bandwidth");
    if (bytes < 1 || bytes > int64_t{1} << 40) {
      fail(TALARIA_INVALID, "read_bandwidth: %lld bytes cannot be read", static_cast<long long>(bytes));
    }
    talaria_status report{};
    double result = 0;
    locked->check(locked->table().read_bandwidth(locked->object, bytes, &result, &report), report);
    return result;
  });
}

TALARIA_EXPORT int32_t talaria_device_get_memory(uint64_t device, uint8_t* memory, int64_t bytes,
                                                 talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto result = read_struct<talaria_device_memory>(memory, bytes, "device_memory");
    Locked locked(device);
    locked->table().device_memory(locked->object, &result);
    memcpy(memory, &result, sizeof result);
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_sync(uint64_t device, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    Locked locked(device);
    locked->drain();
    locked->raise_pending();
    return static_cast<int32_t>(TALARIA_OK);
  });
}
