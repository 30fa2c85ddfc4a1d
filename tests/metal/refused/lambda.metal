// refused: a lambda
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"



KERNEL(trial, FillArgs, 256) {
  auto next = [&](uint32_t n) { return n + a.value; };
  a.target[0] = static_cast<uint8_t>(next(1));
}
