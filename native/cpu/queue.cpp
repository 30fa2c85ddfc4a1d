#include "queue.hpp"

#include <exception>
#include <new>

namespace talaria::cpu {

Queue::Queue() : worker_([this] { work(); }) {}

Queue::~Queue() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    cancelled_ = 1;
    jobs_.clear();
  }
  changed_.notify_all();
  worker_.join();
}

void Queue::add(std::function<void()> job) {
  std::lock_guard<std::mutex> lock(mutex_);
  jobs_.push_back(std::move(job));
  changed_.notify_all();
}

Fault Queue::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return jobs_.empty() && !running_; });
  Fault fault{TALARIA_OK, ""};
  std::swap(fault, fault_);
  return fault;
}

void Queue::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    running_ = true;
    lock.unlock();
    Fault fault{TALARIA_OK, ""};
    try {
      job();
    } catch (const Fault& thrown) {
      fault = thrown;
    } catch (const std::bad_alloc&) {
      fault = {TALARIA_OUT_OF_MEMORY, "the host ran out of memory during a step"};
    } catch (const std::exception& thrown) {
      fault = {TALARIA_LOST, thrown.what()};
    }
    lock.lock();
    running_ = false;
    if (fault.code != TALARIA_OK) {
      jobs_.clear();  // what follows would run on wrong data
      if (fault_.code == TALARIA_OK) fault_ = fault;
    }
    changed_.notify_all();
  }
}

}  // namespace talaria::cpu
