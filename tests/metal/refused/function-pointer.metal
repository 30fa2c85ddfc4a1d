// refused: a pointer to a function
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

DEVICE uint32_t next(uint32_t n) { return n + 1; }

KERNEL(trial, FillArgs, 256) {
  uint32_t (*what)(uint32_t) = next;
  a.target[0] = static_cast<uint8_t>(what(a.value));
}
