// Weights as the CPU keeps them: panels of 16 rows whose blocks are interleaved, so that one 64-byte load brings 4 (or, of
// nibbles, 8) columns of all 16 rows and each row has a lane of its own. The bytes are the file's, in another order; only the
// last panel of a plane is filled up with rows of zeros.
//
// A panel is a run of panel blocks, each made of one block of each of the 16 rows. Its parts, in this order, "x16" meaning
// the 16 rows' side by side:
//   Q8_0: d x16 | 8 vectors, one per 4 columns
//   Q4_0: d x16 | 4 vectors of nibbles as in the file
//   Q4_K: d x16 | dmin x16 | 12 scale bytes, each x16 | 32 vectors of nibbles
//   Q5_K: d x16 | dmin x16 | 12 scale bytes, each x16 | 8 vectors of fifth bits | 32 vectors of nibbles
//   Q6_K: 32 vectors of low bits | 16 vectors of high bits | 16 scales, each x16 | d x16
// where a vector holds 4 consecutive bytes of the file's block of row 0, then of row 1, up to row 15.
#pragma once

#include <cstdint>

namespace talaria::cpu {

constexpr int64_t panel_rows = 16;

// Rows of a plane, with those that fill up its last panel.
int64_t padded_rows(int32_t type, int64_t rows);

// Whether rows of this type are kept in panels.
bool is_packed(int32_t type);

// Bytes of one block of a row in the file, and the values in it.
int64_t block_bytes(int32_t type);
int64_t block_values(int32_t type);

// Turns 16 consecutive rows of the file's layout into a panel, or back. Not in place.
void pack_panel(int32_t type, const uint8_t* rows, int64_t row_bytes, uint8_t* panel);
void unpack_panel(int32_t type, const uint8_t* panel, int64_t row_bytes, uint8_t* rows);

// One row of a panel, in the file's layout.
void unpack_row(int32_t type, const uint8_t* panel, int64_t row_bytes, int64_t row, uint8_t* target);

}  // namespace talaria::cpu
