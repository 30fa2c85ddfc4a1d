// refused: a derived class
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

struct Base {
  uint32_t number;
};
struct Derived : Base {};

KERNEL(trial, FillArgs, 256) {
  Derived derived;
  derived.number = a.value;
  a.target[0] = static_cast<uint8_t>(derived.number);
}
