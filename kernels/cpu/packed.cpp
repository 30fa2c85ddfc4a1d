#include "packed.hpp"

#include <cstring>

#include "../common/formats.h"

namespace talaria::cpu {

namespace {

// A stretch of a block that is interleaved in units of so many bytes.
struct Part {
  int64_t bytes, unit;
};

// The parts of a block in the file's order, which is also the panel's. Units of 2 for d and dmin, 1 for scale bytes,
// 4 for quants.
constexpr Part q8_0[] = {{2, 2}, {32, 4}, {0, 0}};
constexpr Part q4_0[] = {{2, 2}, {16, 4}, {0, 0}};
constexpr Part q4_k[] = {{4, 2}, {12, 1}, {128, 4}, {0, 0}};
constexpr Part q5_k[] = {{4, 2}, {12, 1}, {32, 4}, {128, 4}, {0, 0}};
constexpr Part q6_k[] = {{128, 4}, {64, 4}, {16, 1}, {2, 2}, {0, 0}};

const Part* parts_of(int32_t type) {
  switch (type) {
    case TALARIA_Q8_0: return q8_0;
    case TALARIA_Q4_0: return q4_0;
    case TALARIA_Q4_K: return q4_k;
    case TALARIA_Q5_K: return q5_k;
    case TALARIA_Q6_K: return q6_k;
    default: return nullptr;
  }
}

// Calls move<unit>(offset in the panel, row, offset in the row) for every unit of a part: the unit is a constant, so that
// a copy is one instruction.
template <int64_t unit, typename Move>
void for_part(int64_t begin, int64_t bytes, int64_t first_row, int64_t end_row, Move move) {
  for (int64_t at = begin; at < begin + bytes; at += unit) {
    for (int64_t row = first_row; row < end_row; row++) {
      move.template operator()<unit>(at * panel_rows + row * unit, row, at);
    }
  }
}

// The same for every unit of a panel.
template <typename Move>
void for_each_unit(int32_t type, int64_t row_bytes, int64_t first_row, int64_t end_row, Move move) {
  int64_t block = block_bytes(type);
  for (int64_t begin = 0; begin < row_bytes; begin += block) {
    int64_t at = begin;
    for (const Part* part = parts_of(type); part->bytes != 0; at += part->bytes, part++) {
      if (part->unit == 4) for_part<4>(at, part->bytes, first_row, end_row, move);
      if (part->unit == 2) for_part<2>(at, part->bytes, first_row, end_row, move);
      if (part->unit == 1) for_part<1>(at, part->bytes, first_row, end_row, move);
    }
  }
}

}  // namespace

bool is_packed(int32_t type) { return parts_of(type) != nullptr; }

int64_t padded_rows(int32_t type, int64_t rows) {
  return is_packed(type) ? (rows + panel_rows - 1) / panel_rows * panel_rows : rows;
}

int64_t block_bytes(int32_t type) {
  switch (type) {
    case TALARIA_F32: return 4;
    case TALARIA_Q8_0: return sizeof(talaria_block_q8_0);
    case TALARIA_Q4_0: return sizeof(talaria_block_q4_0);
    case TALARIA_Q4_K: return sizeof(talaria_block_q4_k);
    case TALARIA_Q5_K: return sizeof(talaria_block_q5_k);
    case TALARIA_Q6_K: return sizeof(talaria_block_q6_k);
    default: return 2;  // F16, BF16
  }
}

int64_t block_values(int32_t type) {
  switch (type) {
    case TALARIA_Q8_0:
    case TALARIA_Q4_0: return 32;
    case TALARIA_Q4_K:
    case TALARIA_Q5_K:
    case TALARIA_Q6_K: return 256;
    default: return 1;
  }
}

void pack_panel(int32_t type, const uint8_t* rows, int64_t row_bytes, uint8_t* panel) {
  for_each_unit(type, row_bytes, 0, panel_rows, [=]<int64_t unit>(int64_t to, int64_t row, int64_t from) {
    std::memcpy(panel + to, rows + row * row_bytes + from, unit);
  });
}

void unpack_panel(int32_t type, const uint8_t* panel, int64_t row_bytes, uint8_t* rows) {
  for_each_unit(type, row_bytes, 0, panel_rows, [=]<int64_t unit>(int64_t from, int64_t row, int64_t to) {
    std::memcpy(rows + row * row_bytes + to, panel + from, unit);
  });
}

void unpack_row(int32_t type, const uint8_t* panel, int64_t row_bytes, int64_t row, uint8_t* target) {
  for_each_unit(type, row_bytes, row, row + 1, [=]<int64_t unit>(int64_t from, int64_t, int64_t to) {
    std::memcpy(target + to, panel + from, unit);
  });
}

}  // namespace talaria::cpu
