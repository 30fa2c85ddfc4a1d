// NVIDIA's matrix unit: mma and ldmatrix of sm_80 and later, as the PTX manual describes them (9.7.14, "Warp-level
// matrix instructions"); on sm_75, the same but for bfloat16, made up of smaller ones (mma_small.h). A warp of 32 lanes
// works together; all of them must call.
//
// With g = lane / 4 and t = lane % 4, a lane holds of A [16][depth], B [depth][8] and C [16][8]:
//   8-bit:  word w of A has row g + 8 * (w % 2), depths 16 * (w / 2) + 4 * t + 0..3
//           word w of B has column g,            depths 16 * w + 4 * t + 0..3
//   16-bit: word w of A has row g + 8 * (w % 2), depths 8 * (w / 2) + 2 * t + 0..1
//           word w of B has column g,            depths 8 * w + 2 * t + 0..1
//   value i of C has row g + 8 * (i / 2), column 2 * t + i % 2
// The element of the lowest depth is in a word's lowest bits.
#pragma once

#include "dialect.h"

// Whether what is being compiled has it. CUDA's pass for the host sees everything.
#if defined(TALARIA_SIMT)
#if TALARIA_SIMT_LANES == 32
#define TALARIA_HAS_MMA
#endif
#elif (defined(__CUDA__) || defined(__CUDACC__)) && (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 750)
#define TALARIA_HAS_MMA
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define TALARIA_SMALL_MMA
#endif
#endif
#if defined(TALARIA_HAS_MMA) && (defined(TALARIA_SIMT) || !defined(TALARIA_SMALL_MMA))
#define TALARIA_HAS_MMA_BFLOAT
#endif

// The emulator takes the smaller ones if it is compiled with TALARIA_SMALL_MMA.
#if defined(TALARIA_HAS_MMA) && defined(TALARIA_SMALL_MMA)
#include "mma_small.h"

DEVICE void mma_m16n8k32_s8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  small_mma::m16n8k32_s8(c, a, b);
}
DEVICE void mma_m16n8k16_s8(int32_t (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
  small_mma::m16n8k16_s8(c, a, b);
}
DEVICE void mma_m16n8k16_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  small_mma::m16n8k16_f16(c, a, b);
}
#endif

#if defined(TALARIA_HAS_MMA) && defined(TALARIA_SIMT)
#include "matrix_model.h"

namespace matrix_model {

// c += a b for the lane's four places, each the sum over the four lanes that share its row of A, and its column of B.
template <typename Element, uint32_t a_words, uint32_t b_words, typename Sum>
void mma(Sum (&c)[4], const uint32_t (&a)[a_words], const uint32_t (&b)[b_words], TALARIA_SIMT_PLACE) {
  static_assert(a_words == 2 * b_words);
  Fragments<Element, a_words, b_words> fragments(a, b, file, line);
  uint32_t lane = thread_index() % 32;
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t row = lane / 4, half = i / 2, column = lane % 4 * 2 + i % 2;
    typename Element::Sum sum = c[i];
    for (uint32_t word = 0; word < b_words; word++) {
      for (uint32_t t = 0; t < 4; t++) {
        sum = Element::add(sum, fragments.a(row * 4 + t, 2 * word + half), fragments.b(column * 4 + t, word));
      }
    }
    c[i] = static_cast<Sum>(sum);
  }
}

// Tiles of 8 rows of 16 bytes: lane l gives row l % 8 of tile l / 8, and gets word l % 4 of row l / 4 of every tile;
// or, transposed, the 16-bit elements of rows 2 * (l % 4) + 0..1 at l / 4.
template <uint32_t tiles, bool transposed>
void ldmatrix(uint32_t (&words)[tiles], const void* row, TALARIA_SIMT_PLACE) {
  uint32_t lane = thread_index() % 32;
  uint16_t mine[8] = {};
  if (lane < 8 * tiles) {
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) ::talaria::simt::misaligned(row);
    std::memcpy(mine, row, sizeof mine);
  }
  ::talaria::simt::exchange(mine, sizeof mine, file, line);
  for (uint32_t tile = 0; tile < tiles; tile++) {
    uint32_t word = 0;
    for (uint32_t e = 0; e < 2; e++) {
      uint32_t along = lane % 4 * 2 + e, across = lane / 4;
      uint16_t elements[8];
      std::memcpy(elements, ::talaria::simt::received(tile * 8 + (transposed ? along : across)), sizeof elements);
      word |= static_cast<uint32_t>(elements[transposed ? across : along]) << 16 * e;
    }
    words[tile] = word;
  }
}

}  // namespace matrix_model

#if !defined(TALARIA_SMALL_MMA)
DEVICE void mma_m16n8k32_s8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::mma<matrix_model::Int8>(c, a, b, file, line);
}
DEVICE void mma_m16n8k16_s8(int32_t (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[1], TALARIA_SIMT_PLACE) {
  matrix_model::mma<matrix_model::Int8>(c, a, b, file, line);
}
DEVICE void mma_m16n8k16_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::mma<matrix_model::Half>(c, a, b, file, line);
}
#endif
DEVICE void mma_m16n8k16_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], TALARIA_SIMT_PLACE) {
  matrix_model::mma<matrix_model::Bfloat>(c, a, b, file, line);
}
DEVICE void ldmatrix_x4(uint32_t (&words)[4], const void* row, TALARIA_SIMT_PLACE) {
  matrix_model::ldmatrix<4, false>(words, row, file, line);
}
DEVICE void ldmatrix_x2(uint32_t (&words)[2], const void* row, TALARIA_SIMT_PLACE) {
  matrix_model::ldmatrix<2, false>(words, row, file, line);
}
DEVICE void ldmatrix_x4_trans(uint32_t (&words)[4], const void* row, TALARIA_SIMT_PLACE) {
  matrix_model::ldmatrix<4, true>(words, row, file, line);
}
DEVICE void ldmatrix_x2_trans(uint32_t (&words)[2], const void* row, TALARIA_SIMT_PLACE) {
  matrix_model::ldmatrix<2, true>(words, row, file, line);
}

#elif defined(TALARIA_HAS_MMA)

#if !defined(TALARIA_SMALL_MMA)
// c += a b; products of int8 are summed modulo 2^32.
DEVICE void mma_m16n8k32_s8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE void mma_m16n8k16_s8(int32_t (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(b[0]));
}
// c += a b; how the hardware rounds within a sum is its own affair.
DEVICE void mma_m16n8k16_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE void mma_m16n8k16_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// Tiles of 8 rows of 16 bytes in block memory, 16-byte aligned: lane l gives the address of row l % 8 of tile l / 8 (of
// two tiles, only lanes below 16 do), and gets word l % 4 of row l / 4 of each tile: a fragment of A or B. Transposed,
// it gets the 16-bit elements of rows 2 * (l % 4) and the next, at l / 4.
DEVICE uint32_t block_address(const void* address) {
  uint64_t offset;
  asm("cvta.to.shared.u64 %0, %1;" : "=l"(offset) : "l"(address));
  return static_cast<uint32_t>(offset);
}
DEVICE void ldmatrix_x4(uint32_t (&words)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(block_address(row))
               : "memory");
}
DEVICE void ldmatrix_x2(uint32_t (&words)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(words[0]), "=r"(words[1])
               : "r"(block_address(row))
               : "memory");
}
DEVICE void ldmatrix_x4_trans(uint32_t (&words)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(block_address(row))
               : "memory");
}
DEVICE void ldmatrix_x2_trans(uint32_t (&words)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(words[0]), "=r"(words[1])
               : "r"(block_address(row))
               : "memory");
}
#endif
