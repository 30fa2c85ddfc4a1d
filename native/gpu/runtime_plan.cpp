// Stands in for GPUs that are not here, so that models can be planned for them: one device, for planning alone.
//
// What a device is decides little of what a step takes: one with few processors takes tiles, and room for their results,
// where others need none. So this one has few, and no real one takes more.
#include "plan_runtime.hpp"

namespace talaria::gpu {

namespace {

class PlanDriver : public Driver {
 public:
  const char* name() const override { return "plan"; }
  int32_t device_count() override { return 1; }
  Properties properties(int32_t) override {
    Properties p;
    p.name = "any GPU";
    p.architecture = "plan";
    p.page_bytes = int64_t{2} << 20;
    p.processors = 1;
    p.needs = EXCHANGE;  // and so places for rows on their way, and a second queue that carries them
    return p;
  }
  int64_t free_bytes(int32_t) override { return 0; }
  std::unique_ptr<Runtime> open(int32_t, bool) override {
    throw Fault{TALARIA_UNSUPPORTED, "there is no GPU here: it can be planned for, and nothing more"};
  }
};

}  // namespace

Driver& driver() {
  static PlanDriver driver;
  return driver;
}

}  // namespace talaria::gpu
