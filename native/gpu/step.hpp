// A step on a GPU: its ops in order, and the launches that they become.
#pragma once

#include <deque>
#include <memory>
#include <variant>
#include <vector>

#include "../common/queue.hpp"
#include "compose.hpp"

namespace talaria::gpu {

// What a wait that ended without a signal means.
Fault no_signal(int32_t waited, int32_t limit_ms);

class Step {
 public:
  Step(const talaria_step_options& options, Runtime& runtime, Scratch& scratch, int32_t wait_limit_ms,
       const volatile int32_t* cancelled, Meetings* meetings);
  ~Step();
  void append(int32_t op, const void* args);
  void end();  // composes; throws OUT_OF_MEMORY if the scratch memory does not fit
  void refresh();  // the same again, if the scratch memory has moved since; nothing runs
  void run(const int32_t* words);
  void abandon() const;  // the events that it signals: it will not
  bool needs_host() const { return needs_host_; }  // which copies, signals or waits between its graphs
  int64_t words() const { return words_; }

 private:
  // Launches [first, end) as one graph, or an op that the host does between two graphs.
  struct Part {
    size_t first = 0, end = 0;
    const Node* host_op = nullptr;
    std::unique_ptr<Graph> graph;
  };
  void compose();
  const Node* next_op(size_t at) const;
  void upload(const int32_t* words);
  void run_parts(const int32_t* words);
  void run_host_op(const Node& node, const int32_t* words);
  bool cancelled() const;

  talaria_batch_shape shape_{};
  Mode mode_;
  Runtime& runtime_;
  Scratch& scratch_;
  int32_t wait_limit_ms_;
  const volatile int32_t* cancelled_;
  int64_t words_;
  std::deque<Node> nodes_;
  std::vector<Launch> launches_;
  std::vector<Part> parts_;
  bool needs_host_ = false;
  int64_t generation_ = -1;  // of the scratch memory that the launches point into
  Memory batch_;  // and behind its words one that is 0 as long as no wait of this run has failed
  HostPages pages_;
  MeetingPlace place_;
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
