// Tensors: allocation, copies in and out.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "../../kernels/common/formats.h"
#include "handles.hpp"

namespace talaria {

namespace {

struct Format {
  int32_t type;
  const char* name;
  int64_t block_values, block_bytes;
};

constexpr Format formats[] = {
    {TALARIA_F32, "F32", 1, 4},
    {TALARIA_F16, "F16", 1, 2},
    {TALARIA_Q4_0, "Q4_0", 32, sizeof(talaria_block_q4_0)},
    {TALARIA_Q8_0, "Q8_0", 32, sizeof(talaria_block_q8_0)},
    {TALARIA_Q4_K, "Q4_K", 256, sizeof(talaria_block_q4_k)},
    {TALARIA_Q5_K, "Q5_K", 256, sizeof(talaria_block_q5_k)},
    {TALARIA_Q6_K, "Q6_K", 256, sizeof(talaria_block_q6_k)},
    {TALARIA_I32, "I32", 1, 4},
    {TALARIA_BF16, "BF16", 1, 2},
};

const Format* find_format(int32_t type) {
  for (const Format& format : formats) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

}  // namespace

const char* type_name(int32_t type) {
  const Format* format = find_format(type);
  return format != nullptr ? format->name : "an unknown type";
}

int64_t tensor_bytes(const int64_t shape[4], int32_t type, const char* label, int64_t* row_bytes) {
  const Format* format = find_format(type);
  if (format == nullptr) {
    fail(TALARIA_UNSUPPORTED,
         "tensor %s: type %d is none that devices hold (F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q5_K, Q6_K, I32)", label,
         type);
  }
  int64_t rows = 1;
  bool overflow = false;
  for (int i = 0; i < 4; i++) {
    if (shape[i] < 1) fail(TALARIA_INVALID, "tensor %s: its shape has %lld", label, static_cast<long long>(shape[i]));
    if (i < 3) overflow |= __builtin_mul_overflow(rows, shape[i], &rows);
  }
  if (shape[3] % format->block_values != 0) {
    fail(TALARIA_INVALID, "tensor %s: rows of %lld values do not fill %s blocks of %lld", label,
         static_cast<long long>(shape[3]), format->name, static_cast<long long>(format->block_values));
  }
  int64_t bytes = 0;
  overflow |= __builtin_mul_overflow(shape[3] / format->block_values, format->block_bytes, row_bytes);
  overflow |= __builtin_mul_overflow(rows, *row_bytes, &bytes);
  if (overflow || bytes > INT64_MAX / 4) fail(TALARIA_INVALID, "tensor %s: its size overflows", label);
  return bytes;
}

HostMemory::HostMemory(size_t bytes) : bytes_(std::max<size_t>(bytes, 1)) {
  void* pages = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<uint8_t*>(pages);
}

HostMemory::~HostMemory() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

Tensor::~Tensor() {
  if (peer_backend && view.object != nullptr) peer_backend->table->peer_free(view.object);
  if (!device) return;
  std::lock_guard<std::recursive_mutex> lock(device->mutex);
  if (device->closed || view.object == nullptr) return;
  device->drain();
  device->table().tensor_free(device->object, view.object);
}

namespace {

constexpr int64_t max_carried_bytes = 1ll << 30;

void check_kind(const talaria_tensor_desc& desc) {
  bool plain = desc.type == TALARIA_F32 || desc.type == TALARIA_I32;
  switch (desc.kind) {
    case TALARIA_WEIGHT: return;
    case TALARIA_ACTIVATION:
    case TALARIA_HOST:
    case TALARIA_PEER:
      if (!plain)
        fail(TALARIA_INVALID, "tensor %s: activations, host and peer tensors are F32 or I32, not %s", desc.label,
             type_name(desc.type));
      return;
    case TALARIA_KV:
      if (desc.type != TALARIA_F32 && desc.type != TALARIA_F16 && desc.type != TALARIA_Q8_0) {
        fail(TALARIA_UNSUPPORTED, "tensor %s: the KV cache is F32, F16 or Q8_0, not %s", desc.label,
             type_name(desc.type));
      }
      return;
    default: fail(TALARIA_INVALID, "tensor %s: %d is no kind of tensor", desc.label, desc.kind);
  }
}

void require_carried(const Tensor& tensor) {
  if (tensor.view.bytes > max_carried_bytes) {
    fail(TALARIA_INVALID, "tensor %s: host and peer tensors carry activations and have at most %lld bytes",
         tensor.label.c_str(), static_cast<long long>(max_carried_bytes));
  }
}

// In a device's memory, but not the device's own: other devices' steps may keep it longer.
uint64_t new_peer_tensor(uint64_t device, const talaria_tensor_desc& desc, const std::shared_ptr<Tensor>& tensor) {
  require_carried(*tensor);
  Locked locked(device);
  if (locked->table().reaches == nullptr)
    fail(TALARIA_UNSUPPORTED, "tensor %s: no device reaches the memory of this one", desc.label);
  talaria_status report{};
  locked->check(locked->table().peer_new(locked->object, &desc, tensor->view.bytes, &tensor->view.object, &report), report);
  tensor->peer_backend = locked->backend;
  tensor->peer_index = locked->index;
  tensor->planned = locked->plan_only;
  return Handles::all().add(tensor);
}

uint64_t new_tensor(uint64_t device, const uint8_t* source, int64_t source_bytes) {
  auto desc = read_struct<talaria_tensor_desc>(source, source_bytes, "tensor_desc");
  desc.label[sizeof desc.label - 1] = 0;
  if (desc.reserved != 0)
    fail(TALARIA_INVALID, "tensor %s: its reserved field is %d, must be 0", desc.label, desc.reserved);
  check_kind(desc);
  auto tensor = std::make_shared<Tensor>();
  tensor->label = desc.label;
  tensor->view.kind = desc.kind;
  tensor->view.type = desc.type;
  std::copy_n(desc.shape, 4, tensor->view.shape);
  tensor->view.bytes = tensor_bytes(desc.shape, desc.type, desc.label, &tensor->row_bytes);

  if (desc.kind == TALARIA_HOST) {
    if (device != 0) fail(TALARIA_INVALID, "tensor %s: a host tensor belongs to no device", desc.label);
    require_carried(*tensor);
    tensor->host = HostMemory(static_cast<size_t>(tensor->view.bytes));
    tensor->view.host = tensor->host.data();
    return Handles::all().add(tensor);
  }
  if (desc.kind == TALARIA_PEER) return new_peer_tensor(device, desc, tensor);
  Locked locked(device);
  talaria_status report{};
  locked->check(locked->table().tensor_new(locked->object, &desc, tensor->view.bytes, &tensor->view.object, &report),
                report);
  tensor->device = locked.shared();
  locked->children.reserve(locked->children.size() + 1);
  uint64_t handle = Handles::all().add(tensor);
  locked->children.push_back(handle);
  return handle;
}

// The tensor must be the device's own (null: none) or a host tensor, and the range must lie within it.
void require_range(const Device* device, const Tensor& tensor, int64_t offset, const void* memory, int64_t bytes,
                   const char* call) {
  if (tensor.device && tensor.device.get() != device) {
    fail(TALARIA_INVALID, "%s: tensor %s belongs to another device", call, tensor.label.c_str());
  }
  if (tensor.view.kind == TALARIA_PEER)
    fail(TALARIA_INVALID, "%s: peer tensor %s is written and read by steps alone", call, tensor.label.c_str());
  if (memory == nullptr) fail(TALARIA_INVALID, "%s: no host memory is given for tensor %s", call, tensor.label.c_str());
  if (offset < 0 || bytes < 0 || offset > tensor.view.bytes || bytes > tensor.view.bytes - offset) {
    fail(TALARIA_INVALID, "%s: bytes [%lld, +%lld) are not within tensor %s of %lld bytes", call,
         static_cast<long long>(offset), static_cast<long long>(bytes), tensor.label.c_str(),
         static_cast<long long>(tensor.view.bytes));
  }
}

}  // namespace
}  // namespace talaria

using namespace talaria;

#define TALARIA_EXPORT extern "C" __attribute__((visibility("default")))

TALARIA_EXPORT uint64_t talaria_tensor_new(uint64_t device, const uint8_t* desc, int64_t bytes,
                                           talaria_status* status) {
  return guarded<uint64_t>(status, 0, [&] { return new_tensor(device, desc, bytes); });
}

TALARIA_EXPORT int32_t talaria_tensor_free(uint64_t device, uint64_t tensor, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Tensor>(tensor, "tensor_free");
    if (!found->device) {
      if (device != 0)
        fail(TALARIA_INVALID, "tensor_free: tensor %s belongs to no device", found->label.c_str());
      if (!Handles::all().remove(tensor)) fail(TALARIA_INVALID, "tensor_free: another thread has freed it meanwhile");
      return static_cast<int32_t>(TALARIA_OK);
    }
    Locked locked(device, true);
    if (found->device.get() != &*locked)
      fail(TALARIA_INVALID, "tensor_free: tensor %s belongs to another device", found->label.c_str());
    if (!Handles::all().remove(tensor)) fail(TALARIA_INVALID, "tensor_free: another thread has freed it meanwhile");
    std::erase(locked->children, tensor);
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_write(uint64_t device, uint64_t tensor, int64_t offset, const uint8_t* source,
                                     int64_t bytes, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Tensor>(tensor, "write");
    if (device == 0) {
      require_range(nullptr, *found, offset, source, bytes, "write");
      memcpy(found->view.host + offset, source, static_cast<size_t>(bytes));
      return static_cast<int32_t>(TALARIA_OK);
    }
    Locked locked(device);
    locked->require_memory("write");
    require_range(&*locked, *found, offset, source, bytes, "write");
    if (found->view.kind == TALARIA_KV)
      fail(TALARIA_INVALID, "write: the KV cache %s is written by steps alone", found->label.c_str());
    if (found->view.kind == TALARIA_WEIGHT && (offset % found->row_bytes != 0 || bytes % found->row_bytes != 0)) {
      fail(TALARIA_INVALID, "write: weight %s takes whole rows of %lld bytes", found->label.c_str(),
           static_cast<long long>(found->row_bytes));
    }
    if (found->view.host != nullptr) {
      locked->drain();
      locked->raise_pending();
      memcpy(found->view.host + offset, source, static_cast<size_t>(bytes));
    } else {
      talaria_status report{};
      locked->check(locked->table().write(locked->object, found->view.object, offset, source, bytes, &report), report);
    }
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_read(uint64_t device, uint64_t tensor, int64_t offset, uint8_t* target, int64_t bytes,
                                    talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Tensor>(tensor, "read");
    if (device == 0) {
      require_range(nullptr, *found, offset, target, bytes, "read");
      memcpy(target, found->view.host + offset, static_cast<size_t>(bytes));
      return static_cast<int32_t>(TALARIA_OK);
    }
    Locked locked(device);
    locked->require_memory("read");
    require_range(&*locked, *found, offset, target, bytes, "read");
    if (found->view.kind != TALARIA_ACTIVATION && found->view.kind != TALARIA_HOST) {
      fail(TALARIA_INVALID, "read: %s is no activation; weights and KV lie as the backend likes", found->label.c_str());
    }
    locked->drain();
    locked->raise_pending();
    if (found->view.host != nullptr) {
      memcpy(target, found->view.host + offset, static_cast<size_t>(bytes));
    } else {
      talaria_status report{};
      locked->check(locked->table().read(locked->object, found->view.object, offset, target, bytes, &report), report);
    }
    return static_cast<int32_t>(TALARIA_OK);
  });
}
