// A device's queue: a worker thread that runs jobs in order, so that the caller, and other devices, go on meanwhile.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "fault.hpp"

namespace talaria {

class Queue {
 public:
  Queue();
  ~Queue();
  void stop();  // drops what has not begun, ends what has
  // `dropped` is called in place of the job if that will not run: a job before it has failed, or the queue is destroyed.
  void add(std::function<void()> job, std::function<void()> dropped = {});
  // Returns when nothing is queued or running, with the first fault since the last call.
  int32_t wait(talaria_status* status) noexcept;
  // True if nothing is queued or running, and no fault waits to be reported.
  bool idle();
  // Becomes non-zero when the queue is being destroyed, for jobs that wait.
  const volatile int32_t* cancelled() const { return &cancelled_; }

 private:
  struct Job {
    std::function<void()> run, dropped;
  };
  void work();
  void drop_all();  // while the mutex is held

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool running_ = false;
  bool stop_ = false;
  volatile int32_t cancelled_ = 0;
  talaria_status fault_{};
  std::thread worker_;
};

}  // namespace talaria
