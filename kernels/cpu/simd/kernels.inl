// The kernels of simd.hpp over 16 lanes. Included by one file per instruction set, behind its lanes and the name ISA of its
// namespace. Nothing here may call inline functions of other headers that the compiler might not inline: the linker keeps one
// copy for all, and it may be one that this processor cannot run (the test simd_no_shared_code sees to it).
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "../../common/formats.h"
#include "../kernels.hpp"
#include "../simd.hpp"

namespace talaria::cpu::ISA {

namespace {

constexpr int64_t lanes = 16;

#include "panel_products.inl"

#include "floats.inl"

#include "attention.inl"

}  // namespace

extern const Simd table;
const Simd table = {TALARIA_ISA_NAME, panel_product, quantise_row, float_products, silu_multiply,  sum_of_exp,
                    decode_kv,        encode_halves, attend,       read_all<false>, read_all<true>};

}  // namespace talaria::cpu::ISA
