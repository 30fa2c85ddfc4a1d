// A device, and the tensors and steps of one case on it.
#include <bit>
#include <cstdio>
#include <cstring>

#include "ops.hpp"

namespace ops {

void expect_ok(const talaria_status& status, const char* call) {
  static const char* const codes[] = {"OK", "INVALID", "UNSUPPORTED", "OUT_OF_MEMORY", "LOST"};
  if (status.code == TALARIA_OK) return;
  if (status.code == TALARIA_UNSUPPORTED) throw Unsupported{status.text};
  if (status.code == TALARIA_OUT_OF_MEMORY) throw Skipped{status.text};
  wrong("%s: %s: %s", call, codes[status.code], status.text);
}

// --- sessions -----------------------------------------------------------------------------------------------------------

Session::Session(const char* library) {
  talaria_status status;
  backend_ = talaria_backend_open(library, &status);
  expect_ok(status, "backend_open");
  if (talaria_device_count(backend_, &status) == 0) expect_ok(status, "device_count");
  info_.size = sizeof info_;
  talaria_device_get_info(backend_, 0, reinterpret_cast<uint8_t*>(&info_), sizeof info_, &status);
  expect_ok(status, "device_get_info");
  open();
}

void Session::open() {
  talaria_status status;
  talaria_device_options options{sizeof options, 20000, 0, 0, 0};  // a signal that never comes is a bug, and soon seen
  device_ = talaria_device_open(backend_, 0, reinterpret_cast<uint8_t*>(&options), sizeof options, &status);
  expect_ok(status, "device_open");
}

Session::~Session() { talaria_device_close(device_, nullptr); }

void Session::reopen_if_lost() {
  talaria_status status;
  if (talaria_sync(device_, &status) == TALARIA_OK) return;
  talaria_device_close(device_, &status);
  open();
}

// --- tensors ------------------------------------------------------------------------------------------------------------

namespace {

constexpr int64_t spare_rows = 2, fence_words = 64;

// What rows that nobody may touch hold: hardly two words alike, and floats between 1 and 2, as a NaN would hide that
// something was added to it.
int32_t guard_word(size_t i) { return static_cast<int32_t>(0x3f800000u | (i * 2654435761u >> 9 & 0x7fffff)); }
constexpr int32_t nan_word = 0x7fc00bad;

}  // namespace

Rig::Rig(Session& session, Mode mode, const Batch& batch)
    : rounding{mode, session.info().activation_block}, session_(session), batch_(batch) {
  begin(batch);
}

Rig::~Rig() {
  if (step_ != 0) talaria_step_free(session_.device(), step_, nullptr);
  for (uint64_t handle : tensors_) talaria_tensor_free(session_.device(), handle, nullptr);
  for (uint64_t handle : hosts_) talaria_tensor_free(0, handle, nullptr);
}

uint64_t Rig::tensor(int32_t kind, int32_t type, std::vector<int64_t> shape, const char* label) {
  talaria_tensor_desc desc{sizeof desc, kind, type, 0, {1, 1, 1, 1}, {}};
  for (size_t i = 0; i < shape.size(); i++) desc.shape[4 - shape.size() + i] = shape[i];
  std::snprintf(desc.label, sizeof desc.label, "%s", label);
  talaria_status status;
  uint64_t device = kind == TALARIA_HOST ? 0 : session_.device();
  uint64_t handle = talaria_tensor_new(device, reinterpret_cast<uint8_t*>(&desc), sizeof desc, &status);
  expect_ok(status, "tensor_new");
  (kind == TALARIA_HOST ? hosts_ : tensors_).push_back(handle);
  return handle;
}

uint64_t Rig::weight(const Weight& w, const char* label) {
  uint64_t handle = tensor(TALARIA_WEIGHT, w.type, {w.matrices, w.rows, w.columns}, label);
  talaria_status status;
  // In two pieces, as loading does.
  int64_t rows = w.matrices * w.rows, half = (rows / 2) * w.row_bytes(), all = rows * w.row_bytes();
  if (half > 0) talaria_write(session_.device(), handle, 0, w.bytes.data(), half, &status), expect_ok(status, "write");
  talaria_write(session_.device(), handle, half, w.bytes.data() + half, all - half, &status);
  expect_ok(status, "write");
  return handle;
}

uint64_t Rig::kv(int32_t type, int64_t layers, int64_t blocks, int64_t positions, int64_t width, const char* label) {
  return tensor(TALARIA_KV, type, {layers, blocks, positions, width}, label);
}

uint64_t Rig::host(const Words& values) {
  uint64_t handle = tensor(TALARIA_HOST, TALARIA_I32, {static_cast<int64_t>(values.size())}, "host");
  talaria_status status;
  talaria_write(0, handle, 0, reinterpret_cast<const uint8_t*>(values.data()), values.size() * 4, &status);
  expect_ok(status, "write");
  return handle;
}

Buffer& Rig::add(const char* label, int32_t type, std::vector<int64_t> shape, Words words, size_t live, Use use) {
  uint64_t fence = tensor(TALARIA_ACTIVATION, TALARIA_I32, {fence_words}, "fence");
  Words guards(fence_words);
  for (size_t i = 0; i < guards.size(); i++) guards[i] = guard_word(i);
  talaria_status status;
  talaria_write(session_.device(), fence, 0, reinterpret_cast<uint8_t*>(guards.data()), fence_words * 4, &status);
  expect_ok(status, "write");
  uint64_t handle = tensor(TALARIA_ACTIVATION, type, std::move(shape), label);
  return buffers_.emplace_back(Buffer{label, handle, fence, use, std::move(words), {}, live});
}

Buffer& Rig::ints(const char* label, const Words& values, int64_t columns, Use use) {
  size_t live = values.size();
  int64_t rows = std::max<int64_t>(batch_.shape.rows, live / columns) + spare_rows;
  Words words = values;
  while (words.size() < static_cast<size_t>(rows * columns)) words.push_back(guard_word(words.size()));
  return add(label, TALARIA_I32, {rows, columns}, std::move(words), live, use);
}

Buffer& Rig::floats(const char* label, const Floats& values, int64_t columns, Use use) {
  size_t live = values.size();
  int64_t rows = std::max<int64_t>(batch_.shape.rows, live / columns) + spare_rows;
  Words words(values.size());
  std::memcpy(words.data(), values.data(), values.size() * 4);
  while (words.size() < static_cast<size_t>(rows * columns)) words.push_back(guard_word(words.size()));
  return add(label, TALARIA_F32, {rows, columns}, std::move(words), live, use);
}

Buffer& Rig::output(const char* label, int64_t rows, int64_t columns, int32_t type) {
  Words values(static_cast<size_t>(rows * columns), nan_word);
  if (type == TALARIA_I32) return ints(label, values, columns, Use::WRITE);
  Floats nan(values.size());
  std::memcpy(nan.data(), values.data(), values.size() * 4);
  return floats(label, nan, columns, Use::WRITE);
}

Buffer& Rig::slots(int64_t sources, int64_t used, int64_t hidden, const Floats& values) {
  int64_t rows = batch_.shape.rows + spare_rows, live = batch_.rows() * used * hidden, plane = rows * used * hidden;
  Words words(static_cast<size_t>(sources * plane));
  for (size_t i = 0; i < words.size(); i++) {
    int64_t source = static_cast<int64_t>(i) / plane, within = static_cast<int64_t>(i) % plane;
    bool counts = within < live;
    words[i] = !counts          ? guard_word(i)
               : values.empty() ? nan_word
                                : std::bit_cast<int32_t>(values[source * live + within]);
  }
  // Of slots that are written there is one plane, so that the live words are the first ones.
  return add("slots", TALARIA_F32, {sources, rows, used, hidden}, std::move(words), live,
             values.empty() ? Use::WRITE : Use::READ);
}

Buffer& Rig::plain(const char* label, int32_t type, std::vector<int64_t> shape, const Words& values, Use use) {
  return add(label, type, std::move(shape), values, values.size(), use);
}

Floats Rig::floats_of(const Buffer& buffer) {
  Floats values(buffer.live);
  std::memcpy(values.data(), buffer.after.data(), values.size() * 4);
  return values;
}

Words Rig::words_of(const Buffer& buffer) { return {buffer.after.begin(), buffer.after.begin() + buffer.live}; }

// --- steps --------------------------------------------------------------------------------------------------------------

void Rig::begin(const Batch& batch) {
  batch_ = batch;
  if (step_ != 0) talaria_step_free(session_.device(), step_, nullptr);
  step_ = 0;
  int32_t mode = rounding.mode == Mode::HALF ? TALARIA_ACTIVATIONS_HALF : TALARIA_ACTIVATIONS_INT8;
  talaria_step_options options{sizeof options, mode, {}, invariant ? 1 : 0, 0};
  static_assert(sizeof options.batch == sizeof batch.shape);
  std::memcpy(options.batch, &batch.shape, sizeof batch.shape);
  talaria_status status;
  step_ = talaria_step_new(session_.device(), reinterpret_cast<uint8_t*>(&options), sizeof options, &status);
  expect_ok(status, "step_new");
}

void Rig::append(int32_t op, const void* args, int64_t bytes) {
  talaria_status status;
  talaria_step_append(session_.device(), step_, op, static_cast<const uint8_t*>(args), bytes, &status);
  expect_ok(status, "step_append");
}

void Rig::restore() {
  talaria_status status;
  for (Buffer& buffer : buffers_) {
    talaria_write(session_.device(), buffer.handle, 0, reinterpret_cast<uint8_t*>(buffer.before.data()),
                  buffer.before.size() * 4, &status);
    expect_ok(status, "write");
  }
}

void Rig::end() {
  talaria_status status;
  talaria_step_end(session_.device(), step_, &status);
  expect_ok(status, "step_end");
}

void Rig::start() {
  talaria_status status;
  talaria_run(session_.device(), step_, reinterpret_cast<uint8_t*>(batch_.words.data()), batch_.words.size() * 4,
              &status);
  expect_ok(status, "run");
  talaria_sync(session_.device(), &status);
  expect_ok(status, "sync");
}

void Rig::check() {
  talaria_status status;
  for (Buffer& buffer : buffers_) {
    Words words(buffer.before.size()), fence(fence_words);
    talaria_read(session_.device(), buffer.handle, 0, reinterpret_cast<uint8_t*>(words.data()), words.size() * 4,
                 &status);
    expect_ok(status, "read");
    for (size_t i = buffer.use == Use::READ ? 0 : buffer.live; i < words.size(); i++) {
      if (words[i] != buffer.before[i]) {
        wrong("%s: word %zu, %s, was %08x and became %08x", buffer.label, i,
              i < buffer.live ? "which is only read" : "behind the batch's rows", buffer.before[i], words[i]);
      }
    }
    talaria_read(session_.device(), buffer.fence, 0, reinterpret_cast<uint8_t*>(fence.data()), fence_words * 4,
                 &status);
    expect_ok(status, "read");
    for (size_t i = 0; i < fence.size(); i++) {
      if (fence[i] != guard_word(i))
        wrong("%s: word %zu of the tensor in front of it became %08x", buffer.label, i, fence[i]);
    }
    buffer.after = std::move(words);
  }
}

void Rig::run_once() {
  end();
  restore(), start(), check();
}

void Rig::run() {
  run_once();
  if (!session_.replay) return;
  std::vector<Words> first;
  for (Buffer& buffer : buffers_) first.push_back(buffer.after);
  restore(), start(), check();
  auto expected = first.begin();
  for (Buffer& buffer : buffers_) {
    for (size_t i = 0; i < buffer.live; i++) {
      if (buffer.after[i] != (*expected)[i]) {
        wrong("%s: word %zu is %08x in the first run and %08x in the second", buffer.label, i, (*expected)[i],
              buffer.after[i]);
      }
    }
    expected++;
  }
}

}  // namespace ops
