// refused: a kernel's parameter without an attribute
#include "../../../kernels/gpu/launch_args.h"
#include "../../../kernels/metal/kernel.h"

[[kernel]] void talaria_trial(constant FillArgs& a [[buffer(0)]], uint3 at) { a.target[at.x] = 0; }
