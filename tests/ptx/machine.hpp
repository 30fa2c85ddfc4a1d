// Runs kernels as a GPU does: warps of 32 lanes that run an instruction together, part at branches and meet again. It is
// strict where GPUs are not: accesses outside of what was allocated, barriers that part of a warp or block misses, races in
// block memory and between blocks, and early launches that touch what may not be there yet, all end the launch with a Trap.
#pragma once

#include <bit>
#include <cstring>

#include "memory.hpp"

namespace ptx {

// What was counted of a kernel, in instructions of warps.
struct Counts {
  uint64_t launches = 0, blocks = 0, warps = 0;
  uint64_t instructions[8] = {};                                       // by Class
  uint64_t global_requests = 0, global_bytes = 0, global_sectors = 0;  // sectors of 32 bytes
  uint64_t shared_requests = 0, shared_turns = 0, shared_least_turns = 0;

  void add(const Counts& other);
};

struct Launch {
  const Kernel* kernel = nullptr;
  uint32_t grid[3] = {1, 1, 1}, threads[3] = {1, 1, 1}, dynamic_shared_bytes = 0;
  std::vector<uint8_t> parameters;
  uint32_t number = 0;  // counts launches of the process, from 1
  uint32_t running_since =
      0;  // launches from this one on may not have ended, until a thread has waited for them; 0: all have
};

// Runs all blocks, on some threads. Throws Trap.
void run(const Launch& launch);

// What has been counted so far, as a table in Markdown; empty if TALARIA_PTX_REPORT is not set.
std::string report();

// Memory, registers and warps of one block of threads at a time.
class Block {
 public:
  explicit Block(const Launch& launch);
  void run(uint32_t number, const uint32_t index[3]);

  // By addresses that may be of any memory.
  bool has_shared(uint64_t address, uint64_t bytes) const {
    const auto begin = reinterpret_cast<uintptr_t>(shared.data());
    return address >= begin && address - begin < shared.size() && shared.size() - (address - begin) >= bytes;
  }

  const Launch& launch;
  const Kernel& kernel;
  Counts counts;
  uint32_t number = 0, barriers = 1;  // barriers passed, over all blocks: entries of earlier blocks are past

  // Who has touched a word of block memory since the barrier before.
  struct Touch {
    uint32_t at = 0;                    // `barriers` then
    uint32_t meetings = 0;              // of the last thread's warp
    uint16_t thread = 0;                // of the block: the last
    bool lanes = false, warps = false;  // several: of the last thread's warp, since it met; of the block
  };
  struct SharedWord {
    Touch written, added, read;  // plain stores, atomic operations, loads
  };

  std::vector<uint8_t> shared, local, registers;
  std::vector<uint32_t> predicates;
  std::vector<SharedWord> shared_words;
  uint32_t threads;
  bool waited = false;  // a thread, for the launches before this one

 private:
  void begin(const uint32_t index[3]);
};

class Warp {
 public:
  Warp(Block& block, uint32_t first_thread, uint32_t threads);

  // Until all lanes have exited or wait for the block.
  void run();
  bool ended() const { return live_ == 0; }
  // After all of the block's warps have come to the barrier.
  void pass_barrier();

  // --- what instructions use ---
  uint32_t* narrow(Operand o) { return reinterpret_cast<uint32_t*>(file_ + o.row); }
  uint64_t* wide(Operand o) { return reinterpret_cast<uint64_t*>(file_ + o.row); }
  uint32_t& predicate(Operand o) { return predicates_[o.row]; }
  // Where the lanes' addresses lead, once checked.
  void locate(const Instruction& instruction, uint32_t mask, Operand base, bool writes, uint8_t* where[lanes]);
  // Of a plain store to block memory, before a lane's value is there: several threads may write the same word with one value.
  void check_rewrite(const Instruction& instruction, int lane, const uint8_t* where, const void* value,
                     size_t bytes) const;
  Block& block() { return block_; }
  bool whole() const { return live_ == ~0u; }
  void meet() { meetings_++; }  // bar.warp.sync orders memory
  void wait_for_earlier(uint32_t mask);
  uint32_t first_thread() const { return first_thread_; }

 private:
  enum class Wait : uint8_t { NONE, WARP, BLOCK };
  struct Group {
    uint32_t at, mask;
    Wait wait;
  };

  void run_group(Group group);
  uint32_t next_group(uint32_t at) const;
  bool meets(const Block::Touch& touch, uint16_t thread) const;
  void add(Block::Touch& touch, uint16_t thread) const;
  void check_shared(const Instruction& instruction, uint32_t mask, bool writes, const uint64_t* address);
  void check_global(const Instruction& instruction, uint32_t mask, bool writes, const uint64_t* address);
  void check_own(const Instruction& instruction, int lane, uint64_t address) const;
  void count_access(const Instruction& instruction, Space space, uint32_t mask, const uint64_t* address);
  [[noreturn]] void trap(const Instruction& instruction, const std::string& what) const;

  Block& block_;
  const Kernel& kernel_;
  uint8_t* file_;
  uint32_t* predicates_;
  uint32_t first_thread_, live_, lanes_at_first_ = live_, waited_ = 0, meetings_ = 1;
  uint32_t rewrites_ = 0;  // lanes that are about to write what others wrote since the last barrier
  std::vector<Group> groups_;
  std::shared_ptr<Allocation> last_;  // the allocation that was touched last
  uint64_t last_generation_ = 0;
};

template <typename F>
inline void each(uint32_t mask, const F& f) {
  if (mask == ~0u) {
    for (int lane = 0; lane < lanes; lane++) f(lane);
  } else {
    for (; mask != 0; mask &= mask - 1) f(std::countr_zero(mask));
  }
}

}  // namespace ptx
