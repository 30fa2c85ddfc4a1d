// How AMD's GPUs bring a lane what the lane at the exclusive or of its number and `mask` has: by moves that vector
// instructions make on their way (DPP) wherever there are such, as block memory's unit (ds_bpermute) takes many times longer.
//
// Every way gives exactly that lane's value, so that sums over lanes have the same bits whichever is taken. Moves does them:
// dpp<control>, with the controls of the instruction sets' manuals, swizzle<pattern>, other_row and permute, of which
// devices have what is asked of them here. tests/simt/xor_lanes.cpp has them as the manuals describe them.
#pragma once

#include <stdint.h>

#if !defined(DEVICE)
#define DEVICE static inline
#endif

namespace xor_lanes {

constexpr uint32_t quad_perm(uint32_t of0, uint32_t of1, uint32_t of2, uint32_t of3) {
  return of0 | of1 << 2 | of2 << 4 | of3 << 6;
}
// Lane i of a row of 16: from lane (i - n) % 16; from lane 7 - i of its half; from lane i ^ n.
constexpr uint32_t row_ror(uint32_t n) { return 0x120 + n; }
constexpr uint32_t row_half_mirror = 0x141;
constexpr uint32_t row_xmask(uint32_t n) { return 0x160 + n; }
// ds_swizzle within 32 lanes: from lane ((i & 31) | 0) ^ n.
constexpr uint32_t swizzle_xor(uint32_t n) { return n << 10 | 31; }

// permlanex16: lane i of a row from that lane of the row beside it which digit i of the two words names.
constexpr uint32_t row_low = 0x76543210, row_high = 0xfedcba98;

// gfx9. There is no move by 4: the mirror of eight lanes is i ^ 7, and the mirror of four i ^ 3.
template <typename Moves, typename Value>
DEVICE Value gfx9(const Value& value, uint32_t mask) {
  switch (mask) {
    case 1: return Moves::template dpp<quad_perm(1, 0, 3, 2)>(value);
    case 2: return Moves::template dpp<quad_perm(2, 3, 0, 1)>(value);
    case 4: return Moves::template dpp<row_half_mirror>(Moves::template dpp<quad_perm(3, 2, 1, 0)>(value));
    case 8: return Moves::template dpp<row_ror(8)>(value);
    case 16: return Moves::template swizzle<swizzle_xor(16)>(value);
    default: return Moves::permute(value, mask);
  }
}

// gfx10 and later.
template <typename Moves, typename Value>
DEVICE Value rdna(const Value& value, uint32_t mask) {
  switch (mask) {
    case 1: return Moves::template dpp<row_xmask(1)>(value);
    case 2: return Moves::template dpp<row_xmask(2)>(value);
    case 4: return Moves::template dpp<row_xmask(4)>(value);
    case 8: return Moves::template dpp<row_xmask(8)>(value);
    case 16: return Moves::other_row(value);
    default: return Moves::permute(value, mask);
  }
}

}  // namespace xor_lanes
