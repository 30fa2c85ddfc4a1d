// A step on the CPU: its ops in order, each with a copy of its args, and scratch memory for the hungriest of them.
#pragma once

#include <vector>

#include "../../kernels/cpu/kernels.hpp"
#include "queue.hpp"

namespace talaria::cpu {

class Step {
 public:
  Step(const talaria_step_options& options, int32_t wait_limit_ms, const volatile int32_t* cancelled, Pool& pool);
  void append(int32_t op, const void* args);
  void end(int64_t free_bytes);  // allocates the scratch memory, if it fits
  void run(const int32_t* words);

 private:
  struct Node {
    int32_t op;
    std::vector<uint64_t> args;
  };
  void run_op(const Node& node, const Batch& batch);
  void wait_for(talaria_event event);
  bool cancelled() const;

  talaria_batch_shape shape_{};
  Mode mode_;
  Pool& pool_;
  int32_t wait_limit_ms_;
  const volatile int32_t* cancelled_;
  std::vector<Node> nodes_;
  int64_t scratch_floats_ = 0;
  std::vector<float> scratch_;
};

}  // namespace talaria::cpu
