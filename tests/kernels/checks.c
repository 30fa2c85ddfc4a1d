// checks LIBRARY: see checks.h.
#include "checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  int kind, type;
  int64_t shape[4];
} descriptions[] = {
    [X] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS, HIDDEN}},
    [H] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS, HIDDEN}},
    [Q] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS, WIDTH}},
    [ATTENDED] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS, WIDTH}},
    [ROUTING] = {TALARIA_ACTIVATION, TALARIA_I32, {1, 1, ROWS, 2 * USED}},
    [SLOTS] = {TALARIA_ACTIVATION, TALARIA_F32, {1, ROWS, USED, HIDDEN}},
    [MAP] = {TALARIA_ACTIVATION, TALARIA_I32, {1, 1, 1, EXPERTS}},
    [TOP] = {TALARIA_ACTIVATION, TALARIA_I32, {1, 1, ROWS, 3 * K + 1 + TARGETS}},
    [LOGITS] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS, VOCABULARY}},
    [NORM] = {TALARIA_WEIGHT, TALARIA_F32, {1, 1, 1, HIDDEN}},
    [WQ] = {TALARIA_WEIGHT, TALARIA_F32, {1, 1, WIDTH, HIDDEN}},
    [WK] = {TALARIA_WEIGHT, TALARIA_F32, {1, 1, KV_WIDTH, HIDDEN}},
    [WO] = {TALARIA_WEIGHT, TALARIA_F32, {1, 1, HIDDEN, WIDTH}},
    [TABLE] = {TALARIA_WEIGHT, TALARIA_F32, {1, 1, VOCABULARY, HIDDEN}},
    [ROUTER] = {TALARIA_WEIGHT, TALARIA_F32, {1, 1, EXPERTS, HIDDEN}},
    [GATE] = {TALARIA_WEIGHT, TALARIA_F32, {1, HELD, FFN, HIDDEN}},
    [DOWN] = {TALARIA_WEIGHT, TALARIA_F32, {1, HELD, HIDDEN, FFN}},
    [KEYS] = {TALARIA_KV, TALARIA_F16, {LAYERS, BLOCKS, POSITIONS, KV_WIDTH}},
    [VALUES] = {TALARIA_KV, TALARIA_F16, {LAYERS, BLOCKS, POSITIONS, KV_WIDTH}},
    [SHORT_X] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS - 1, HIDDEN}},
    [HALF_NORM] = {TALARIA_WEIGHT, TALARIA_F16, {1, 1, 1, HIDDEN}},
    [SHORT_KEYS] = {TALARIA_KV, TALARIA_F16, {LAYERS, BLOCKS - 1, POSITIONS, KV_WIDTH}},
    [HOST] = {TALARIA_HOST, TALARIA_F32, {1, 1, ROWS, HIDDEN}},
    [FOREIGN_X] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS, HIDDEN}},
    [Q8_ROUTER] = {TALARIA_WEIGHT, TALARIA_Q8_0, {1, 1, EXPERTS, HIDDEN}},
    [I32_X] = {TALARIA_ACTIVATION, TALARIA_I32, {1, 1, ROWS, HIDDEN}},
    [I32_TABLE] = {TALARIA_WEIGHT, TALARIA_I32, {1, 1, VOCABULARY, HIDDEN}},
    [WIDE_NORM] = {TALARIA_WEIGHT, TALARIA_F32, {1, 1, 1, WIDTH}},
    [STALE] = {TALARIA_ACTIVATION, TALARIA_F32, {1, 1, ROWS, HIDDEN}},
};

const talaria_batch_shape shape = {ROWS, ROWS, TABLES, COLUMNS, TARGETS, ADJUSTMENTS, MASK_WORDS, 0};
uint64_t device, handles[OBJECTS];
talaria_status status;
static long cases, failures;

void expect(int32_t code, bool accepted, const char* what, long long a, long long b) {
  cases++;
  bool ok = accepted ? code == TALARIA_OK : code == TALARIA_INVALID || code == TALARIA_UNSUPPORTED;
  if (ok && (status.text[0] == 0) == accepted) return;
  failures++;
  fprintf(stderr, "checks: %s (%lld, %lld): code %d where it should be %s: %s\n", what, a, b, code,
          accepted ? "accepted" : "refused", status.text);
}

uint64_t new_tensor(uint64_t owner, object o) {
  talaria_tensor_desc desc = {sizeof desc, descriptions[o].kind, descriptions[o].type, 0, {0}, "tensor"};
  memcpy(desc.shape, descriptions[o].shape, sizeof desc.shape);
  uint64_t handle = talaria_tensor_new(owner, (const uint8_t*)&desc, sizeof desc, &status);
  expect(status.code, true, "tensor_new", o, 0);
  return handle;
}

uint64_t new_step(talaria_batch_shape with) {
  talaria_step_options options = {sizeof options, TALARIA_ACTIVATIONS_HALF, {0}, 0, 0};
  memcpy(options.batch, &with, sizeof with);
  uint64_t step = talaria_step_new(device, (const uint8_t*)&options, sizeof options, &status);
  expect(status.code, true, "step_new", 0, 0);
  return step;
}

void expect_lost(int32_t code, const char* what) {
  cases++;
  if (code == TALARIA_LOST && status.text[0] != 0) return;
  failures++;
  fprintf(stderr, "checks: %s: code %d where the device is lost: %s\n", what, code, status.text);
}

uint64_t open_device(uint64_t backend, int32_t wait_limit_ms) {
  talaria_device_options options = {sizeof options, wait_limit_ms, 2, 0, 0};
  uint64_t opened = talaria_device_open(backend, 0, (const uint8_t*)&options, sizeof options, &status);
  expect(status.code, true, "device_open", wait_limit_ms, 0);
  return opened;
}

// --- structs, bytes -----------------------------------------------------------------------------------------------------

static void check_structs(uint64_t backend) {
  for (int by = -1; by <= 1; by++) {
    for (int field = 0; field < 2; field++) {  // the bytes handed over, or the struct's own size field
      bool right = by == 0;
      int64_t more = field == 0 ? by : 0;
      talaria_device_info info[2] = {{.size = sizeof *info}};
      talaria_device_options options[2] = {{sizeof *options, 0, 0, 0, 0}};
      talaria_tensor_desc desc[2] = {{sizeof *desc, TALARIA_ACTIVATION, TALARIA_F32, 0, {1, 1, 1, 1}, ""}};
      talaria_step_options step[2] = {{sizeof *step, 1, {1, 0, 1, 1, 0, 0, 0, 0}, 0, 0}};
      if (field == 1) info->size += by, options->size += by, desc->size += by, step->size += by;
      expect(talaria_device_get_info(backend, 0, (uint8_t*)info, (int64_t)sizeof *info + more, &status), right,
             "device_info", by, field);
      uint64_t opened =
          talaria_device_open(backend, 0, (const uint8_t*)options, (int64_t)sizeof *options + more, &status);
      expect(status.code, right, "device_options", by, field);
      if (opened != 0) talaria_device_close(opened, &status);
      talaria_tensor_new(device, (const uint8_t*)desc, (int64_t)sizeof *desc + more, &status);
      expect(status.code, right, "tensor_desc", by, field);
      talaria_step_new(device, (const uint8_t*)step, (int64_t)sizeof *step + more, &status);
      expect(status.code, right, "step_options", by, field);
    }
  }
}

// Fields beyond the size: what is reserved must be 0, and what is a number must be one that means something.
static void check_options(uint64_t backend) {
  const struct {
    int32_t wait_limit_ms, threads, plan_only, copies_only;
    bool right;
  } devices[] = {{1, 1, 0, 0, true}, {-1, 1, 0, 0, false}, {0, -1, 0, 0, false}, {0, 1025, 0, 0, false}, {0, 1, 1, 0, true},
                 {0, 1, 2, 0, false}, {0, 1, 0, 1, false}, {0, 1, 0, 2, false}};  // the cpu has one queue
  for (int i = 0; i < 8; i++) {
    talaria_device_options options = {sizeof options, devices[i].wait_limit_ms, devices[i].threads,
                                      devices[i].plan_only, devices[i].copies_only};
    uint64_t opened = talaria_device_open(backend, 0, (const uint8_t*)&options, sizeof options, &status);
    expect(status.code, devices[i].right, "device_options", i, 0);
    if (opened != 0) talaria_device_close(opened, &status);
  }
  const struct {
    int32_t activations, batch_invariant, reserved;
    bool right;
  } steps[] = {{1, 0, 0, true},  {2, 1, 0, true},  {0, 0, 0, false},
               {3, 0, 0, false}, {1, 2, 0, false}, {1, 0, 1, false}};
  for (int i = 0; i < 6; i++) {
    talaria_step_options options = {
        sizeof options, steps[i].activations, {1, 0, 1, 1, 0, 0, 0, 0}, steps[i].batch_invariant, steps[i].reserved};
    talaria_step_new(device, (const uint8_t*)&options, sizeof options, &status);
    expect(status.code, steps[i].right, "step_options", i, 1);
  }
  for (int32_t reserved = 0; reserved < 2; reserved++) {
    talaria_tensor_desc desc = {sizeof desc, TALARIA_ACTIVATION, TALARIA_F32, reserved, {1, 1, 1, 1}, ""};
    talaria_tensor_new(device, (const uint8_t*)&desc, sizeof desc, &status);
    expect(status.code, reserved == 0, "tensor_desc", reserved, 2);
  }
}

static void check_bytes(void) {
  enum { ROW = HIDDEN * 4 };
  uint8_t* buffer = calloc(ROWS, ROW);
  const struct {
    object o;
    int64_t offset, bytes;
    bool write, read;
  } ranges[] = {
      {X, 0, ROWS * ROW, true, true},
      {X, 1, 3, true, true},
      {X, ROWS * ROW, 0, true, true},
      {X, ROWS * ROW, 1, false, false},
      {X, 1, ROWS * ROW, false, false},
      {X, -1, 1, false, false},
      {X, 0, -1, false, false},
      {X, INT64_MAX, 1, false, false},
      {X, 1, INT64_MAX, false, false},
      {HOST, 0, ROWS * ROW, true, true},
      {HOST, 4, ROWS * ROW, false, false},
      {TABLE, ROW, 2 * ROW, true, false},
      {TABLE, 4, ROW, false, false},
      {TABLE, 0, ROW - 4, false, false},
      {KEYS, 0, KV_WIDTH * 2, false, false},
      {FOREIGN_X, 0, 4, false, false},
      {STALE, 0, 4, false, false},
      {EVENT, 0, 4, false, false},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    uint64_t handle = handles[ranges[i].o];
    int32_t code = talaria_write(device, handle, ranges[i].offset, buffer, ranges[i].bytes, &status);
    expect(code, ranges[i].write, "write, object", (long long)i, ranges[i].o);
    code = talaria_read(device, handle, ranges[i].offset, buffer, ranges[i].bytes, &status);
    expect(code, ranges[i].read, "read, object", (long long)i, ranges[i].o);
  }
  free(buffer);
}

int main(int count, char** arguments) {
  if (count < 2) return 2;
  uint64_t backend = talaria_backend_open(arguments[1], &status);
  expect(status.code, true, "backend_open", 0, 0);
  device = open_device(backend, 0);
  uint64_t other = open_device(backend, 0);
  for (object o = 0; o < EVENT; o++) handles[o] = new_tensor(o == HOST ? 0 : o == FOREIGN_X ? other : device, o);
  handles[EVENT] = talaria_event_new(&status);
  expect(talaria_tensor_free(device, handles[STALE], &status), true, "tensor_free", 0, 0);
  new_tensor(device, STALE);  // in the same slot, which must not revive the old handle

  check_fields();
  check_numbers();
  check_batches();
  check_full();
  check_lost(backend);
  check_structs(backend);
  check_options(backend);
  check_bytes();
  expect(talaria_device_close(device, &status), true, "device_close", 0, 0);
  expect(talaria_device_close(other, &status), true, "device_close", 0, 0);
  talaria_tensor_free(0, handles[HOST], &status);
  talaria_event_free(handles[EVENT], &status);
  printf("checks: %ld cases, %ld failures\n", cases, failures);
  return failures != 0;
}
