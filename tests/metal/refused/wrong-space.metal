// refused: address space '1' as a pointer to address space '3'
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

DEVICE uint8_t first(const threadgroup uint8_t* bytes) { return bytes[0]; }

KERNEL(trial, FillArgs, 256) {
  a.target[1] = first(a.target);
}
