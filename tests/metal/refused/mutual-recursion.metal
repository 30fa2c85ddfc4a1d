// refused: recursion
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

static uint32_t odd(uint32_t n);
static uint32_t even(uint32_t n) { return n == 0 ? 1 : odd(n - 1); }
static uint32_t odd(uint32_t n) { return n == 0 ? 0 : even(n - 1); }

KERNEL(trial, FillArgs, 256) {
  a.target[0] = static_cast<uint8_t>(even(a.value));
}
