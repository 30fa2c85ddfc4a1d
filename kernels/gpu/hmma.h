// NVIDIA's matrix unit of sm_70 and sm_72 (HMMA): mma.m8n8k4 on float16, as the PTX manual describes it (9.7.14.5.1,
// "Matrix fragments for mma.m8n8k4 with .f16 floating point type"). A warp of 32 lanes works together; all of them must
// call. It makes four products of 8 x 8 x 4 that have nothing to do with each other, each by a quad pair: quad pair q is
// lanes 4 * q + 0..3 and 16 + 4 * q + 0..3.
//
// In its quad pair's product, with r = lane % 4 + lane / 16 * 4, a lane holds row r of A [8][4] and column r of B [4][8],
// all their depths in order, the lowest in the lowest bits; for the instruction that takes B by rows, of row lane % 4
// columns lane / 16 * 4 + 0..3; and of C [8][8]
//   value i: row lane % 2 + i / 2 % 2 * 2 + lane / 16 * 4, column i / 4 * 4 + lane / 2 % 2 * 2 + i % 2
#pragma once

#include "dialect.h"

// Whether what is being compiled has it. CUDA's pass for the host sees everything.
#if defined(TALARIA_SIMT)
#if TALARIA_SIMT_LANES == 32
#define TALARIA_HAS_HMMA
#endif
#elif (defined(__CUDA__) || defined(__CUDACC__)) && \
    (!defined(__CUDA_ARCH__) || (__CUDA_ARCH__ >= 700 && __CUDA_ARCH__ < 750))
#define TALARIA_HAS_HMMA
#endif

#if defined(TALARIA_HAS_HMMA)

// The four products as one of 16 x 16 x 4: a quad pair has rows 4 * (q / 2) + 0..3 and 8 further, columns 4 * (q % 2) + 0..3
// and 8 further. Eight lanes that follow each other then read four or eight rows that follow each other.
DEVICE uint32_t hmma_a_row(uint32_t lane) { return lane % 4 + lane / 8 % 2 * 4 + lane / 16 * 8; }
DEVICE uint32_t hmma_b_column(uint32_t lane) { return lane % 8 + lane / 16 * 8; }
DEVICE uint32_t hmma_c_row(uint32_t lane, uint32_t i) {
  return lane % 2 + i / 2 % 2 * 2 + lane / 8 % 2 * 4 + lane / 16 * 8;
}
DEVICE uint32_t hmma_c_column(uint32_t lane, uint32_t i) {
  return i / 4 * 8 + lane / 4 % 2 * 4 + lane / 2 % 2 * 2 + i % 2;
}

#if defined(TALARIA_SIMT)
#include "matrix_model.h"

namespace matrix_model {

// Volta cuts off what a float32 does not hold of a sum, where others round it.
inline float cut_off(double sum) {
  float nearest = static_cast<float>(sum);
  return std::fabs(static_cast<double>(nearest)) > std::fabs(sum) ? std::nextafter(nearest, 0.0f) : nearest;
}

// The lane of a quad pair that has row or column `r` of it.
inline uint32_t of_quad_pair(uint32_t pair, uint32_t r) { return r < 4 ? 4 * pair + r : 16 + 4 * pair + (r - 4); }

template <bool b_by_rows>
inline void hmma(float (&c)[8], const uint32_t (&a)[2], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  Fragments<Half, 2, 2> fragments(a, b, file, line);
  uint32_t lane = thread_index() % 32, pair = lane % 16 / 4;
  for (uint32_t i = 0; i < 8; i++) {
    uint32_t row = (lane & 1) + (i & 2) + (lane < 16 ? 0 : 4), column = (i & 4) + (lane & 2) + (i & 1);
    double sum = static_cast<double>(c[i]);
    for (uint32_t word = 0; word < 2; word++) {
      Half depths = fragments.b(of_quad_pair(pair, column), word);
      for (uint32_t d = 0; b_by_rows && d < 2; d++) {
        uint32_t holder = of_quad_pair(pair, column / 4 * 4 + 2 * word + d);
        depths.value[d] = fragments.b(holder, column % 4 / 2).value[column % 2];
      }
      sum = Half::add(sum, fragments.a(of_quad_pair(pair, row), word), depths);
    }
    c[i] = cut_off(sum);
  }
}

}  // namespace matrix_model

DEVICE void hmma_m8n8k4_f16(float (&c)[8], const uint32_t (&a)[2], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::hmma<false>(c, a, b, file, line);
}
DEVICE void hmma_m8n8k4_f16_rows(float (&c)[8], const uint32_t (&a)[2], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::hmma<true>(c, a, b, file, line);
}
DEVICE void codes_as_halves(uint32_t codes, uint32_t& low, uint32_t& high) {
  uint32_t half[4];
  for (uint32_t i = 0; i < 4; i++) half[i] = float_to_half(static_cast<int8_t>(codes >> 8 * i));
  low = half[0] | half[1] << 16, high = half[2] | half[3] << 16;
}

#else

// c += a b; how the hardware rounds within a sum is its own affair.
#define TALARIA_HMMA(name, b_order)                                                                                    \
  DEVICE void name(float (&c)[8], const uint32_t (&a)[2], const uint32_t (&b)[2]) {                                    \
    asm volatile("mma.sync.aligned.m8n8k4.row." b_order ".f32.f16.f16.f32 "                                            \
                 "{%0, %1, %2, %3, %4, %5, %6, %7}, {%8, %9}, {%10, %11}, {%0, %1, %2, %3, %4, %5, %6, %7};"           \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]), "+f"(c[6]), "+f"(c[7])      \
                 : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(b[1]));                                                        \
  }
TALARIA_HMMA(hmma_m8n8k4_f16, "col")
TALARIA_HMMA(hmma_m8n8k4_f16_rows, "row")
#undef TALARIA_HMMA
// Four codes as float16: with 128 added, a code is the last byte of 1024 + it as a float16.
DEVICE void codes_as_halves(uint32_t codes, uint32_t& low, uint32_t& high) {
  codes ^= 0x80808080u;
  asm("prmt.b32 %0, %1, %2, 0x4140;" : "=r"(low) : "r"(codes), "r"(0x64646464u));
  asm("prmt.b32 %0, %1, %2, 0x4342;" : "=r"(high) : "r"(codes), "r"(0x64646464u));
  constexpr uint32_t twice_1152 = 0x64806480u;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(low) : "r"(low), "r"(twice_1152));
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(high) : "r"(high), "r"(twice_1152));
}
#endif
#endif
