// One thread of the host that runs blocks, one after the other: the fibers of a block and who of them goes on next.
//
// The lanes of a hardware warp run in turn until each waits somewhere; then all must wait at the same place. So a warp goes
// on until it comes to a barrier of the block, and then another does. Orders forward and reverse are opposite in both.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fiber.hpp"
#include "simt.hpp"

namespace talaria::simt {

struct Launched {
  const Registration& kernel;
  const Grid& grid;
  const void* args;
  Order order;
  uint64_t seed;
};

class Processor {
 public:
  static Processor& here();  // this host thread's
  Processor() = default;
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;
  ~Processor();

  void prepare(const Launched& launched);
  // An empty string, or what went wrong.
  std::string run(const uint32_t block[3], uint64_t number);

  void wait(detail::Wait what, uint32_t bytes, const char* file, int line);
  void* shared(size_t bytes);
  [[noreturn]] void fail(const char* what);

 private:
  static constexpr uint32_t most_threads = 1024, most_warps = most_threads / lanes;
  // Where a thread waits.
  struct Place {
    uint64_t key;  // what for, how many bytes, at which line
    const char* file;
    detail::Wait what() const { return static_cast<detail::Wait>(key >> 56); }
    uint32_t bytes() const { return static_cast<uint32_t>(key >> 32 & 0xffffff); }
    uint32_t line() const { return static_cast<uint32_t>(key); }
    bool same(const Place& other) const {
      return key == other.key && (file == other.file || std::strcmp(file, other.file) == 0);
    }
  };
  struct Warp {
    uint16_t order[lanes];  // threads of the block
    uint32_t count, next;
    bool diverged;
    uint32_t side;  // where lanes give to the next exchange
    alignas(64) unsigned char slots[2][lanes * most_exchanged_bytes];
    uint32_t received_bytes;
  };

  static void kernel_loop();
  [[noreturn]] void leave();
  void arrange(uint64_t number);
  void begin_fibers();
  void turn(uint32_t thread);
  void meet();
  void go_on(uint32_t thread, Warp& warp);
  Warp& choose();
  std::string divergence(uint32_t begin, uint32_t end) const;
  bool shared_overrun() const;
  uint32_t random(uint32_t below);

  const Launched* launched_ = nullptr;
  Stacks stacks_;
  std::vector<Fiber> fibers_;
  uint32_t begun_ = 0;  // fibers that wait for a block to run
  Fiber host_;
  Place places_[most_threads];
  Warp warps_[most_warps];
  uint32_t warp_count_ = 0;
  uint16_t pending_[most_warps];  // warps that do not wait at a barrier; the last one runs
  uint32_t pending_count_ = 0;
  uint16_t warp_order_[most_warps];
  Warp* warp_ = nullptr;
  uint64_t random_ = 0;
  unsigned char* shared_ = nullptr;
  size_t shared_bytes_ = 0;
  size_t asked_bytes_ = 0;  // by this block; 0: nothing yet
  std::string failure_;
};

}  // namespace talaria::simt
