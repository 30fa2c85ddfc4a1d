// Faults at will, for tests of what a GPU backend does about them: exported by the emulator's library.
#ifndef TALARIA_SIMT_FAULTS_H
#define TALARIA_SIMT_FAULTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// From now on, over all devices of the process: the allocation-th allocation fails with OUT_OF_MEMORY, and the
// launch-th launch with LOST. 0: none does.
__attribute__((visibility("default"))) void talaria_simt_fail(int64_t allocation, int64_t launch);
// Bytes of device memory that are allocated now, on all devices; launches since the process began.
__attribute__((visibility("default"))) int64_t talaria_simt_allocated(void);
__attribute__((visibility("default"))) int64_t talaria_simt_launches(void);

#ifdef __cplusplus
}
#endif

#endif
