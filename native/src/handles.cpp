#include "handles.hpp"

namespace talaria {

namespace {
constexpr uint32_t max_generation = (1u << 24) - 1;
constexpr size_t max_slots = 1u << 24;
}  // namespace

Handles& Handles::all() {
  // Never destroyed: a JVM may still call in while the process runs its exit handlers.
  static Handles* handles = new Handles();
  return *handles;
}

uint64_t Handles::add(uint8_t kind, std::shared_ptr<void> object) {
  std::lock_guard<std::mutex> lock(mutex_);
  uint32_t slot = first_free_;
  if (slot != none) {
    first_free_ = slots_[slot].next_free;
  } else {
    if (slots_.size() >= max_slots) {
      fail(TALARIA_OUT_OF_MEMORY, "%zu handles are in use; free some", slots_.size());
    }
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  slots_[slot].kind = kind;
  slots_[slot].object = std::move(object);
  return static_cast<uint64_t>(kind) << 56 | static_cast<uint64_t>(slots_[slot].generation) << 32 | slot;
}

std::shared_ptr<void> Handles::find(uint64_t handle, uint8_t kind) const {
  std::lock_guard<std::mutex> lock(mutex_);
  uint32_t slot = static_cast<uint32_t>(handle);
  uint32_t generation = static_cast<uint32_t>(handle >> 32) & max_generation;
  if (handle >> 56 != kind || slot >= slots_.size()) return nullptr;
  const Slot& entry = slots_[slot];
  return entry.generation == generation && entry.kind == kind ? entry.object : nullptr;
}

bool Handles::remove(uint64_t handle) noexcept {
  std::shared_ptr<void> object;  // declared before the lock, so destroyed after it: its destructor may call in again
  std::lock_guard<std::mutex> lock(mutex_);
  uint32_t slot = static_cast<uint32_t>(handle);
  uint32_t generation = static_cast<uint32_t>(handle >> 32) & max_generation;
  if (slot >= slots_.size() || slots_[slot].generation != generation || slots_[slot].kind != handle >> 56) return false;
  object.swap(slots_[slot].object);
  slots_[slot].kind = 0;
  // A slot whose generations are used up is left out for ever.
  if (slots_[slot].generation++ < max_generation) {
    slots_[slot].next_free = first_free_;
    first_free_ = slot;
  }
  return true;
}

}  // namespace talaria
