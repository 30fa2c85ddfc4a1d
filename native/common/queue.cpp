#include "queue.hpp"

#include <cstdio>
#include <exception>
#include <new>

namespace talaria {

int32_t report(talaria_status* status, int32_t code, const char* text) noexcept {
  status->code = code;
  snprintf(status->text, sizeof status->text, "%s", text);
  return code;
}

Queue::Queue() : worker_([this] { work(); }) {}

Queue::~Queue() { stop(); }

void Queue::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    __atomic_store_n(&cancelled_, 1, __ATOMIC_RELAXED);
    drop_all();
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
}

void Queue::add(std::function<void()> job, std::function<void()> dropped) {
  std::lock_guard<std::mutex> lock(mutex_);
  jobs_.push_back({std::move(job), std::move(dropped)});
  if (fault_.code != TALARIA_OK) drop_all();  // it would run on wrong data
  changed_.notify_all();
}

void Queue::drop_all() {
  for (Job& job : jobs_) {
    if (job.dropped) job.dropped();
  }
  jobs_.clear();
}

int32_t Queue::wait(talaria_status* status) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return jobs_.empty() && !running_; });
  int32_t code = report(status, fault_.code, fault_.text);
  report(&fault_, TALARIA_OK, "");
  return code;
}

bool Queue::idle() {
  std::lock_guard<std::mutex> lock(mutex_);
  return jobs_.empty() && !running_ && fault_.code == TALARIA_OK;
}

namespace {

// Runs a job; what it throws becomes a status.
void run(const std::function<void()>& job, talaria_status* status) noexcept {
  try {
    job();
  } catch (const Fault& thrown) {
    report(status, thrown.code, thrown.text.c_str());
  } catch (const std::bad_alloc&) {
    report(status, TALARIA_OUT_OF_MEMORY, "the host ran out of memory during a step");
  } catch (const std::exception& thrown) {
    report(status, TALARIA_LOST, thrown.what());
  } catch (...) {
    report(status, TALARIA_LOST, "an unexpected C++ exception during a step");
  }
}

}  // namespace

void Queue::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    running_ = true;
    lock.unlock();
    talaria_status status{};
    run(job.run, &status);
    lock.lock();
    running_ = false;
    if (status.code != TALARIA_OK) {
      drop_all();
      fault_ = status;
    }
    changed_.notify_all();
  }
}

}  // namespace talaria
