// The memory that kernels may touch: what the driver has handed out, and nothing else. Who wrote and read each word last is
// kept, which shows two blocks of a launch in each other's way, and a launch that began before the one it depends on ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>

#include "module.hpp"

namespace ptx {

// A block of a launch, as the one number that is kept for a word.
constexpr uint64_t author(uint32_t launch, uint32_t block) { return static_cast<uint64_t>(launch) << 32 | block; }
constexpr uint32_t launch_of(uint64_t author) { return static_cast<uint32_t>(author >> 32); }

struct Word {
  std::atomic<uint64_t> writer{0}, reader{0};
};

struct Allocation {
  uintptr_t begin, end;
  bool host;
  std::unique_ptr<Word[]> words;  // one per four bytes; not for the host's memory, where devices meet
};

class Memory {
 public:
  static Memory& all();

  void add(void* memory, size_t bytes, bool host);
  bool remove(void* memory);
  // The allocation that has all of the bytes; nullptr if none has.
  std::shared_ptr<Allocation> find(uintptr_t address, size_t bytes) const;
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  mutable std::shared_mutex mutex_;
  std::map<uintptr_t, std::shared_ptr<Allocation>> allocations_;  // by end
  std::atomic<uint64_t> generation_{1};
};

}  // namespace ptx
