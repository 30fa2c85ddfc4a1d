#include "pool.hpp"

#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace talaria::cpu {

namespace {

// About 50 microseconds: longer than the gap between two ops of a step, shorter than anybody notices.
constexpr int spins = 4000;

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Pool::Pool(int32_t threads) {
  try {
    for (int32_t i = 1; i < threads; i++) workers_.emplace_back([this, i] { work(i); });
  } catch (...) {
    stop();  // those that did start
    throw;
  }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
  {
    std::lock_guard<std::mutex> lock(sleep_mutex_);
    stop_ = true;
    generation_++;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Pool::run_erased(int64_t tasks, void* context, Function function) {
  if (workers_.empty() || tasks <= 1) {
    for (int64_t task = 0; task < tasks; task++) function(context, task, 0);
    return;
  }
  context_ = context;
  function_ = function;
  tasks_ = tasks;
  next_ = 0;
  busy_ = static_cast<int32_t>(workers_.size());
  generation_++;
  if (asleep_ > 0) {
    // The lock orders this with a worker that has looked at the generation and is about to sleep.
    std::lock_guard<std::mutex> lock(sleep_mutex_);
    wake_.notify_all();
  }
  take_tasks(0);
  // A worker that lost its core to somebody else will not get it back by our spinning.
  for (int i = 0; busy_ > 0; i++) i < spins ? pause() : std::this_thread::yield();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Pool::take_tasks(int32_t thread) {
  for (int64_t task = next_++; task < tasks_; task = next_++) {
    try {
      function_(context_, task, thread);
    } catch (...) {
      std::lock_guard<std::mutex> lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
}

bool Pool::wait_for(uint32_t seen) {
  for (int i = 0; i < spins; i++) {
    if (generation_ != seen) return !stop_;
    pause();
  }
  std::unique_lock<std::mutex> lock(sleep_mutex_);
  asleep_++;
  wake_.wait(lock, [this, seen] { return generation_ != seen; });
  asleep_--;
  return !stop_;
}

void Pool::work(int32_t thread) {
  uint32_t seen = 0;
  while (wait_for(seen)) {
    seen = generation_;
    take_tasks(thread);
    busy_--;
  }
}

}  // namespace talaria::cpu
