// refused: a word that Metal does not have
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"



KERNEL(trial, FillArgs, 256) {
  double wide = a.value;
  a.target[0] = static_cast<uint8_t>(wide);
}
