// AMD's matrix unit of gfx11 (WMMA), as AMD's matrix instruction calculator gives its layouts. A warp of 32 lanes works
// together; all of them must call.
//
// Lane l holds row l % 16 of A [16][16] and column l % 16 of B [16][16], all their depths in order, the lowest in the
// lowest bits; so lanes 16 to 31 hold again what lanes 0 to 15 do. Value i of C [16][16] has row 2 * i + l / 16, column
// l % 16.
#pragma once

#include "dialect.h"

// Whether what is being compiled has it. gfx12 has other layouts.
#if defined(TALARIA_SIMT)
#if TALARIA_SIMT_LANES == 32
#define TALARIA_HAS_WMMA
#endif
#elif defined(__GFX11__)
#define TALARIA_HAS_WMMA
#endif

#if defined(TALARIA_HAS_WMMA) && defined(TALARIA_SIMT)
#include "matrix_model.h"

namespace matrix_model {

template <typename Element, uint32_t words, typename Sum>
void wmma(Sum (&c)[8], const uint32_t (&a)[words], const uint32_t (&b)[words], TALARIA_SIMT_PLACE) {
  Fragments<Element, words, words> fragments(a, b, file, line);
  uint32_t lane = thread_index() % 32, column = lane % 16;
  for (uint32_t word = 0; word < words; word++) {
    if (!fragments.a(lane, word).same(fragments.a(lane ^ 16, word)) ||
        !fragments.b(lane, word).same(fragments.b(lane ^ 16, word))) {
      ::talaria::simt::fault("lanes 16 apart do not hold the same of A and B");
    }
  }
  for (uint32_t i = 0; i < 8; i++) {
    uint32_t row = 2 * i + lane / 16;
    typename Element::Sum sum = c[i];
    for (uint32_t word = 0; word < words; word++) {
      sum = Element::add(sum, fragments.a(row, word), fragments.b(column, word));
    }
    c[i] = static_cast<Sum>(sum);
  }
}

}  // namespace matrix_model

DEVICE void wmma_16x16x16_s8(int32_t (&c)[8], const uint32_t (&a)[4], const uint32_t (&b)[4], TALARIA_SIMT_PLACE) {
  matrix_model::wmma<matrix_model::Int8>(c, a, b, file, line);
}
DEVICE void wmma_16x16x16_f16(float (&c)[8], const uint32_t (&a)[8], const uint32_t (&b)[8], TALARIA_SIMT_PLACE) {
  matrix_model::wmma<matrix_model::Half>(c, a, b, file, line);
}
DEVICE void wmma_16x16x16_bf16(float (&c)[8], const uint32_t (&a)[8], const uint32_t (&b)[8], TALARIA_SIMT_PLACE) {
  matrix_model::wmma<matrix_model::Bfloat>(c, a, b, file, line);
}

#elif defined(TALARIA_HAS_WMMA)

namespace matrix_registers {
template <typename Element, int count>
using Vector = Element __attribute__((ext_vector_type(count)));

template <typename Sum>
DEVICE Vector<Sum, 8> load(const Sum (&c)[8]) {
  return {c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]};
}
template <typename Sum, typename Vector>
DEVICE void store(Sum (&c)[8], Vector vector) {
  UNROLL
  for (int i = 0; i < 8; i++) c[i] = vector[i];
}
DEVICE Vector<int, 4> sixteen_bytes(const uint32_t (&w)[4]) {
  return {static_cast<int>(w[0]), static_cast<int>(w[1]), static_cast<int>(w[2]), static_cast<int>(w[3])};
}
template <typename Element>
DEVICE Vector<Element, 16> sixteen(const uint32_t (&w)[8]) {
  return __builtin_bit_cast(Vector<Element, 16>, Vector<uint32_t, 8>{w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]});
}
}  // namespace matrix_registers

// c += a b; products of int8 are summed modulo 2^32.
DEVICE void wmma_16x16x16_s8(int32_t (&c)[8], const uint32_t (&a)[4], const uint32_t (&b)[4]) {
  using namespace matrix_registers;
  store(c, __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, sixteen_bytes(a), true, sixteen_bytes(b), load(c), false));
}
// c += a b; how the hardware rounds within a sum is its own affair.
DEVICE void wmma_16x16x16_f16(float (&c)[8], const uint32_t (&a)[8], const uint32_t (&b)[8]) {
  using namespace matrix_registers;
  store(c, __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(sixteen<_Float16>(a), sixteen<_Float16>(b), load(c)));
}
DEVICE void wmma_16x16x16_bf16(float (&c)[8], const uint32_t (&a)[8], const uint32_t (&b)[8]) {
  using namespace matrix_registers;
  store(c, __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(sixteen<short>(a), sixteen<short>(b), load(c)));
}
#endif
