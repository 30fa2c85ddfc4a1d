// What a backend's shared library exports: one function that returns its table. Only native/src calls it.
//
// Past this border handles are gone: a tensor field of an args struct holds the address of a talaria_tensor_view, an
// event field that of a talaria_event_view. Shapes, types, kinds and every word of a batch have been checked. Calls on
// one device come one at a time. Functions return a talaria_code and fill the status on failure; none may throw.
#ifndef TALARIA_BACKEND_H
#define TALARIA_BACKEND_H

#include "talaria.h"
#include "../../kernels/common/args.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct talaria_tensor_view {
  void* object;      // the backend's own tensor, or its peer memory; null for a host tensor
  uint8_t* host;     // the bytes of a host tensor, from the beginning of a page on; else null
  int32_t kind;      // talaria_kind
  int32_t type;      // talaria_type
  int64_t shape[4];  // outermost first
  int64_t bytes;
} talaria_tensor_view;

typedef enum talaria_waited {
  TALARIA_SIGNALLED = 0,
  TALARIA_NOT_SIGNALLED = 1,  // within the limit, or before the wait was cancelled
  TALARIA_ABANDONED = 2
} talaria_waited;

typedef struct talaria_event_view {
  void (*signal)(void* event);
  int32_t (*wait)(void* event, int32_t limit_ms, const volatile int32_t* cancelled);  // a talaria_waited
  void (*abandon)(void* event);
  void* event;
  talaria_event_cell* cell;  // in a page of its own, for devices that signal and wait by themselves
} talaria_event_view;

typedef struct talaria_backend_table {
  uint32_t size;
  uint32_t abi_version;
  const char* name;

  int32_t (*device_count)(talaria_status* status);
  int32_t (*device_info)(int32_t index, talaria_device_info* info, talaria_status* status);
  int32_t (*device_open)(int32_t index, const talaria_device_options* options, void** device, talaria_status* status);
  void (*device_close)(void* device);  // cancels what is queued; every tensor and step has been freed or will not be used
  int32_t (*sync)(void* device, talaria_status* status);

  int32_t (*tensor_new)(void* device, const talaria_tensor_desc* desc, int64_t bytes, void** tensor, talaria_status* status);
  void (*tensor_free)(void* device, void* tensor);  // the queue is empty
  int32_t (*write)(void* device, void* tensor, int64_t offset, const uint8_t* source, int64_t bytes, talaria_status* status);
  int32_t (*read)(void* device, void* tensor, int64_t offset, uint8_t* target, int64_t bytes, talaria_status* status);

  int32_t (*step_new)(void* device, const talaria_step_options* options, void** step, talaria_status* status);
  int32_t (*step_append)(void* device, void* step, int32_t op, const void* args, talaria_status* status);
  int32_t (*step_end)(void* device, void* step, talaria_status* status);
  void (*step_free)(void* device, void* step);  // the queue is empty
  int32_t (*run)(void* device, void* step, const int32_t* batch, int64_t words, talaria_status* status);
  int32_t (*read_bandwidth)(void* device, int64_t bytes, double* result, talaria_status* status);
  void (*device_memory)(void* device, talaria_device_memory* memory);

  // Whether steps of the device can copy from and to peer memory of the backend's device `index`; makes it so. Null: of none.
  int32_t (*reaches)(void* device, int32_t index);
  // Zeros in the device's memory, which may outlive the device. For backends with `reaches`.
  int32_t (*peer_new)(void* device, const talaria_tensor_desc* desc, int64_t bytes, void** peer, talaria_status* status);
  void (*peer_free)(void* peer);  // no step uses it any more
} talaria_backend_table;

// The one exported symbol. Null if this library was built for another ABI version.
typedef const talaria_backend_table* (*talaria_backend_entry)(uint32_t abi_version);
#define TALARIA_BACKEND_ENTRY "talaria_backend"

#ifdef __cplusplus
}
#endif

#endif
