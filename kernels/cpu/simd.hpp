// The inner loops that take the CPU's time, built once per instruction set from simd/kernels.inl and chosen when the process
// starts.
#pragma once

#include <cstdint>

namespace talaria::cpu {

// Rows of activations that are rounded together: they lie side by side block for block, so that a product reads them in
// one stream.
constexpr int64_t tile_rows = 16;

// Up to 16 rows of activations as int8 blocks of 32, x = scale * q, and what a product with weights of one type starts from
// or takes off: see quantise_row.
struct Int8Tile {
  int64_t columns;       // a multiple of 32
  int64_t rows;          // 1 .. tile_rows
  int8_t* q;             // [columns / 32][rows][32]
  float* scale;          // [columns / 32][rows]
  int32_t* correction;   // [columns / 32][rows][2 for Q6_K, else 1]
};

// One panel of weights (16 rows, packed.hpp) with all rows of a tile: y[r * stride + lane].
using PanelProduct = void (*)(const uint8_t* panel, const Int8Tile& x, float* y, int64_t stride);

// The query heads that share a KV head.
struct AttentionHeads {
  int64_t padded;  // head size rounded up to 16: the stride of rows of floats, zero past the head's own values
  int64_t heads;
};

struct Simd {
  const char* name;

  // Null for a type without panels.
  PanelProduct (*panel_product)(int32_t type);

  // Rounds a row to int8 blocks of 32 (scale = max|x| / 127, to nearest even) into row `row` of a tile, for products with
  // weights of a type. A block with a NaN gets a scale of NaN.
  void (*quantise_row)(int32_t type, const float* x, const Int8Tile& tile, int64_t row);

  // y[r * y_stride + o] = w[o] . x[r] in float32 for up to 4 rows of F32, F16 or BF16 weights, row_bytes apart.
  void (*float_products)(int32_t type, const uint8_t* w, int64_t row_bytes, int64_t w_rows, const float* x, int64_t x_rows,
                         int64_t columns, float* y, int64_t y_stride);

  // gate = silu(gate) * up
  void (*silu_multiply)(float* gate, const float* up, int64_t n);

  // The sum of exp(x - largest); NaN if an x is.
  double (*sum_of_exp)(const float* x, int64_t n, float largest);

  // Decodes F32, F16 or Q8_0 values of the KV cache, and zeros up to `padded`.
  void (*decode_kv)(int32_t type, const uint8_t* source, float* target, int64_t n, int64_t padded);
  void (*encode_halves)(const float* source, uint8_t* target, int64_t n);

  // One step of attention with an online softmax: `positions` (up to 32) decoded rows of keys and values meet one query per
  // head. state: [heads][2 + padded]: the largest score, the sum of weights, and the weighted sum of values so far.
  void (*attend)(const AttentionHeads& shape, const float* q, float scale, const float* keys, const float* values,
                 int64_t positions, float* state);

  // Reads n bytes, whole vectors of 256 bytes, and returns something that depends on all of them; fetched ahead or not.
  int64_t (*read_plain)(const uint8_t* bytes, int64_t n);
  int64_t (*read_ahead)(const uint8_t* bytes, int64_t n);
};

// The best that this processor runs. TALARIA_CPU=avx2, avx-vnni or portable in the environment takes a lesser one.
const Simd& simd();

}  // namespace talaria::cpu
