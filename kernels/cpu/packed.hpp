// Weights as the CPU keeps them: panels of 8 rows whose blocks are interleaved, so that one 32-byte load brings 4 (or,
// of nibbles, 8) columns of all 8 rows and each row has a lane of its own. The bytes are the file's, in another order.
//
// A panel is a run of panel blocks, each made of one block of each of the 8 rows. Its parts, in this order, "x8" meaning
// the 8 rows' side by side:
//   Q8_0: d x8 | 8 vectors, one per 4 columns
//   Q4_0: d x8 | 4 vectors of nibbles as in the file
//   Q4_K: d x8 | dmin x8 | 12 scale bytes, each x8 | 32 vectors of nibbles
//   Q5_K: d x8 | dmin x8 | 12 scale bytes, each x8 | 8 vectors of fifth bits | 32 vectors of nibbles
//   Q6_K: 32 vectors of low bits | 16 vectors of high bits | 16 scales, each x8 | d x8
// where a vector holds 4 consecutive bytes of the file's block of row 0, then of row 1, up to row 7. Rows past the last
// whole panel stay as they are in the file.
#pragma once

#include <cstdint>

namespace talaria::cpu {

constexpr int64_t panel_rows = 8;

// Whether rows of this type are kept in panels.
bool is_packed(int32_t type);

// Bytes of one block of a row in the file, and the values in it.
int64_t block_bytes(int32_t type);
int64_t block_values(int32_t type);

// Turns 8 consecutive rows of the file's layout into a panel, or back. Not in place.
void pack_panel(int32_t type, const uint8_t* rows, int64_t row_bytes, uint8_t* panel);
void unpack_panel(int32_t type, const uint8_t* panel, int64_t row_bytes, uint8_t* rows);

// One row of a panel, in the file's layout.
void unpack_row(int32_t type, const uint8_t* panel, int64_t row_bytes, int64_t row, uint8_t* target);

}  // namespace talaria::cpu
