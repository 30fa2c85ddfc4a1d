// A device that allocates and runs nothing: what is made on it is only counted.
#pragma once

#include "runtime.h"

namespace talaria::gpu {

// It hands out addresses that nobody may follow.
std::unique_ptr<Runtime> plan_runtime(Properties properties);

}  // namespace talaria::gpu
