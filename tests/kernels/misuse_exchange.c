// Copies from device to device through a host tensor, and devices that are closed while they wait for one.
#include <string.h>

#include "misuse.h"

enum { EXCHANGED = 32 };

static uint64_t exchange_tensor(dice* d, uint64_t device, int32_t kind) {
  talaria_tensor_desc desc = {sizeof desc, kind, TALARIA_I32, 0, {1, 1, 1, EXCHANGED}, "exchanged"};
  talaria_status status, *asked = ask(d, &status);
  uint64_t handle = talaria_tensor_new(device, (const uint8_t*)&desc, sizeof desc, asked);
  settle_handle(d, CALL_TENSOR_NEW, handle, asked);
  return handle;
}

// A step of one copy, before a signal or after a wait.
static uint64_t exchange_step(dice* d, uint64_t device, uint64_t target, uint64_t source, uint64_t event, bool sender,
                              bool* ok) {
  talaria_step_options options = {sizeof options, TALARIA_ACTIVATIONS_HALF, {1, 0, 1, 1, 0, 0, 0, 0}, 0, 0};
  talaria_copy_args copy = {sizeof copy, 0, target, source, 0, 0, EXCHANGED * 4};
  talaria_event_args signal = {sizeof signal, 0, event};
  uint64_t step = new_step(d, device, &options, sizeof options);
  if (!sender) *ok &= append(d, device, step, TALARIA_OP_WAIT, &signal, sizeof signal, sizeof signal) == TALARIA_OK;
  *ok &= append(d, device, step, TALARIA_OP_COPY, &copy, sizeof copy, sizeof copy) == TALARIA_OK;
  if (sender) *ok &= append(d, device, step, TALARIA_OP_SIGNAL, &signal, sizeof signal, sizeof signal) == TALARIA_OK;
  *ok &= end(d, device, step) == TALARIA_OK;
  return step;
}

// What the queue still needs is freed; it must live for as long as the device is open.
void keep_busy(dice* d, uint64_t device) {
  talaria_status status;
  uint64_t event = talaria_event_new(&status);
  settle_handle(d, CALL_EVENT_NEW, event, &status);
  uint64_t host = exchange_tensor(d, 0, TALARIA_HOST), target = exchange_tensor(d, device, TALARIA_ACTIVATION);
  bool ok = true;
  uint64_t step = exchange_step(d, device, target, host, event, false, &ok);
  int32_t batch[16] = {1};
  int64_t words = words_of(&(talaria_batch_shape){1, 0, 1, 1, 0, 0, 0, 0});
  run(d, device, step, batch, words, words * 4);
  settle(d, CALL_EVENT_FREE, talaria_event_free(event, &status), &status);
  settle(d, CALL_TENSOR_FREE, talaria_tensor_free(0, host, &status), &status);
}

// Objects of its own, so that nobody else writes what is checked; calls fail here only if a device is closed or lost
// meanwhile, or if `exact` and `ask` passed a null.
void exchange(dice* d) {
  uint64_t from = atomic_load(&the.device[0]), to = atomic_load(&the.device[1]);
  talaria_status status;
  uint64_t event = talaria_event_new(&status);
  settle_handle(d, CALL_EVENT_NEW, event, &status);
  uint64_t source = exchange_tensor(d, from, TALARIA_ACTIVATION), host = exchange_tensor(d, 0, TALARIA_HOST);
  uint64_t target = exchange_tensor(d, to, TALARIA_ACTIVATION);
  bool ok = true;
  uint64_t sender = exchange_step(d, from, host, source, event, true, &ok);
  uint64_t receiver = exchange_step(d, to, target, host, event, false, &ok);
  int32_t batch[16] = {1}, sent[EXCHANGED], received[EXCHANGED];
  int64_t words = words_of(&(talaria_batch_shape){1, 0, 1, 1, 0, 0, 0, 0});
  for (int i = 0; i < EXCHANGED; i++) sent[i] = (int32_t)roll64(d);

  ok &= settle(d, CALL_WRITE, talaria_write(from, source, 0, (const uint8_t*)sent, sizeof sent, &status), &status) ==
        TALARIA_OK;
  // Half a pair would race or wait in vain.
  ok = ok && run(d, from, sender, batch, words, words * 4) == TALARIA_OK;
  ok = ok && run(d, to, receiver, batch, words, words * 4) == TALARIA_OK;
  if (one_in(d, 2)) {  // while the queues still use them
    settle(d, CALL_EVENT_FREE, talaria_event_free(event, &status), &status);
    settle(d, CALL_TENSOR_FREE, talaria_tensor_free(0, host, &status), &status);
  }
  int32_t code =
      settle(d, CALL_READ, talaria_read(to, target, 0, (uint8_t*)received, sizeof received, &status), &status);
  notice(1, code);
  if (ok && code == TALARIA_OK) {
    demand(memcmp(sent, received, sizeof sent) == 0, "what one device sent is not what the other received");
    atomic_fetch_add(&the.exchanges, 1);
  }
  free_step(d, from, sender);
  free_step(d, to, receiver);
  settle(d, CALL_TENSOR_FREE, talaria_tensor_free(from, source, &status), &status);
  settle(d, CALL_TENSOR_FREE, talaria_tensor_free(to, target, &status), &status);
  settle(d, CALL_TENSOR_FREE, talaria_tensor_free(0, host, &status), &status);
  settle(d, CALL_EVENT_FREE, talaria_event_free(event, &status), &status);
}
