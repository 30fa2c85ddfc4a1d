#include "runtime.h"

namespace talaria::gpu {

const char* kernel_name(Kernel kernel) {
  static const char* const names[] = {
#define TALARIA_GPU_KERNEL(name, needs) #name,
#include "../../kernels/gpu/kernels.def"
#undef TALARIA_GPU_KERNEL
      "none"};
  return names[static_cast<int32_t>(kernel)];
}

}  // namespace talaria::gpu
