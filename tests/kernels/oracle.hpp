// What every op computes, in double precision and written for reading: the other side of each comparison in `ops`.
// kernels/common/args.h has the semantics. To add a format, add a row to `formats` in oracle_formats.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../kernels/common/args.h"
#include "../../kernels/common/formats.h"
#include "../../native/include/batch_layout.hpp"

namespace oracle {

using Values = std::vector<double>;
using Floats = std::vector<float>;
using Bytes = std::vector<uint8_t>;

// --- formats ----------------------------------------------------------------------------------------------------------

struct Format {
  int32_t type;
  const char* name;
  int64_t block_values, block_bytes;
  void (*decode)(const uint8_t* block, float* values);
  // Sets the scales of a block of random bits so that its values have about this root mean square; of a format whose
  // block is one value, makes that value from a normally distributed number.
  void (*scale)(uint8_t* block, double size, double normal);
  bool quantised() const { return block_values > 1; }
};
extern const std::vector<Format> formats;  // of weights
const Format& format(int32_t type);

uint16_t to_half(double value);
double from_half(uint16_t half);

// [matrices][rows][columns], in the layout of a file.
struct Weight {
  int32_t type = TALARIA_F32;
  int64_t matrices = 1, rows = 1, columns = 1;
  Bytes bytes;

  int64_t row_bytes() const { return columns / format(type).block_values * format(type).block_bytes; }
  Floats row(int64_t matrix, int64_t row) const;
};

// --- rounding ---------------------------------------------------------------------------------------------------------

enum class Mode { HALF, INT8 };

// How activations are rounded before they meet a weight: in int8 mode in blocks of 32 or 256, for quantised weights
// alone. A device in half mode may round to halves, which inputs that are settled already are.
struct Rounding {
  Mode mode;
  int64_t block;
};
Values rounded(const Values& x, int64_t columns, int32_t weight_type, Rounding rounding);

// --- ops --------------------------------------------------------------------------------------------------------------

// A batch's words, and where they lie.
struct BatchView {
  const talaria_batch_shape& shape;
  const std::vector<int32_t>& words;
  talaria::BatchLayout at;

  int64_t rows() const { return words[0]; }
  int64_t wanted() const { return words[1]; }
  int32_t position(int64_t row) const { return words[at.position + row]; }
  int32_t block(int64_t row, int64_t position, int64_t positions_per_block) const {
    return words[at.block + words[at.table + row] * int64_t{shape.blocks} + position / positions_per_block];
  }
};

// Rows times a weight's matrix: [rows][weight.rows].
Values product(const Weight& weight, int64_t matrix, const Values& x, Rounding rounding);
Values rms_norm(const Values& x, const Weight& norm, float epsilon);

// Turns the pairs (2i, 2i + 1) of each head by position * base^(-2i / rope_dims).
void rope(Values& rows, int64_t width, const talaria_attention_input_args& a, const BatchView& batch);

// One half of a KV cache, rounded as its type rounds.
class Cache {
 public:
  Cache(int32_t type, int64_t layers, int64_t blocks, int64_t positions, int64_t width)
      : type(type),
        layers(layers),
        blocks(blocks),
        positions(positions),
        width(width),
        values_(static_cast<size_t>(layers * blocks * positions * width)) {}

  const int32_t type;
  const int64_t layers, blocks, positions, width;

  void append(const Values& rows, int32_t layer, const BatchView& batch);
  // The values at a position of a row's sequence.
  const double* at(int32_t layer, const BatchView& batch, int64_t row, int64_t position) const;

 private:
  int64_t place(int32_t layer, const BatchView& batch, int64_t row, int64_t position) const;
  Values values_;
};

// Causal, grouped-query: head n reads KV head n / (heads / KV heads).
Values attend(const Values& q, int64_t q_width, int64_t head_dim, double scale, const Cache& keys, const Cache& values,
              int32_t layer, const BatchView& batch);

// All experts of a row's logits, best first, ties to the lower id.
std::vector<int32_t> ranked(const double* logits, int64_t count);

struct ExpertWeights {
  Weight gate, up, down;
  std::vector<int32_t> map;  // empty: expert e at e

  // Which of the matrices expert `id` is, or -1.
  int64_t matrix(int32_t id) const;
};
// [rows][K][H]; routing is [rows][2 * K].
Values experts(const Values& h, const std::vector<int32_t>& routing, int64_t used, const ExpertWeights& weights,
               Rounding rounding);

// Logits of a wanted row after its adjustments.
Values adjusted(const double* logits, int64_t count, const BatchView& batch, int64_t wanted);
double log_sum_exp(const double* logits, int64_t count);

}  // namespace oracle
