// How fast the machine reads memory: what all decoding is measured against.
#pragma once

#include <cstdint>

#include "../../native/cpu/pool.hpp"

namespace talaria::cpu {

// Bytes read per second, in 10^9, by all threads of the pool; the median of several passes over `bytes` of memory. Throws
// std::bad_alloc.
double measure_read_bandwidth(int64_t bytes, Pool& pool);

}  // namespace talaria::cpu
