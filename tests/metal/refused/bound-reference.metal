// refused: address space
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

DEVICE uint32_t twice(const thread uint32_t& number) { return 2 * number; }

KERNEL(trial, FillArgs, 256) {
  a.target[0] = static_cast<uint8_t>(twice(a.value));
}
