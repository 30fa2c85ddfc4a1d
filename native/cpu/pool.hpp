// The CPU's threads: they share out the tasks of one loop at a time, and spin for a moment before they sleep, since the
// next loop of a step comes within microseconds.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace talaria::cpu {

class Pool {
 public:
  // `threads` in all, the caller of `run` among them.
  explicit Pool(int32_t threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int32_t threads() const { return static_cast<int32_t>(workers_.size()) + 1; }

  // Calls body(task, thread) for every task below `tasks`, each once, on any thread; returns when all are done. An
  // exception of a body is thrown again here. Which thread runs a task must not change what it computes.
  template <typename Body>
  void run(int64_t tasks, Body&& body) {
    run_erased(tasks, &body, [](void* context, int64_t task, int32_t thread) {
      (*static_cast<std::remove_reference_t<Body>*>(context))(task, thread);
    });
  }

 private:
  using Function = void (*)(void* context, int64_t task, int32_t thread);
  void run_erased(int64_t tasks, void* context, Function function);
  void work(int32_t thread);
  void stop();
  void take_tasks(int32_t thread);
  bool wait_for(uint32_t seen);

  std::vector<std::thread> workers_;
  // The loop under way.
  void* context_ = nullptr;
  Function function_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int32_t> busy_{0};
  std::exception_ptr failure_;
  std::mutex failure_mutex_;
  // Counts loops, so that workers see a new one.
  std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int32_t> asleep_{0};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
};

}  // namespace talaria::cpu
