#include "lanes_neon.hpp"

#define ISA neon
#define TALARIA_ISA_NAME "NEON"
#include "kernels.inl"
