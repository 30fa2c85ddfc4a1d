// Steps: composing and running.
#include <algorithm>
#include <cstring>

#include "handles.hpp"

namespace talaria {

Step::~Step() {
  if (!device) return;
  std::lock_guard<std::recursive_mutex> lock(device->mutex);
  if (device->closed || object == nullptr) return;
  device->drain();
  device->table().step_free(device->object, object);
  // The tensors go last, while the device is still locked.
  tensors.clear();
}

namespace {

uint64_t new_step(uint64_t device, const uint8_t* source, int64_t bytes) {
  auto options = read_struct<talaria_step_options>(source, bytes, "step_options");
  if (options.activations != TALARIA_ACTIVATIONS_HALF && options.activations != TALARIA_ACTIVATIONS_INT8) {
    fail(TALARIA_INVALID, "step_options: %d is no mode of activations", options.activations);
  }
  if (options.batch_invariant != 0 && options.batch_invariant != 1) {
    fail(TALARIA_INVALID, "step_options: batch_invariant is %d, must be 0 or 1", options.batch_invariant);
  }
  if (options.reserved != 0) fail(TALARIA_INVALID, "step_options: reserved is %d, must be 0", options.reserved);
  auto step = std::make_shared<Step>();
  static_assert(sizeof options.batch == sizeof step->limits.shape, "a batch shape is eight 32-bit numbers");
  memcpy(&step->limits.shape, options.batch, sizeof options.batch);
  check_batch_shape(step->limits.shape);

  Locked locked(device);
  talaria_status report{};
  locked->check(locked->table().step_new(locked->object, &options, &step->object, &report), report);
  step->device = locked.shared();
  locked->children.reserve(locked->children.size() + 1);
  uint64_t handle = Handles::all().add(step);
  locked->children.push_back(handle);
  return handle;
}

void require_own(const Device& device, const Step& step, const char* call) {
  if (step.device.get() != &device) fail(TALARIA_INVALID, "%s: the step belongs to another device", call);
}

void append(Device& device, Step& step, ResolvedOp& resolved) {
  if (step.ended) fail(TALARIA_INVALID, "step_append: the step has ended");
  BatchLimits limits = step.limits;
  check_op(device, resolved, limits);
  step.tensors.reserve(step.tensors.size() + resolved.tensors.size());
  step.events.reserve(step.events.size() + resolved.events.size());
  talaria_status report{};
  device.check(device.table().step_append(device.object, step.object, resolved.op, resolved.args.data(), &report),
               report);
  step.limits = limits;
  std::move(resolved.tensors.begin(), resolved.tensors.end(), std::back_inserter(step.tensors));
  std::move(resolved.events.begin(), resolved.events.end(), std::back_inserter(step.events));
}

}  // namespace
}  // namespace talaria

using namespace talaria;

#define TALARIA_EXPORT extern "C" __attribute__((visibility("default")))

TALARIA_EXPORT uint64_t talaria_step_new(uint64_t device, const uint8_t* options, int64_t bytes,
                                         talaria_status* status) {
  return guarded<uint64_t>(status, 0, [&] { return new_step(device, options, bytes); });
}

TALARIA_EXPORT int32_t talaria_step_append(uint64_t device, uint64_t step, int32_t op, const uint8_t* args,
                                           int64_t bytes, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Step>(step, "step_append");
    ResolvedOp resolved = resolve_op(op, args, bytes);
    Locked locked(device);
    require_own(*locked, *found, "step_append");
    append(*locked, *found, resolved);
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_step_end(uint64_t device, uint64_t step, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Step>(step, "step_end");
    Locked locked(device);
    require_own(*locked, *found, "step_end");
    if (found->ended) fail(TALARIA_INVALID, "step_end: the step has ended already");
    talaria_status report{};
    locked->check(locked->table().step_end(locked->object, found->object, &report), report);
    found->ended = true;
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_step_free(uint64_t device, uint64_t step, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Step>(step, "step_free");
    Locked locked(device, true);
    require_own(*locked, *found, "step_free");
    if (!Handles::all().remove(step)) fail(TALARIA_INVALID, "step_free: another thread has freed it meanwhile");
    std::erase(locked->children, step);
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_run(uint64_t device, uint64_t step, const uint8_t* batch, int64_t bytes,
                                   talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Step>(step, "run");
    Locked locked(device);
    locked->require_memory("run");
    require_own(*locked, *found, "run");
    if (!found->ended) fail(TALARIA_INVALID, "run: the step has not ended; end it first");
    int64_t words = batch_words(found->limits.shape);
    if (batch == nullptr || bytes != words * 4) {
      fail(TALARIA_INVALID, "run: the batch has %lld bytes where this step's batches have %lld",
           static_cast<long long>(bytes), static_cast<long long>(words * 4));
    }
    // A copy of our own: what is checked is what runs, whatever the caller does to its buffer meanwhile.
    std::vector<int32_t> copy(static_cast<size_t>(words));
    memcpy(copy.data(), batch, static_cast<size_t>(bytes));
    check_batch(found->limits, copy.data(), words);
    talaria_status report{};
    locked->check(locked->table().run(locked->object, found->object, copy.data(), words, &report), report);
    return static_cast<int32_t>(TALARIA_OK);
  });
}
