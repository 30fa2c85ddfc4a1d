// refused: C++'s library
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"



KERNEL(trial, FillArgs, 256) {
  a.target[0] = static_cast<uint8_t>(std::abs(static_cast<int>(a.value)));
}
