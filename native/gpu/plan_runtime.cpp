#include "plan_runtime.hpp"

#include <utility>

#include "../../kernels/gpu/weights.h"

namespace talaria::gpu {

namespace {

class PlanRuntime : public Runtime {
 public:
  explicit PlanRuntime(Properties properties) : properties_(std::move(properties)) {}
  const Properties& properties() const override { return properties_; }
  int64_t free_bytes() override { return INT64_MAX; }

  void* allocate(int64_t bytes, const char* what) override {
    if (bytes > last_ - next_) throw Fault{TALARIA_OUT_OF_MEMORY, std::string(what) + " is larger than any device"};
    return reinterpret_cast<void*>(std::exchange(next_, next_ + talaria_round_up(bytes, 256)));
  }
  void release(void*) noexcept override {}
  void* allocate_host(int64_t) override { return nullptr; }
  void release_host(void*) noexcept override {}
  void* map_host(void* memory, int64_t) override { return memory; }
  void unmap_host(void*) noexcept override {}

  std::shared_ptr<void> allocate_peer(int64_t bytes, const char* what) override { return {allocate(bytes, what), [](void*) {}}; }
  bool reaches(int32_t) override { return (properties_.needs & SIMDGROUP) == 0; }

  void upload(void*, const void*, int64_t) override {}
  void download(void*, const void*, int64_t) override {}
  void copy(void*, const void*, int64_t) override {}
  void fill(void*, uint8_t, int64_t) override {}

  void launch(const Launch&) override {}
  std::unique_ptr<Graph> capture(std::span<const Launch>) override { return std::make_unique<Graph>(); }
  void replay(Graph&) override {}

  std::unique_ptr<Event> new_event() override { return std::make_unique<Event>(); }
  void record(Event&) override {}
  void wait(Event&) override {}
  double elapsed_ms(Event&, Event&) override { return 0; }
  void synchronize() override {}

 private:
  Properties properties_;
  int64_t next_ = int64_t{1} << 20;
  static constexpr int64_t last_ = int64_t{1} << 62;
};

}  // namespace

std::unique_ptr<Runtime> plan_runtime(Properties properties) {
  return std::make_unique<PlanRuntime>(std::move(properties));
}

}  // namespace talaria::gpu
