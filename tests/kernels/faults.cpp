// faults LIBRARY [CYCLES]: what a GPU backend does when memory runs out or a kernel fails, at every place where that can
// happen. LIBRARY is the emulator's, which fails when asked to (tests/simt/faults.h). Exits 1 at the first wrong answer.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../simt/faults.h"
#include "ops.hpp"

namespace ops {
namespace {

decltype(&talaria_simt_fail) fail_at;
decltype(&talaria_simt_allocated) allocated;
decltype(&talaria_simt_launches) launched;

[[noreturn]] void give_up(const std::string& text) {
  std::fprintf(stderr, "faults: %s\n", text.c_str());
  std::fflush(stderr);
  std::_Exit(1);
}

// A call that failed: its name, and what the status says.
struct Failed {
  const char* call;
  int32_t code;
  std::string text;
};

void check(const char* call, bool ok, const talaria_status& status) {
  size_t length = strnlen(status.text, sizeof status.text);
  if (length == sizeof status.text) give_up(std::string(call) + ": a text without an end");
  if (ok != (status.code == TALARIA_OK)) give_up(std::string(call) + ": its answer and its status differ");
  if (ok != (length == 0)) give_up(std::string(call) + ": a failure without a sentence, or a success with one");
  if (!ok) throw Failed{call, status.code, status.text};
}

// --- one request: tensors, a step with all ops, a run, and what it leaves -----------------------------------------------

constexpr int64_t hidden = 32, ffn = 64, vocabulary = 40, experts = 3, used = 2, rows = 3, width = 64, kv_width = 32,
                  top_k = 4;
constexpr int64_t more_rows = 30;  // of a step that needs more memory

class Request {
 public:
  explicit Request(uint64_t device) : device_(device) {}
  ~Request() {
    for (uint64_t tensor : host_) talaria_tensor_free(0, tensor, nullptr);
    if (event_ != 0) talaria_event_free(event_, nullptr);
    if (step_ != 0) talaria_step_free(device_, step_, nullptr);
    for (uint64_t tensor : tensors_) talaria_tensor_free(device_, tensor, nullptr);
  }
  // `more` makes a step that needs more memory than any before it.
  void compose(int64_t more);
  Words run();

 private:
  uint64_t tensor(int32_t kind, int32_t type, std::vector<int64_t> shape);
  uint64_t weight(int32_t type, int64_t matrices, int64_t rows, int64_t columns);
  template <typename Args>
  void append(int32_t op, Args args) {
    args.size = sizeof args;
    talaria_status status;
    int32_t code = talaria_step_append(device_, step_, op, reinterpret_cast<uint8_t*>(&args), sizeof args, &status);
    check("step_append", code == TALARIA_OK, status);
  }
  void append_layer(uint64_t x, int64_t capacity);

  uint64_t device_, step_ = 0, event_ = 0, copied_ = 0, logits_ = 0, seed_ = 0;
  std::vector<uint64_t> tensors_, host_;
  Batch batch_ = Batch::of(1);
};

uint64_t Request::tensor(int32_t kind, int32_t type, std::vector<int64_t> shape) {
  talaria_tensor_desc desc{sizeof desc, kind, type, 0, {1, 1, 1, 1}, "tensor of a request"};
  for (size_t i = 0; i < shape.size(); i++) desc.shape[4 - shape.size() + i] = shape[i];
  talaria_status status;
  uint64_t handle =
      talaria_tensor_new(kind == TALARIA_HOST ? 0 : device_, reinterpret_cast<uint8_t*>(&desc), sizeof desc, &status);
  check("tensor_new", handle != 0, status);
  (kind == TALARIA_HOST ? host_ : tensors_).push_back(handle);
  return handle;
}

uint64_t Request::weight(int32_t type, int64_t matrices, int64_t count, int64_t columns) {
  Weight w = random_weight(type, matrices, count, columns, ++seed_);
  uint64_t handle = tensor(TALARIA_WEIGHT, type, {matrices, count, columns});
  talaria_status status;
  int32_t code = talaria_write(device_, handle, 0, w.bytes.data(), static_cast<int64_t>(w.bytes.size()), &status);
  check("write", code == TALARIA_OK, status);
  return handle;
}

void Request::append_layer(uint64_t x, int64_t capacity) {
  uint64_t q = tensor(TALARIA_ACTIVATION, TALARIA_F32, {capacity, width}),
           attended = tensor(TALARIA_ACTIVATION, TALARIA_F32, {capacity, width});
  uint64_t keys = tensor(TALARIA_KV, TALARIA_F16, {1, rows, 4, kv_width}),
           values = tensor(TALARIA_KV, TALARIA_F16, {1, rows, 4, kv_width});
  uint64_t h = tensor(TALARIA_ACTIVATION, TALARIA_F32, {capacity, hidden}),
           slots = tensor(TALARIA_ACTIVATION, TALARIA_F32, {1, capacity, used, hidden});
  uint64_t routing = tensor(TALARIA_ACTIVATION, TALARIA_I32, {capacity, 2 * used}),
           norm = weight(TALARIA_F32, 1, 1, hidden);
  append(TALARIA_OP_ATTENTION_INPUT, talaria_attention_input_args{.q = q,
                                                                  .x = x,
                                                                  .norm = norm,
                                                                  .wq = weight(TALARIA_Q8_0, 1, width, hidden),
                                                                  .wk = weight(TALARIA_F16, 1, kv_width, hidden),
                                                                  .wv = weight(TALARIA_Q8_0, 1, kv_width, hidden),
                                                                  .keys = keys,
                                                                  .values = values,
                                                                  .layer = 0,
                                                                  .head_dim = 32,
                                                                  .rope_dims = 32,
                                                                  .rope_base = 1e4f,
                                                                  .epsilon = 1e-5f});
  append(TALARIA_OP_ATTENTION,
         talaria_attention_args{
             .attended = attended, .q = q, .keys = keys, .values = values, .layer = 0, .head_dim = 32, .scale = 0.2f});
  append(TALARIA_OP_ATTENTION_OUTPUT,
         talaria_attention_output_args{.x = x, .attended = attended, .wo = weight(TALARIA_Q4_0, 1, hidden, width)});
  append(TALARIA_OP_ROUTE, talaria_route_args{.routing = routing,
                                              .h = h,
                                              .x = x,
                                              .norm = norm,
                                              .router = weight(TALARIA_F32, 1, experts, hidden),
                                              .epsilon = 1e-5f});
  append(TALARIA_OP_EXPERTS, talaria_experts_args{.slots = slots,
                                                  .h = h,
                                                  .routing = routing,
                                                  .gate = weight(TALARIA_Q8_0, experts, ffn, hidden),
                                                  .up = weight(TALARIA_Q4_0, experts, ffn, hidden),
                                                  .down = weight(TALARIA_Q8_0, experts, hidden, ffn)});
  append(TALARIA_OP_ADD_SLOTS, talaria_add_slots_args{.x = x, .slots = slots});
}

void Request::compose(int64_t more) {
  auto capacity = static_cast<int32_t>(rows + more);
  batch_ = Batch({capacity, static_cast<int32_t>(rows), static_cast<int32_t>(rows), 1, 1, 0, 0, 0});
  for (int32_t row = 0; row < rows; row++) {
    batch_.block(row, 0, row);
    batch_.row(row * 11, row, row);
    batch_.want(row);
  }
  int32_t mode = TALARIA_ACTIVATIONS_INT8;
  talaria_step_options options{sizeof options, mode, {}, 0, 0};
  std::memcpy(options.batch, &batch_.shape, sizeof batch_.shape);
  talaria_status status;
  step_ = talaria_step_new(device_, reinterpret_cast<uint8_t*>(&options), sizeof options, &status);
  check("step_new", step_ != 0, status);
  event_ = talaria_event_new(&status);
  check("event_new", event_ != 0, status);

  uint64_t x = tensor(TALARIA_ACTIVATION, TALARIA_F32, {capacity, hidden});
  uint64_t top = tensor(TALARIA_ACTIVATION, TALARIA_I32, {rows, 3 * top_k + 2});
  logits_ = tensor(TALARIA_ACTIVATION, TALARIA_F32, {rows, vocabulary});
  copied_ = tensor(TALARIA_HOST, TALARIA_F32, {capacity, hidden});
  append(TALARIA_OP_ZERO, talaria_zero_args{.target = logits_});
  append(TALARIA_OP_EMBED, talaria_embed_args{.x = x, .table = weight(TALARIA_Q8_0, 1, vocabulary, hidden)});
  append_layer(x, capacity);
  append(TALARIA_OP_SIGNAL, talaria_event_args{.event = event_});
  append(TALARIA_OP_WAIT, talaria_event_args{.event = event_});
  append_layer(x, capacity);
  append(TALARIA_OP_COPY, talaria_copy_args{.target = copied_, .source = x, .row_bytes = hidden * 4});
  append(TALARIA_OP_TOP_LOGITS, talaria_top_logits_args{.top = top,
                                                        .x = x,
                                                        .norm = weight(TALARIA_F32, 1, 1, hidden),
                                                        .output = weight(TALARIA_Q8_0, 1, vocabulary, hidden),
                                                        .logits = logits_,
                                                        .k = top_k,
                                                        .epsilon = 1e-5f});
  check("step_end", talaria_step_end(device_, step_, &status) == TALARIA_OK, status);
}

// What the last rows of x and the logits are.
Words Request::run() {
  talaria_status status;
  const Words& words = batch_.words;
  int32_t code = talaria_run(device_, step_, reinterpret_cast<const uint8_t*>(words.data()), words.size() * 4, &status);
  check("run", code == TALARIA_OK, status);
  Words result(rows * (vocabulary + hidden));
  auto* bytes = reinterpret_cast<uint8_t*>(result.data());
  check("read", talaria_read(device_, logits_, 0, bytes, rows * vocabulary * 4, &status) == TALARIA_OK, status);
  code = talaria_read(0, copied_, 0, bytes + rows * vocabulary * 4, rows * hidden * 4, &status);
  check("read", code == TALARIA_OK, status);
  return result;
}

// --- devices ------------------------------------------------------------------------------------------------------------

uint64_t open_device(uint64_t backend) {
  talaria_status status;
  talaria_device_options options{sizeof options, 1000, 0, 0, 0};
  uint64_t device = talaria_device_open(backend, 0, reinterpret_cast<uint8_t*>(&options), sizeof options, &status);
  check("device_open", device != 0, status);
  return device;
}

void close_device(uint64_t device) {
  talaria_status status;
  try {
    check("device_close", talaria_device_close(device, &status) == TALARIA_OK, status);
  } catch (const Failed& failed) {
    give_up("device_close: " + failed.text);
  }
  if (allocated() != 0)
    give_up(text("%lld bytes are left after a device was closed", static_cast<long long>(allocated())));
}

Words request(uint64_t device, int64_t more) {
  Request request(device);
  request.compose(more);
  return request.run();
}

void same(const Words& computed, const Words& expected, const char* when, long k) {
  if (computed != expected) give_up(text("another result %s (%ld)", when, k));
}

void expect(const Failed& failed, int32_t code, long k) {
  if (failed.code == code) return;
  give_up(text("%s: code %d where %d was due (%ld): %s", failed.call, failed.code, code, k, failed.text.c_str()));
}

// --- memory runs out ----------------------------------------------------------------------------------------------------

// At the k-th allocation of: opening, allocating, composing, running. Then the next request on the device is as if nothing
// had happened; so is one of a step that was there before.
long out_of_memory(uint64_t backend, const Words& expected, const Words& expected_large, bool with_older) {
  for (long k = 1;; k++) {
    uint64_t device = 0;
    bool failed = false;
    {
      std::unique_ptr<Request> older;
      if (with_older) {
        device = open_device(backend);
        older = std::make_unique<Request>(device);
        older->compose(0);
        same(older->run(), expected, "of a step that is there first", k);
      }
      fail_at(k, 0);
      try {
        if (device == 0) device = open_device(backend);
        same(request(device, with_older ? more_rows : 0), with_older ? expected_large : expected,
             "though nothing failed", k);
      } catch (const Failed& error) {
        expect(error, TALARIA_OUT_OF_MEMORY, k);
        failed = true;
      }
      fail_at(0, 0);
      try {
        if (failed && device != 0) {
          if (older) same(older->run(), expected, "of the older step after memory ran out", k);
          same(request(device, 0), expected, "after memory ran out", k);
        }
      } catch (const Failed& error) {
        give_up(text("%s fails after memory ran out (%ld): %s", error.call, k, error.text.c_str()));
      }
    }
    if (device != 0) close_device(device);
    if (allocated() != 0) give_up(text("%lld bytes are left (%ld)", static_cast<long long>(allocated()), k));
    if (!failed) return k - 1;
  }
}

// --- a kernel fails -----------------------------------------------------------------------------------------------------

// After the k-th launch failed, every call answers LOST, but closing.
void expect_lost(uint64_t device, long k) {
  talaria_status status;
  auto lost = [&](const char* call, bool ok) {
    try {
      check(call, ok, status);
    } catch (const Failed& failed) {
      return expect(failed, TALARIA_LOST, k);
    }
    give_up(text("%s succeeds on a lost device (%ld)", call, k));
  };
  lost("sync", talaria_sync(device, &status) == TALARIA_OK);
  talaria_tensor_desc desc{sizeof desc, TALARIA_ACTIVATION, TALARIA_F32, 0, {1, 1, 1, 1}, "tensor"};
  lost("tensor_new", talaria_tensor_new(device, reinterpret_cast<uint8_t*>(&desc), sizeof desc, &status) != 0);
  talaria_step_options options{sizeof options, TALARIA_ACTIVATIONS_INT8, {1, 0, 1, 1, 0, 0, 0, 0}, 0, 0};
  lost("step_new", talaria_step_new(device, reinterpret_cast<uint8_t*>(&options), sizeof options, &status) != 0);
  lost("read_bandwidth", talaria_read_bandwidth(device, 1 << 20, &status) > 0);
}

long launch_failures(uint64_t backend, const Words& expected) {
  for (long k = 1;; k++) {
    fail_at(0, k);
    uint64_t device = 0;
    bool failed = false;
    try {
      device = open_device(backend);
      Request request(device);
      request.compose(0);
      same(request.run(), expected, "though nothing failed", k);
    } catch (const Failed& error) {
      expect(error, TALARIA_LOST, k);
      failed = true;
    }
    fail_at(0, 0);
    if (failed && device != 0) expect_lost(device, k);
    if (device != 0) close_device(device);
    if (!failed) return k - 1;
  }
}

// --- the run ------------------------------------------------------------------------------------------------------------

void find_controls(const char* library) {
  void* opened = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  if (opened == nullptr) give_up("the library is not open");
  auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(opened, name));
    if (function == nullptr) give_up(std::string("the library does not fail at will: it exports no ") + name);
  };
  find(fail_at, "talaria_simt_fail");
  find(allocated, "talaria_simt_allocated");
  find(launched, "talaria_simt_launches");
}

int run(const char* library, long cycles) {
  talaria_status status;
  uint64_t backend = talaria_backend_open(library, &status);
  if (backend == 0) give_up(status.text);
  find_controls(library);
  uint64_t device = open_device(backend);
  Words expected = request(device, 0);
  int64_t before = launched();
  same(request(device, 0), expected, "of the same request", 0);
  std::printf("a request makes %lld launches\n", static_cast<long long>(launched() - before));
  Words large = request(device, more_rows);  // other kernels: the bits may differ
  close_device(device);

  std::printf("out of memory at each of %ld allocations\n", out_of_memory(backend, expected, large, false));
  std::printf("out of memory at each of %ld allocations beside an older step\n",
              out_of_memory(backend, expected, large, true));
  std::printf("failure at each of %ld launches\n", launch_failures(backend, expected));
  for (long cycle = 0; cycle < cycles; cycle++) {
    device = open_device(backend);
    same(request(device, 0), expected, "in a cycle", cycle);
    close_device(device);
  }
  std::printf("%ld devices opened and closed: nothing is left\n", cycles);
  return 0;
}

}  // namespace
}  // namespace ops

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: faults LIBRARY [CYCLES]\n");
    return 2;
  }
  try {
    return ops::run(arguments[1], count > 2 ? std::atol(arguments[2]) : 1000);
  } catch (const ops::Failed& failed) {
    ops::give_up(std::string(failed.call) + ": " + failed.text);
  }
}
