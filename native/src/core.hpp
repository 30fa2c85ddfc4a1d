// The objects behind the handles, and how a failing call leaves the library.
#pragma once

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../common/fault.hpp"
#include "../include/talaria_backend.h"

namespace talaria {

// Throws a Fault; `guarded` turns it into the status and the return value of a call.
[[noreturn]] void fail(int32_t code, const char* format, ...) __attribute__((format(printf, 2, 3)));
void set_status(talaria_status* status, int32_t code, const char* text);

template <typename Result, typename Body>
Result guarded(talaria_status* status, Result failure, Body body) noexcept {
  try {
    set_status(status, TALARIA_OK, "");
    return body();
  } catch (const Fault& fault) {
    set_status(status, fault.code, fault.text.c_str());
    // Functions that return a code return that of the fault.
    return failure == static_cast<Result>(TALARIA_INVALID) ? static_cast<Result>(fault.code) : failure;
  } catch (const std::bad_alloc&) {
    set_status(status, TALARIA_OUT_OF_MEMORY, "the host is out of memory");
    return failure == static_cast<Result>(TALARIA_INVALID) ? static_cast<Result>(TALARIA_OUT_OF_MEMORY) : failure;
  } catch (...) {
    set_status(status, TALARIA_INVALID, "an unexpected C++ exception");
    return failure;
  }
}

// Throws what a backend reported.
void require_ok(int32_t code, const talaria_status& status);

struct Backend {
  static constexpr uint8_t kind = 1;
  std::string path;
  const talaria_backend_table* table = nullptr;
};

struct Tensor;
struct Step;

struct Device {
  static constexpr uint8_t kind = 2;
  std::shared_ptr<Backend> backend;
  int32_t index = 0;
  void* object = nullptr;
  std::recursive_mutex mutex;  // held during every call; recursive, as dropping the last reference frees
  bool closed = false;
  bool lost = false;
  bool plan_only = false;
  bool copies_only = false;
  std::vector<uint64_t> children;  // handles of its tensors and steps

  ~Device();
  const talaria_backend_table& table() const { return *backend->table; }
  void close();
  // Whether steps can copy from and to peer tensors of a backend's device.
  bool reaches(const Backend& of, int32_t at) const;
  // Refuses a call that needs the tensors' memory on a device that has none.
  void require_memory(const char* call) const;
  // Waits for the queue, so that what it uses can be freed; the first fault stays for `raise_pending`.
  void drain() noexcept;
  // Throws the fault that `drain` met, if any, once.
  void raise_pending();
  // Marks the device lost when a backend says so, and throws its report.
  void check(int32_t code, const talaria_status& status);

 private:
  talaria_status pending_{};
};

// Zeroed pages of their own, which devices can be shown. Those that nobody touches take no memory.
class HostMemory {
 public:
  HostMemory() = default;
  explicit HostMemory(size_t bytes);
  HostMemory(HostMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  HostMemory& operator=(HostMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~HostMemory();
  uint8_t* data() const { return data_; }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

struct Tensor {
  static constexpr uint8_t kind = 3;
  talaria_tensor_view view{};
  std::shared_ptr<Device> device;  // none for a host or peer tensor
  HostMemory host;
  std::shared_ptr<Backend> peer_backend;  // of a peer tensor: where it lies
  int32_t peer_index = 0;
  bool planned = false;
  std::string label;
  int64_t row_bytes = 0;

  ~Tensor();
};

struct Event {
  static constexpr uint8_t kind = 5;
  talaria_event_view view{};
  Event();
  ~Event();
};

// What the ops of a step demand of every batch that runs through it.
struct BatchLimits {
  talaria_batch_shape shape{};
  int64_t vocabulary = INT64_MAX;         // tokens are below this
  int64_t output_vocabulary = INT64_MAX;  // targets and adjusted tokens are below this
  int64_t kv_blocks = 0;                  // block ids are below this; 0: the step has no attention
  int64_t kv_positions = 0;               // positions per block
  bool writes_kv = false;
};

struct Step {
  static constexpr uint8_t kind = 4;
  std::shared_ptr<Device> device;
  void* object = nullptr;
  bool ended = false;
  BatchLimits limits;
  std::vector<std::shared_ptr<Tensor>> tensors;  // kept alive for as long as the step may run
  std::vector<std::shared_ptr<Event>> events;

  ~Step();
};

// A device that is locked for one call; throws if the handle is stale or the device closed or lost.
//
// Tensors and steps are looked up before their device is locked, and so let go of after it is unlocked: whoever drops
// the last reference locks the object's device, which may be another one, and two locks at once could wait for each
// other.
class Locked {
 public:
  explicit Locked(uint64_t handle, bool even_if_lost = false);
  Device* operator->() const { return device_.get(); }
  Device& operator*() const { return *device_; }
  const std::shared_ptr<Device>& shared() const { return device_; }

 private:
  std::shared_ptr<Device> device_;
  std::unique_lock<std::recursive_mutex> lock_;
};

// Product of the shape in elements and bytes of a type, or a fault that names the label.
int64_t tensor_bytes(const int64_t shape[4], int32_t type, const char* label, int64_t* row_bytes);
const char* type_name(int32_t type);

// Reads a struct that the caller filled: its bytes and its first field must both be the struct's size.
template <typename Struct>
Struct read_struct(const uint8_t* source, int64_t bytes, const char* name) {
  Struct result;
  if (source == nullptr || bytes != static_cast<int64_t>(sizeof(Struct))) {
    fail(TALARIA_INVALID, "%s: %lld bytes where the struct has %zu", name, static_cast<long long>(bytes),
         sizeof(Struct));
  }
  __builtin_memcpy(&result, source, sizeof(Struct));
  if (result.size != sizeof(Struct)) {
    fail(TALARIA_INVALID, "%s: its size field is %u where the struct has %zu bytes", name, result.size, sizeof(Struct));
  }
  return result;
}

// An op whose args are a copy of the caller's struct with views in place of handles, and the objects behind them.
struct ResolvedOp {
  int32_t op;
  std::vector<uint64_t> args;  // the struct, 8-byte aligned
  std::vector<std::shared_ptr<Tensor>> tensors;
  std::vector<std::shared_ptr<Event>> events;
};
ResolvedOp resolve_op(int32_t op, const uint8_t* args, int64_t bytes);
// Checks an op's tensors and numbers against each other, the device, and the step's limits, which it tightens.
void check_op(const Device& device, const ResolvedOp& op, BatchLimits& limits);

// The words of a batch of this shape.
int64_t batch_words(const talaria_batch_shape& shape);
void check_batch_shape(const talaria_batch_shape& shape);
// Checks every word of a batch that could lead a kernel out of bounds.
void check_batch(const BatchLimits& limits, const int32_t* words, int64_t count);

}  // namespace talaria
