#include "lanes_portable.hpp"

#define ISA portable
#define TALARIA_ISA_NAME "portable"
#include "kernels.inl"
