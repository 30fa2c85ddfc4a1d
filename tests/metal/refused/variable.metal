// refused: not in constant memory
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

constexpr uint32_t number = 7;

KERNEL(trial, FillArgs, 256) {
  a.target[0] = static_cast<uint8_t>(number + a.value);
}
