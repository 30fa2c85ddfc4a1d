#include "runtime.h"

namespace talaria::gpu {

const char* kernel_name(Kernel kernel) {
  static const char* const names[] = {
#define TALARIA_GPU_KERNEL(name, needs) #name,
#include "../../kernels/gpu/kernels.def"
#undef TALARIA_GPU_KERNEL
      "no kernel"};
  return names[static_cast<size_t>(kernel)];
}

uint32_t kernel_needs(Kernel kernel) {
  static const uint32_t needed[] = {
#define TALARIA_GPU_KERNEL(name, needs) needs,
#include "../../kernels/gpu/kernels.def"
#undef TALARIA_GPU_KERNEL
      ANY};
  return needed[static_cast<size_t>(kernel)];
}

}  // namespace talaria::gpu
