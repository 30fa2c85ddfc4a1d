// Products of packed weights with activations in int8: the CPU's fast path. One source, built once per instruction set.
#pragma once

#include <cstdint>

namespace talaria::cpu {

// Rows of activations as int8 blocks of 32: x = scale * q.
struct Int8Rows {
  int64_t columns;
  const int8_t* q;      // [rows][columns]
  const float* scale;   // [rows][columns / 32]
  const float* sum16;   // [rows][columns / 16], scale times the sum of 16 quants
};

// One panel of weights (8 rows) with `rows` rows of activations from `first` on: y[r * stride + lane].
using PanelProduct = void (*)(
    const uint8_t* panel, const Int8Rows& x, int64_t first, int64_t rows, float* y, int64_t stride);

// The best that this processor runs, or null if none: then weights are decoded and multiplied as floats.
PanelProduct panel_product(int32_t type);

// Rounds a row to int8 blocks of 32 (scale = max|x| / 127, to nearest even), as Int8Rows holds them. Columns are a multiple
// of 32. A block with a NaN gets a scale of NaN.
void quantise_row(const float* x, int64_t columns, int8_t* q, float* scale, float* sum16);

// What was chosen, for people: "AVX-512 VNNI", "AVX2" or "portable".
const char* instruction_set();

}  // namespace talaria::cpu
