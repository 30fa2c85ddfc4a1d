#include "lanes_avx512.hpp"

#define ISA avx512
#define TALARIA_ISA_NAME "AVX-512 VNNI"
#include "kernels.inl"
