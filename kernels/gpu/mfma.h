// AMD's matrix unit of gfx908 and gfx90a (MFMA), as AMD's matrix instruction calculator gives its layouts. All 64 lanes
// of a warp work together; all of them must call.
//
// Tiles of C are 16 x 16 or 32 x 32. With s the side of a tile and l the lane, a lane holds of A [s][depth], B
// [depth][s] and C [s][s]:
//   A: row l % s, B: column l % s; the depths of its words, in order, from (l / s) times their number of elements on
//   value i of C: row i / 4 * 8 + l / s * 4 + i % 4, column l % s
// The element of the lowest depth is in a word's lowest bits. gfx90a takes subnormal elements of 16 bits for zeros.
#pragma once

#include "dialect.h"

// Whether what is being compiled has it.
#if defined(TALARIA_SIMT)
#if TALARIA_SIMT_LANES == 64
#define TALARIA_HAS_MFMA
#endif
#elif defined(__gfx908__) || defined(__gfx90a__)
#define TALARIA_HAS_MFMA
#endif

#if defined(TALARIA_HAS_MFMA) && defined(TALARIA_SIMT)
#include "matrix_model.h"

namespace matrix_model {

// What the unit makes of an f16 number.
inline float decode_mfma_half(uint16_t bits) {
  return ::talaria::simt::flush_subnormals && (bits & 0x7c00) == 0 ? 0.0f : decode_half(bits);
}
using MfmaHalf = Pair<decode_mfma_half>;

template <typename Element, uint32_t side, uint32_t words, typename Sum>
void mfma(Sum (&c)[side * side / 64], const uint32_t (&a)[words], const uint32_t (&b)[words], TALARIA_SIMT_PLACE) {
  Fragments<Element, words, words> fragments(a, b, file, line);
  uint32_t lane = thread_index() % 64, column = lane % side;
  for (uint32_t i = 0; i < side * side / 64; i++) {
    uint32_t row = i / 4 * 8 + lane / side * 4 + i % 4;
    typename Element::Sum sum = c[i];
    for (uint32_t group = 0; group < 64 / side; group++) {
      for (uint32_t word = 0; word < words; word++) {
        sum = Element::add(sum, fragments.a(group * side + row, word), fragments.b(group * side + column, word));
      }
    }
    c[i] = static_cast<Sum>(sum);
  }
}

}  // namespace matrix_model

DEVICE float mfma_other_half(float value, TALARIA_SIMT_PLACE) {
  ::talaria::simt::exchange(&value, sizeof value, file, line);
  std::memcpy(&value, ::talaria::simt::received(thread_index() % 64 ^ 32), sizeof value);
  return value;
}
DEVICE void mfma_16x16x16_s8(int32_t (&c)[4], const uint32_t (&a)[1], const uint32_t (&b)[1], TALARIA_SIMT_PLACE) {
  matrix_model::mfma<matrix_model::Int8, 16>(c, a, b, file, line);
}
DEVICE void mfma_32x32x8_s8(int32_t (&c)[16], const uint32_t (&a)[1], const uint32_t (&b)[1], TALARIA_SIMT_PLACE) {
  matrix_model::mfma<matrix_model::Int8, 32>(c, a, b, file, line);
}
DEVICE void mfma_16x16x16_f16(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::mfma<matrix_model::MfmaHalf, 16>(c, a, b, file, line);
}
DEVICE void mfma_32x32x8_f16(float (&c)[16], const uint32_t (&a)[2], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::mfma<matrix_model::MfmaHalf, 32>(c, a, b, file, line);
}
DEVICE void mfma_16x16x16_bf16(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::mfma<matrix_model::Bfloat, 16>(c, a, b, file, line);
}
DEVICE void mfma_32x32x8_bf16(float (&c)[16], const uint32_t (&a)[2], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::mfma<matrix_model::Bfloat, 32>(c, a, b, file, line);
}

#elif defined(TALARIA_HAS_MFMA)

namespace matrix_registers {
template <typename Element, int count>
using Vector = Element __attribute__((ext_vector_type(count)));

template <typename Sum, int count>
DEVICE Vector<Sum, count> load(const Sum (&c)[count]) {
  Vector<Sum, count> vector;
  UNROLL
  for (int i = 0; i < count; i++) vector[i] = c[i];
  return vector;
}
template <typename Sum, int count, typename Vector>
DEVICE void store(Sum (&c)[count], Vector vector) {
  UNROLL
  for (int i = 0; i < count; i++) c[i] = vector[i];
}
template <typename Element>
DEVICE Vector<Element, 4> four(const uint32_t (&words)[2]) {
  uint64_t both = static_cast<uint64_t>(words[0]) | static_cast<uint64_t>(words[1]) << 32;
  return __builtin_bit_cast(Vector<Element, 4>, both);
}
DEVICE Vector<short, 2> two(uint32_t word) { return __builtin_bit_cast(Vector<short, 2>, word); }
}  // namespace matrix_registers

// The value of the lane 32 away.
DEVICE float mfma_other_half(float value) {
  return bits_float(__builtin_amdgcn_ds_bpermute((hardware_lane() ^ 32) << 2, float_bits(value)));
}
// c += a b; products of int8 are summed modulo 2^32.
DEVICE void mfma_16x16x16_s8(int32_t (&c)[4], const uint32_t (&a)[1], const uint32_t (&b)[1]) {
  using namespace matrix_registers;
  store(c, __builtin_amdgcn_mfma_i32_16x16x16i8(static_cast<int>(a[0]), static_cast<int>(b[0]), load(c), 0, 0, 0));
}
DEVICE void mfma_32x32x8_s8(int32_t (&c)[16], const uint32_t (&a)[1], const uint32_t (&b)[1]) {
  using namespace matrix_registers;
  store(c, __builtin_amdgcn_mfma_i32_32x32x8i8(static_cast<int>(a[0]), static_cast<int>(b[0]), load(c), 0, 0, 0));
}
// c += a b; how the hardware rounds within a sum is its own affair.
DEVICE void mfma_16x16x16_f16(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
  using namespace matrix_registers;
  store(c, __builtin_amdgcn_mfma_f32_16x16x16f16(four<_Float16>(a), four<_Float16>(b), load(c), 0, 0, 0));
}
DEVICE void mfma_32x32x8_f16(float (&c)[16], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
  using namespace matrix_registers;
  store(c, __builtin_amdgcn_mfma_f32_32x32x8f16(four<_Float16>(a), four<_Float16>(b), load(c), 0, 0, 0));
}
// gfx908 takes two instructions, one for each word; which depths a word holds does not matter to a sum over all of
// them.
DEVICE void mfma_16x16x16_bf16(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
  using namespace matrix_registers;
#if defined(__gfx90a__)
  store(c, __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(four<short>(a), four<short>(b), load(c), 0, 0, 0));
#else
  store(c, __builtin_amdgcn_mfma_f32_16x16x8bf16(two(a[0]), two(b[0]), load(c), 0, 0, 0));
  store(c, __builtin_amdgcn_mfma_f32_16x16x8bf16(two(a[1]), two(b[1]), load(c), 0, 0, 0));
#endif
}
DEVICE void mfma_32x32x8_bf16(float (&c)[16], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
  using namespace matrix_registers;
#if defined(__gfx90a__)
  store(c, __builtin_amdgcn_mfma_f32_32x32x8bf16_1k(four<short>(a), four<short>(b), load(c), 0, 0, 0));
#else
  store(c, __builtin_amdgcn_mfma_f32_32x32x4bf16(two(a[0]), two(b[0]), load(c), 0, 0, 0));
  store(c, __builtin_amdgcn_mfma_f32_32x32x4bf16(two(a[1]), two(b[1]), load(c), 0, 0, 0));
#endif
}
#endif
