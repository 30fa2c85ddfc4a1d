#include "tensor.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../../kernels/gpu/weights.h"

namespace talaria::gpu {

Memory::Memory(Runtime& runtime, int64_t bytes, const char* what)
    : runtime_(&runtime), data_(static_cast<uint8_t*>(runtime.allocate(bytes, what))), bytes_(bytes) {
  runtime.asked_bytes += bytes_;
  runtime.taken_bytes += taken();
}

// In the driver's pages, of which small allocations share one.
static int64_t taken_bytes(const Runtime& runtime, int64_t bytes) {
  int64_t page = runtime.properties().page_bytes, size = std::max<int64_t>(bytes, 1);
  return talaria_round_up(size, size >= page / 2 ? page : 256);
}

int64_t Memory::taken() const { return data_ == nullptr ? 0 : taken_bytes(*runtime_, bytes_); }

void Memory::release() noexcept {
  if (data_ == nullptr) return;
  runtime_->asked_bytes -= bytes_;
  runtime_->taken_bytes -= taken();
  runtime_->release(std::exchange(data_, nullptr));
}

Memory::Memory(Memory&& other) noexcept
    : runtime_(other.runtime_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  if (this != &other) {
    release();
    runtime_ = other.runtime_;
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Memory::~Memory() { release(); }

int64_t device_bytes(const talaria_tensor_desc& desc, int64_t bytes) {
  if (desc.kind != TALARIA_WEIGHT) return bytes;
  return desc.shape[0] * desc.shape[1] * weight_layout(desc.type, desc.shape[2], desc.shape[3]).bytes;
}

Tensor::Tensor(Runtime& runtime, const talaria_tensor_desc& given, int64_t bytes)
    : desc(given),
      row_bytes(bytes / (given.shape[0] * given.shape[1] * given.shape[2])),
      memory(runtime, device_bytes(given, bytes), given.label) {
  runtime.fill(memory.data(), 0, memory.bytes());
}

Peer::Peer(Runtime& runtime, const std::shared_ptr<PeerBytes>& all, int64_t bytes, const char* what)
    : memory_(runtime.allocate_peer(bytes, what)), all_(all), bytes_(bytes), taken_(taken_bytes(runtime, bytes)) {
  all_->asked += bytes_, all_->taken += taken_;
}

Peer::~Peer() { all_->asked -= bytes_, all_->taken -= taken_; }

namespace {

constexpr int64_t slot_bytes = 4 << 20;

}  // namespace

Uploader::~Uploader() {
  for (Slot& slot : slots_) {
    if (slot.host != nullptr) runtime_.release_host(slot.host);
  }
}

void Uploader::reserve(int64_t row_bytes) {
  int64_t bytes = std::max(slot_bytes, row_bytes);
  for (Slot& slot : slots_) {
    if (slot.raw.bytes() >= bytes && slot.host != nullptr) continue;
    if (slot.event != nullptr) runtime_.wait(*slot.event);
    if (slot.host != nullptr) runtime_.release_host(std::exchange(slot.host, nullptr));
    slot.raw = Memory();  // first, as both may not fit
    slot.raw = Memory(runtime_, bytes, "staging for weights");
    slot.host = static_cast<uint8_t*>(runtime_.allocate_host(bytes));
    if (slot.event == nullptr) slot.event = runtime_.new_event();
  }
}

// A slot whose last piece has arrived.
Uploader::Slot& Uploader::next_slot() {
  Slot& slot = slots_[next_];
  next_ = 1 - next_;
  runtime_.wait(*slot.event);
  return slot;
}

void Uploader::write_weight(Tensor& tensor, int64_t offset, const uint8_t* source, int64_t bytes) {
  const talaria_tensor_desc& desc = tensor.desc;
  int64_t row_bytes = tensor.row_bytes;
  int64_t piece_rows = std::max<int64_t>(1, slot_bytes / row_bytes);
  for (int64_t at = 0; at < bytes; at += piece_rows * row_bytes) {
    int64_t piece = std::min(piece_rows * row_bytes, bytes - at);
    Slot& slot = next_slot();
    std::memcpy(slot.host, source + at, static_cast<size_t>(piece));
    runtime_.upload(slot.raw.data(), slot.host, piece);
    RepackArgs args{};
    args.source = slot.raw.data();
    args.target = tensor.memory.data();
    args.matrix_bytes = weight_layout(desc.type, desc.shape[2], desc.shape[3]).bytes;
    args.rows = desc.shape[2], args.columns = desc.shape[3];
    args.first_row = (offset + at) / row_bytes, args.count = piece / row_bytes;
    args.type = desc.type;
    runtime_.launch(Launch::of(Kernel::repack, static_cast<uint32_t>(args.count), 1, 1, 256, args));
    runtime_.record(*slot.event);
  }
}

WeightArg weight_arg(talaria_tensor field) {
  const Tensor& t = tensor(field);
  const int64_t* shape = t.desc.shape;
  WeightArg arg{};
  arg.data = t.memory.data();
  arg.matrix_bytes = weight_layout(t.desc.type, shape[2], shape[3]).bytes;
  arg.rows = shape[2], arg.columns = shape[3];
  arg.type = t.desc.type;
  arg.matrices = static_cast<int32_t>(shape[0] * shape[1]);
  return arg;
}

KvArg kv_arg(talaria_tensor keys, talaria_tensor values, int32_t layer, int32_t head_dim) {
  const talaria_tensor_view& k = view(keys);
  KvArg arg{};
  arg.keys = address<uint8_t>(keys), arg.values = address<uint8_t>(values);
  arg.layer_row = layer * k.shape[1] * k.shape[2];
  arg.all_rows = k.shape[0] * k.shape[1] * k.shape[2];
  arg.positions = static_cast<int32_t>(k.shape[2]), arg.width = static_cast<int32_t>(k.shape[3]);
  arg.type = k.type, arg.head_dim = head_dim;
  return arg;
}

}  // namespace talaria::gpu
