#define ISA avx_vnni
#define TALARIA_ISA_NAME "AVX-VNNI"
#define TALARIA_AVX_VNNI
#include "lanes_avx2.hpp"

#include "kernels.inl"
