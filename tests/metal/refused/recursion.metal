// refused: recursion
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

static uint32_t factorial(uint32_t n) { return n < 2 ? 1 : n * factorial(n - 1); }

KERNEL(trial, FillArgs, 256) {
  a.target[0] = static_cast<uint8_t>(factorial(a.value));
}
