// A step on a GPU: its ops in order, and the launches that they become.
#pragma once

#include <deque>
#include <memory>
#include <variant>
#include <vector>

#include "../common/queue.hpp"
#include "compose.hpp"

namespace talaria::gpu {

class Step {
 public:
  Step(const talaria_step_options& options, Runtime& runtime, Scratch& scratch, int32_t wait_limit_ms,
       const volatile int32_t* cancelled);
  ~Step();
  void append(int32_t op, const void* args);
  void end();  // composes; throws OUT_OF_MEMORY if the scratch memory does not fit
  void run(const int32_t* words);
  bool meets_others() const { return meets_others_; }  // copies to the host, signals or waits
  int64_t words() const { return words_; }

 private:
  // Launches [first, end) as one graph, or an op that the host does between two graphs.
  struct Part {
    size_t first = 0, end = 0;
    const Node* host_op = nullptr;
    std::unique_ptr<Graph> graph;
  };
  void compose();
  void upload(const int32_t* words);
  void run_host_op(const Node& node, const int32_t* words);
  bool cancelled() const;

  talaria_batch_shape shape_{};
  Mode mode_;
  Runtime& runtime_;
  Scratch& scratch_;
  int32_t wait_limit_ms_;
  const volatile int32_t* cancelled_;
  int64_t words_;
  bool meets_others_ = false;
  std::deque<Node> nodes_;
  std::vector<Launch> launches_;
  std::vector<Part> parts_;
  int64_t generation_ = -1;  // of the scratch memory that the launches point into
  Memory batch_;
  // Batches on their way, in pinned memory.
  struct Staged {
    int32_t* host = nullptr;
    std::unique_ptr<Event> event;
    bool used = false;
  };
  Staged staged_[3];
  int next_ = 0;
};

}  // namespace talaria::gpu
