// Tensors in a GPU's memory, and getting weights there.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "../include/talaria_backend.h"
#include "runtime.h"

namespace talaria::gpu {

// Device memory that frees itself.
class Memory {
 public:
  Memory() = default;
  Memory(Runtime& runtime, int64_t bytes, const char* what);
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  ~Memory();
  uint8_t* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  int64_t taken() const;  // in the driver's pages

 private:
  void release() noexcept;

  Runtime* runtime_ = nullptr;
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Bytes of a tensor on the device, which may be laid out its own way (kernels/gpu/weights.h).
int64_t device_bytes(const talaria_tensor_desc& desc, int64_t bytes);

struct Tensor {
  Tensor(Runtime& runtime, const talaria_tensor_desc& desc, int64_t bytes);
  talaria_tensor_desc desc;
  int64_t row_bytes;  // in the file's layout
  Memory memory;
};

// Bytes of the peer memory that a device has handed out: as asked for, and in the driver's pages.
struct PeerBytes {
  std::atomic<int64_t> asked{0}, taken{0};
};

// Memory at a device that other devices reach, and that may outlive it.
class Peer {
 public:
  Peer(Runtime& runtime, const std::shared_ptr<PeerBytes>& all, int64_t bytes, const char* what);
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer();
  uint8_t* data() const { return static_cast<uint8_t*>(memory_.get()); }

 private:
  std::shared_ptr<void> memory_;
  std::shared_ptr<PeerBytes> all_;
  int64_t bytes_, taken_;
};

// Pinned memory on its way to the device: pieces go in while those before are still being copied and laid out.
class Uploader {
 public:
  explicit Uploader(Runtime& runtime) : runtime_(runtime) {}
  ~Uploader();
  // Sees to the slots for rows of so many bytes, so that a model that fits does so with them.
  void reserve(int64_t row_bytes);
  // Whole rows of a weight in the file's layout, from byte `offset` of the file's tensor. The source may be reused on return.
  void write_weight(Tensor& tensor, int64_t offset, const uint8_t* source, int64_t bytes);

 private:
  struct Slot {
    uint8_t* host = nullptr;
    Memory raw;
    std::unique_ptr<Event> event;
  };
  Slot& next_slot();

  Runtime& runtime_;
  Slot slots_[2];
  int next_ = 0;
};

inline const talaria_tensor_view& view(talaria_tensor field) {
  return *reinterpret_cast<const talaria_tensor_view*>(field);
}
inline Tensor& tensor(talaria_tensor field) { return *static_cast<Tensor*>(view(field).object); }

// The address of an activation or of peer memory.
template <typename Value>
Value* address(talaria_tensor field) {
  bool peer = view(field).kind == TALARIA_PEER;
  return reinterpret_cast<Value*>(peer ? static_cast<Peer*>(view(field).object)->data() : tensor(field).memory.data());
}

WeightArg weight_arg(talaria_tensor field);
KvArg kv_arg(talaria_tensor keys, talaria_tensor values, int32_t layer, int32_t head_dim);

}  // namespace talaria::gpu
