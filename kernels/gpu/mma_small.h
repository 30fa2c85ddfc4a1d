// What NVIDIA's matrix unit of sm_75 has in place of mma.h's instructions, and those made up of it: a larger fragment's
// words are fragments of the smaller instructions.
//
// With g = lane / 4 and t = lane % 4, a lane holds
//   of m8n8k16, 8-bit:  the word of A has row g, depths 4 * t + 0..3; that of B column g, the same depths
//                       value i of C has row g, column 2 * t + i
//   of m16n8k8, 16-bit: word w of A has row g + 8 * w, depths 2 * t + 0..1; that of B column g, the same depths
//                       value i of C has row g + 8 * (i / 2), column 2 * t + i % 2
#pragma once

#include "dialect.h"

#if defined(TALARIA_SIMT)
#include "matrix_model.h"

namespace matrix_model {

// C[row][column] takes up A[row][k] B[k][column]: lane row * 4 + k / 4 has the one, lane column * 4 + k / 4 the other.
inline void m8n8k16_s8(int32_t (&c)[2], uint32_t a, uint32_t b, TALARIA_SIMT_PLACE) {
  Fragments<Int8, 1, 1> fragments({a}, {b}, file, line);
  uint32_t lane = thread_index() % 32, row = lane >> 2;
  for (uint32_t i = 0; i < 2; i++) {
    uint32_t column = (lane & 3) * 2 + i;
    for (uint32_t k = 0; k < 16; k += 4) {
      c[i] = Int8::add(c[i], fragments.a(row * 4 + k / 4, 0), fragments.b(column * 4 + k / 4, 0));
    }
  }
}

inline void m16n8k8_f16(float (&c)[4], const uint32_t (&a)[2], uint32_t b, TALARIA_SIMT_PLACE) {
  Fragments<Half, 2, 1> fragments(a, {b}, file, line);
  uint32_t lane = thread_index() % 32;
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t group = lane >> 2, lower = i >= 2 ? 1 : 0, column = (lane & 3) * 2 + (i & 1);
    double sum = static_cast<double>(c[i]);
    for (uint32_t k = 0; k < 8; k += 2) {
      sum = Half::add(sum, fragments.a(group * 4 + k / 2, lower), fragments.b(column * 4 + k / 2, 0));
    }
    c[i] = static_cast<float>(sum);
  }
}

}  // namespace matrix_model

DEVICE void mma_m8n8k16_s8(int32_t (&c)[2], uint32_t a, uint32_t b, TALARIA_SIMT_PLACE) {
  matrix_model::m8n8k16_s8(c, a, b, file, line);
}
DEVICE void mma_m16n8k8_f16(float (&c)[4], const uint32_t (&a)[2], uint32_t b, TALARIA_SIMT_PLACE) {
  matrix_model::m16n8k8_f16(c, a, b, file, line);
}

#else

// c += a b; products of int8 are summed modulo 2^32.
DEVICE void mma_m8n8k16_s8(int32_t (&c)[2], uint32_t a, uint32_t b) {
  asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
               : "+r"(c[0]), "+r"(c[1])
               : "r"(a), "r"(b));
}
// c += a b; how the hardware rounds within a sum is its own affair.
DEVICE void mma_m16n8k8_f16(float (&c)[4], const uint32_t (&a)[2], uint32_t b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(b));
}
#endif

namespace small_mma {

DEVICE void m16n8k16_s8(int32_t (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
  UNROLL
  for (int half = 0; half < 2; half++) {  // of the rows
    int32_t sum[2] = {c[2 * half], c[2 * half + 1]};
    mma_m8n8k16_s8(sum, a[half], b[0]);
    c[2 * half] = sum[0], c[2 * half + 1] = sum[1];
  }
}
DEVICE void m16n8k32_s8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  UNROLL
  for (int half = 0; half < 2; half++) {  // of the depths
    m16n8k16_s8(c, {a[2 * half], a[2 * half + 1]}, {b[half]});
  }
}
DEVICE void m16n8k16_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  UNROLL
  for (int half = 0; half < 2; half++) {
    mma_m16n8k8_f16(c, {a[2 * half], a[2 * half + 1]}, b[half]);
  }
}

}  // namespace small_mma
