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

// Who touched which bytes of a word: a block of a launch, or several.
struct Author {
  uint32_t launch = 0, block : 28 = 0, bytes : 4 = 0;
  bool operator==(const Author&) const = default;
};
constexpr uint32_t several = (1u << 28) - 1;

// The last launch to write, and the last to read. Whoever comes first says so in one and then looks at the other, so that
// of two threads at least one sees both.
struct Word {
  std::atomic<Author> writer, reader;
};

// Adds `now` to those of its launch. Who was there before.
inline Author add(std::atomic<Author>& last, Author now) {
  for (Author before = last.load();;) {
    Author after = now;
    if (before.launch == now.launch) {
      after.bytes |= before.bytes;
      if (before.block != now.block) after.block = several;
    }
    if (after == before || last.compare_exchange_weak(before, after)) return before;
  }
}

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
