// Handles: kind (8 bits), generation (24), slot (32). A slot's generation rises each time it is freed, so a handle to
// what was freed, or one that was made up, names nothing.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core.hpp"

namespace talaria {

class Handles {
 public:
  static Handles& all();

  template <typename T>
  uint64_t add(std::shared_ptr<T> object) {
    return add(T::kind, std::move(object));
  }

  // The object, or a fault that says what the handle was taken for.
  template <typename T>
  std::shared_ptr<T> get(uint64_t handle, const char* what) const {
    auto object = std::static_pointer_cast<T>(find(handle, T::kind));
    if (!object) {
      fail(TALARIA_INVALID, "%s: the handle %llx is stale or was never one", what,
           static_cast<unsigned long long>(handle));
    }
    return object;
  }

  // Makes the handle stale, and says whether it was not yet; the object lives on while anything else holds it.
  bool remove(uint64_t handle) noexcept;

 private:
  struct Slot {
    uint32_t generation = 1;
    uint32_t next_free = none;  // free slots form a list, so that freeing allocates nothing
    uint8_t kind = 0;
    std::shared_ptr<void> object;
  };
  static constexpr uint32_t none = UINT32_MAX;

  uint64_t add(uint8_t kind, std::shared_ptr<void> object);
  std::shared_ptr<void> find(uint64_t handle, uint8_t kind) const;

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  uint32_t first_free_ = none;
};

}  // namespace talaria
