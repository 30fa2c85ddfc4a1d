// Every word of a batch at its bounds, full batches, and devices that are lost.
#include "checks.h"

#include <string.h>

// Offsets in words, counted by hand from args.h.
enum {
  TOKEN = 4,
  POSITION = TOKEN + ROWS,
  TABLE_OF = POSITION + ROWS,
  WANTED_ROW = TABLE_OF + ROWS,
  TARGET = WANTED_ROW + ROWS,
  ADJUST_BEGIN = TARGET + ROWS * TARGETS,
  ADJUST_TOKEN = ADJUST_BEGIN + ROWS + 1,
  BLOCK = ADJUST_TOKEN + 3 * ADJUSTMENTS,
  MASK = BLOCK + TABLES * COLUMNS,
  WORDS = MASK + ROWS * MASK_WORDS
};

// Three of the rows, two of them wanted.
static void fill(int32_t* words) {
  memset(words, 0x7f, WORDS * 4);  // what no row uses may hold anything
  const int32_t head[] = {3, 2, 1, 0};
  memcpy(words, head, sizeof head);
  for (int row = 0; row < 3; row++)
    words[TOKEN + row] = VOCABULARY - 1, words[POSITION + row] = 8 + row, words[TABLE_OF + row] = TABLES - 1;
  words[WANTED_ROW] = 0, words[WANTED_ROW + 1] = 2;
  for (int i = 0; i < 2 * TARGETS; i++) words[TARGET + i] = i % 2 == 0 ? -1 : VOCABULARY - 1;
  words[ADJUST_BEGIN] = 0, words[ADJUST_BEGIN + 1] = 1, words[ADJUST_BEGIN + 2] = ADJUSTMENTS;
  for (int i = 0; i < ADJUSTMENTS; i++) words[ADJUST_TOKEN + i] = i;
  words[BLOCK + COLUMNS] = 0, words[BLOCK + COLUMNS + 1] = BLOCKS - 1;  // positions 0 .. 15 of the second table
}

void check_batches(void) {
  const int all[] = {0, 1, 2, 3, 4, 5, 6, 7};  // every op that computes
  uint64_t step = step_of(all, 8, shape);
  int32_t words[WORDS];
  const struct {
    int at;
    int32_t value;
    bool accepted;
  } spoilt[] = {
      {0, 3, true},
      {0, 0, false},
      {0, -1, false},
      {0, ROWS + 1, false},
      {1, 0, true},
      {1, -1, false},
      {1, ROWS + 1, false},
      {2, 0, true},
      {2, 2, false},
      {2, -1, false},
      {3, 1, false},
      {TOKEN, 0, true},
      {TOKEN + 2, VOCABULARY, false},
      {TOKEN + 2, -1, false},
      {TOKEN + 3, -1, true},
      {POSITION, 0, true},
      {POSITION, 15, true},
      {POSITION, 16, false},
      {POSITION, 9, false},
      {POSITION + 2, -1, false},
      {POSITION + 2, COLUMNS * POSITIONS, false},
      {POSITION + 2, INT32_MAX, false},
      {POSITION + 3, -1, true},
      {TABLE_OF, 0, false},
      {TABLE_OF, TABLES, false},
      {TABLE_OF, -1, false},
      {TABLE_OF + 3, -1, true},
      {WANTED_ROW, 1, true},
      {WANTED_ROW, 2, false},
      {WANTED_ROW, -1, false},
      {WANTED_ROW + 1, 3, false},
      {WANTED_ROW + 2, 9, true},
      {TARGET, VOCABULARY, false},
      {TARGET + 3, -2, false},
      {TARGET + 3, -1, true},
      {TARGET + 4, -2, true},
      {ADJUST_BEGIN, 1, false},
      {ADJUST_BEGIN, -1, false},
      {ADJUST_BEGIN + 1, ADJUSTMENTS, true},
      {ADJUST_BEGIN + 1, ADJUSTMENTS + 1, false},
      {ADJUST_BEGIN + 2, 0, false},
      {ADJUST_BEGIN + 2, ADJUSTMENTS + 1, false},
      {ADJUST_BEGIN + 3, -1, true},
      {ADJUST_TOKEN, -1, false},
      {ADJUST_TOKEN + 2, VOCABULARY, false},
      {ADJUST_TOKEN + 3, -1, true},
      {BLOCK, -1, true},
      {BLOCK + COLUMNS, -1, false},
      {BLOCK + COLUMNS + 1, BLOCKS, false},
      {BLOCK + COLUMNS + 2, -1, true},
      {MASK, -1, true},
  };
  for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
    fill(words);
    words[spoilt[i].at] = spoilt[i].value;
    expect(talaria_run(device, step, (const uint8_t*)words, sizeof words, &status), spoilt[i].accepted,
           "batch word, value", spoilt[i].at, spoilt[i].value);
  }
  fill(words);
  for (int64_t bytes = (int64_t)sizeof words - 4; bytes <= (int64_t)sizeof words + 4; bytes++) {
    expect(talaria_run(device, step, (const uint8_t*)words, bytes, &status), bytes == sizeof words, "bytes of a batch",
           bytes, 0);
  }
  expect(talaria_sync(device, &status), true, "sync", 0, 0);

  // A shape without masks takes no masked batch; one with the wrong number of mask words takes no output.
  talaria_batch_shape bare = {1, 1, 1, 1, TARGETS, 0, 0, 0};
  const int embed = 0;
  uint64_t unmasked = step_of(&embed, 1, bare);
  int32_t few[16] = {1, 0, 1};
  expect(talaria_run(device, unmasked, (const uint8_t*)few, 4 * (4 + 3 + 1 + TARGETS + 2 + 1), &status), false,
         "masked without masks", 0, 0);
  bare.mask_words = 1;
  expect(append_top_logits(bare), false, "mask_words", 1, 0);
}

// Each op alone, so that its scratch memory is all there is, over a batch that is full.
void check_full(void) {
  for (int index = 0; index < 8; index++) {
    uint64_t step = step_of(&index, 1, shape);
    int32_t words[WORDS] = {ROWS, ROWS};
    for (int i = 0; i < ROWS; i++) words[POSITION + i] = COLUMNS * POSITIONS - 1 - i, words[WANTED_ROW + i] = i;
    for (int i = 0; i < COLUMNS; i++) words[BLOCK + i] = i;
    expect(talaria_run(device, step, (const uint8_t*)words, sizeof words, &status), true, "full batch, op", index + 1,
           0);
    expect(talaria_sync(device, &status), true, "full batch, op", index + 1, 1);
  }
}

// --- late faults --------------------------------------------------------------------------------------------------------

// Runs a step of signals and waits.
static void run_events(uint64_t on, int count, const int32_t* kinds, const uint64_t* events) {
  talaria_step_options options = {sizeof options, TALARIA_ACTIVATIONS_HALF, {1, 0, 1, 1, 0, 0, 0, 0}, 0, 0};
  uint64_t step = talaria_step_new(on, (const uint8_t*)&options, sizeof options, &status);
  for (int i = 0; i < count; i++) {
    talaria_event_args args = {sizeof args, 0, events[i]};
    expect(talaria_step_append(on, step, kinds[i], (const uint8_t*)&args, sizeof args, &status), true, "append",
           kinds[i], 0);
  }
  talaria_step_end(on, step, &status);
  const int32_t words[4 + 3 + 1 + 1] = {1};
  expect(talaria_run(on, step, (const uint8_t*)words, sizeof words, &status), true, "run", 0, 0);
}

// Runs a step that waits for one event and then signals another; returns once it waits.
static void run_waiting(uint64_t on, uint64_t awaited, uint64_t signalled) {
  uint64_t begun = talaria_event_new(&status);
  const int32_t kinds[] = {TALARIA_OP_SIGNAL, TALARIA_OP_WAIT, TALARIA_OP_SIGNAL};
  run_events(on, 3, kinds, (const uint64_t[]){begun, awaited, signalled});
  expect(talaria_event_wait(begun, 60000, &status), true, "event_wait", 0, 0);
  talaria_event_free(begun, &status);
}

// The event's signaller has failed, and whoever waits is told at once.
static void expect_abandoned(uint64_t event) {
  int32_t code = talaria_event_wait(event, 60000, &status);
  expect(code, false, "event_wait of an abandoned event", 0, 0);
  talaria_event_free(event, &status);
}

void check_lost(uint64_t backend) {
  uint64_t awaited = talaria_event_new(&status), signalled = talaria_event_new(&status);
  // A device that is closed while it waits does not wait on, and does not signal what it has not done.
  uint64_t waiting = open_device(backend, 600000);
  run_waiting(waiting, awaited, signalled);
  expect(talaria_device_close(waiting, &status), true, "device_close while it waits", 0, 0);
  expect_abandoned(signalled);

  signalled = talaria_event_new(&status);
  uint64_t late = open_device(backend, 1);
  uint64_t tensor = new_tensor(late, X);
  run_waiting(late, awaited, signalled);
  expect_abandoned(signalled);
  // The wait has failed. What is queued before that is reported runs as little as what was queued before it.
  const int32_t kind = TALARIA_OP_SIGNAL;
  signalled = talaria_event_new(&status);
  run_events(late, 1, &kind, &signalled);
  uint8_t byte = 0;
  expect(talaria_tensor_free(late, new_tensor(late, Q), &status), true, "tensor_free, which meets the fault", 0, 0);
  expect_lost(talaria_sync(late, &status), "sync after the wait limit");
  expect_lost(talaria_sync(late, &status), "sync");
  expect_lost(talaria_write(late, tensor, 0, &byte, 1, &status), "write");
  expect_lost(talaria_read(late, tensor, 0, &byte, 1, &status), "read");
  expect(talaria_tensor_free(late, tensor, &status), true, "tensor_free of a lost device", 0, 0);
  expect(talaria_device_close(late, &status), true, "device_close of a lost device", 0, 0);
  expect(talaria_device_close(late, &status), false, "device_close, once more", 0, 0);
  expect_abandoned(signalled);

  // An event that is abandoned by hand; its signals so far count, and the device that waits stays usable.
  signalled = talaria_event_new(&status);
  expect(talaria_event_signal(signalled, &status), true, "event_signal", 0, 0);
  expect(talaria_event_abandon(signalled, &status), true, "event_abandon", 0, 0);
  expect(talaria_event_wait(signalled, 0, &status), true, "event_wait, of a signal before it was abandoned", 0, 0);
  uint64_t usable = open_device(backend, 60000);
  run_events(usable, 1, (const int32_t[]){TALARIA_OP_WAIT}, &signalled);
  expect(talaria_sync(usable, &status), false, "sync after a wait for an abandoned event", 0, 0);
  expect(talaria_sync(usable, &status), true, "sync after that", 0, 0);
  expect(talaria_device_close(usable, &status), true, "device_close", 0, 0);
  expect_abandoned(signalled);
  expect(talaria_event_abandon(signalled, &status), false, "event_abandon of a freed event", 0, 0);
  talaria_event_free(awaited, &status);
}
