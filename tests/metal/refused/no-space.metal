// refused: a pointer or reference without an address space
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

DEVICE void count(uint32_t& number) { number++; }

KERNEL(trial, FillArgs, 256) {
  uint32_t number = a.value;
  count(number);
  a.target[0] = static_cast<uint8_t>(number);
}
