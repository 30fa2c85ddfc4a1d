// Events: counters that queues of different devices wait for.
#include <chrono>
#include <condition_variable>

#include "handles.hpp"

namespace talaria {

namespace {

struct Counter {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t count = 0;
};

void signal(void* event) {
  auto* counter = static_cast<Counter*>(event);
  std::lock_guard<std::mutex> lock(counter->mutex);
  counter->count++;
  counter->changed.notify_one();
}

int32_t wait(void* event, int32_t limit_ms, const volatile int32_t* cancelled) {
  auto* counter = static_cast<Counter*>(event);
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  std::unique_lock<std::mutex> lock(counter->mutex);
  while (counter->count == 0) {
    auto now = std::chrono::steady_clock::now();
    if (__atomic_load_n(cancelled, __ATOMIC_RELAXED) != 0 || now >= deadline) return 1;
    // Looks at `cancelled` every few milliseconds: whoever sets it does not know of this counter.
    counter->changed.wait_until(lock, std::min(deadline, now + std::chrono::milliseconds(5)));
  }
  counter->count--;
  return 0;
}

}  // namespace

Event::Event() { view = {signal, wait, new Counter()}; }
Event::~Event() { delete static_cast<Counter*>(view.event); }

}  // namespace talaria

using namespace talaria;

#define TALARIA_EXPORT extern "C" __attribute__((visibility("default")))

TALARIA_EXPORT uint64_t talaria_event_new(talaria_status* status) {
  return guarded<uint64_t>(status, 0, [&] { return Handles::all().add(std::make_shared<Event>()); });
}

TALARIA_EXPORT int32_t talaria_event_free(uint64_t event, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Event>(event, "event_free");
    if (!Handles::all().remove(event)) fail(TALARIA_INVALID, "event_free: another thread has freed it meanwhile");
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_event_signal(uint64_t event, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Event>(event, "event_signal");
    found->view.signal(found->view.event);
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_event_wait(uint64_t event, int32_t limit_ms, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Event>(event, "event_wait");
    if (limit_ms < 0) fail(TALARIA_INVALID, "event_wait: the limit is %d ms", limit_ms);
    const int32_t never = 0;
    if (found->view.wait(found->view.event, limit_ms, &never) != 0) {
      fail(TALARIA_LOST, "event_wait: no signal came within %d ms", limit_ms);
    }
    return static_cast<int32_t>(TALARIA_OK);
  });
}
