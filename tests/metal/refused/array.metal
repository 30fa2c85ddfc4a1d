// refused: variable length array
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"



KERNEL(trial, FillArgs, 256) {
  uint8_t bytes[a.value];
  bytes[0] = 1;
  a.target[0] = bytes[0];
}
