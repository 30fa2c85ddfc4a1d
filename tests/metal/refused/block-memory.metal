// refused: threadgroup memory outside of a kernel
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

DEVICE uint32_t own(uint32_t n) {
  threadgroup uint32_t number;
  number = n;
  return number;
}

KERNEL(trial, FillArgs, 256) {
  a.target[0] = static_cast<uint8_t>(own(a.value));
}
