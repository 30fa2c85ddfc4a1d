// A step on the CPU: its ops in order, each with a copy of its args.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "../../kernels/cpu/kernels.hpp"
#include "../common/queue.hpp"

namespace talaria::cpu {

// The scratch memory of a device: one step runs at a time, so all share it, and it is as large as the hungriest needs.
class Scratch {
 public:
  explicit Scratch(bool counted_only = false) : counted_only_(counted_only) {}
  // Grows it to so many floats. A step that runs meanwhile keeps what it has. Throws std::bad_alloc.
  void reserve(int64_t floats);
  int64_t floats() const;
  std::shared_ptr<float[]> memory() const;

 private:
  const bool counted_only_;
  mutable std::mutex mutex_;
  std::shared_ptr<float[]> memory_;
  int64_t floats_ = 0;
};

class Step {
 public:
  Step(const talaria_step_options& options, int32_t wait_limit_ms, const volatile int32_t* cancelled, Pool& pool, Scratch& scratch);
  void append(int32_t op, const void* args);
  void end(int64_t free_bytes);  // sees to the scratch memory, if it fits
  void run(const int32_t* words);
  void abandon() const;  // the events that it signals: it will not

 private:
  struct Node {
    int32_t op;
    std::vector<uint64_t> args;
  };
  void run_op(const Node& node, const Batch& batch, float* scratch);
  void wait_for(talaria_event event);
  bool cancelled() const;

  talaria_batch_shape shape_{};
  Mode mode_;
  Pool& pool_;
  int32_t wait_limit_ms_;
  const volatile int32_t* cancelled_;
  std::vector<Node> nodes_;
  Scratch& scratch_;
  int64_t scratch_floats_ = 0;
};

}  // namespace talaria::cpu
