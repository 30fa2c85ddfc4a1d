#include "memory.hpp"

#include <mutex>

namespace ptx {

Memory& Memory::all() {
  static Memory& memory = *new Memory();  // for good: threads may outlive static objects
  return memory;
}

void Memory::add(void* memory, size_t bytes, bool host) {
  auto begin = reinterpret_cast<uintptr_t>(memory);
  auto allocation = std::make_shared<Allocation>(Allocation{begin, begin + bytes, host, nullptr});
  if (!host) allocation->words = std::make_unique<Word[]>(bytes / 4 + 1);
  std::unique_lock<std::shared_mutex> lock(mutex_);
  allocations_[begin + bytes] = std::move(allocation);
  generation_++;
}

bool Memory::remove(void* memory) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  auto found = allocations_.upper_bound(reinterpret_cast<uintptr_t>(memory));
  if (found == allocations_.end() || found->second->begin != reinterpret_cast<uintptr_t>(memory)) return false;
  allocations_.erase(found);
  generation_++;
  return true;
}

std::shared_ptr<Allocation> Memory::find(uintptr_t address, size_t bytes) const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  auto found = allocations_.upper_bound(address);
  if (found == allocations_.end() || found->second->begin > address || found->second->end < address + bytes)
    return nullptr;
  return found->second;
}

}  // namespace ptx
