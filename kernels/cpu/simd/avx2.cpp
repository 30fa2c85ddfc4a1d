#define ISA avx2
#define TALARIA_ISA_NAME "AVX2"
#include "lanes_avx2.hpp"

#include "kernels.inl"
