// Weights, activations and batches that are made up.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "ops.hpp"

namespace ops {

int64_t columns_of(int32_t type, int64_t size) {
  int64_t values = oracle::format(type).block_values;
  if (values == 1) return size;
  return values == 32 ? 32 * std::min<int64_t>(size, 65) : 256 * (size % 7 + 1);
}

double product_bound(int32_t weight_type, Mode mode) {
  if (weight_type == TALARIA_F32) return exact_bound;
  if (weight_type == TALARIA_BF16) return bf16_bound;
  return mode == Mode::HALF || weight_type == TALARIA_F16 ? half_bound : float_bound;
}

double rounded_bound(double bound) { return bound + std::sqrt(bound) / 32; }

// --- chance -------------------------------------------------------------------------------------------------------------

uint64_t Dice::next() {  // splitmix64
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}
double Dice::uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53;
}
double Dice::normal() {
  return std::sqrt(-2 * std::log(uniform(1e-300, 1))) * std::cos(2 * 3.14159265358979323846 * uniform(0, 1));
}

// --- weights ------------------------------------------------------------------------------------------------------------

// Of a quantised format every bit is random but those of the blocks' float16 scales. Sums over a row are near 1; some
// blocks are larger, so that a wrong scale shows.
Weight random_weight(int32_t type, int64_t matrices, int64_t rows, int64_t columns, uint64_t seed) {
  const oracle::Format& format = oracle::format(type);
  Weight weight{type, matrices, rows, columns, {}};
  weight.bytes.resize(static_cast<size_t>(matrices * rows * weight.row_bytes()));
  Dice dice{seed * 2654435761 + type};
  for (size_t i = 0; i + 8 <= weight.bytes.size(); i += 8) {
    uint64_t bits = dice.next();
    std::memcpy(&weight.bytes[i], &bits, 8);
  }
  double size = 1 / std::sqrt(static_cast<double>(columns));
  int64_t block = 0;
  for (size_t at = 0; at < weight.bytes.size(); at += format.block_bytes, block++) {
    double own = size * (block % 61 == 30 ? 8 : dice.uniform(0.5, 1.5));
    format.scale(&weight.bytes[at], dice.below(2) ? own : -own, dice.normal());
  }
  return weight;
}

Weight f32_weight(int64_t matrices, int64_t rows, int64_t columns, const Floats& values) {
  Weight weight{TALARIA_F32, matrices, rows, columns, {}};
  weight.bytes.resize(values.size() * 4);
  std::memcpy(weight.bytes.data(), values.data(), weight.bytes.size());
  return weight;
}

Weight norm_weight(int64_t columns, uint64_t seed) {
  Dice dice{seed};
  Floats values(static_cast<size_t>(columns));
  for (float& value : values) value = static_cast<float>(dice.uniform(0.5, 1.5));
  values.back() = 4;
  return f32_weight(1, 1, columns, values);
}

void copy_row(Weight& weight, int64_t from, int64_t to) {
  std::memcpy(&weight.bytes[to * weight.row_bytes()], &weight.bytes[from * weight.row_bytes()], weight.row_bytes());
}

// --- activations --------------------------------------------------------------------------------------------------------

Floats random_rows(int64_t rows, int64_t columns, uint64_t seed, bool small) {
  Dice dice{seed};
  Floats values(static_cast<size_t>(rows * columns));
  for (int64_t row = 0; row < rows; row++) {
    double size = small && row % 5 == 3 ? 1.0 / 512 : 1;  // so that epsilon counts
    float* at = values.data() + row * columns;
    for (int64_t i = 0; i < columns; i++) at[i] = static_cast<float>(size * dice.normal());
    at[row % 3 == 1 ? columns - 1 : dice.below(columns)] = static_cast<float>(size * (row % 2 ? -50 : 50));
  }
  return values;
}

namespace {

constexpr double margin = 0.02;  // how near to a boundary, in int8 codes, a value may lie

// A block's codes depend on the ratios to its largest value alone, whatever the norm's scale is.
void settle_codes(float* x, const float* norm, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; i++) largest = std::max(largest, std::fabs(static_cast<double>(x[i]) * norm[i]));
  for (int64_t i = 0; i < count && largest > 0; i++) {
    double code = static_cast<double>(x[i]) * norm[i] * 127 / largest, boundary = std::floor(code) + 0.5;
    if (std::fabs(code - boundary) >= margin) continue;
    x[i] *= static_cast<float>((boundary + (code < boundary ? -margin : margin)) / code);
  }
}

double to_bfloat(double value) {
  auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}
double to_half(double value) { return oracle::from_half(oracle::to_half(value)); }

void settle_values(float* x, const float* norm, int64_t count, double scale, double (*round)(double)) {
  for (int64_t i = 0; i < count; i++) {
    double factor = scale * norm[i];
    x[i] = static_cast<float>(round(x[i] * factor) / factor);
  }
}

Floats settle(Floats x, const Floats& norm, oracle::Rounding rounding, std::initializer_list<int32_t> types,
              double epsilon, bool normed) {
  int64_t columns = static_cast<int64_t>(norm.size());
  bool codes = false, bfloat = false;
  for (int32_t type : types) {
    codes |= rounding.mode == Mode::INT8 && oracle::format(type).quantised();
    bfloat |= type == TALARIA_BF16;
  }
  for (size_t row = 0; row < x.size(); row += columns) {
    for (int pass = 0; !codes && pass < 3; pass++) {  // values that move change the norm's scale
      double squares = 0;
      for (int64_t i = 0; i < columns; i++) squares += static_cast<double>(x[row + i]) * x[row + i];
      double scale = normed ? 1 / std::sqrt(squares / static_cast<double>(columns) + epsilon) : 1;
      settle_values(&x[row], norm.data(), columns, scale, bfloat ? to_bfloat : to_half);
    }
    for (int64_t begin = 0; codes && begin < columns; begin += rounding.block) {
      settle_codes(&x[row + begin], &norm[begin], std::min(rounding.block, columns - begin));
    }
  }
  return x;
}

}  // namespace

Floats settled(const Floats& x, int64_t columns, oracle::Rounding rounding, std::initializer_list<int32_t> types) {
  return settle(x, Floats(static_cast<size_t>(columns), 1), rounding, types, 0, false);
}

Floats settled(const Floats& x, const Weight& norm, float epsilon, oracle::Rounding rounding,
               std::initializer_list<int32_t> types) {
  return settle(x, norm.row(0, 0), rounding, types, epsilon, true);
}

// --- batches ------------------------------------------------------------------------------------------------------------

Batch::Batch(talaria_batch_shape s) : shape(s), words(talaria::BatchLayout(s).end, 0x7f7f7f7f), at(s) {
  words[0] = words[1] = words[2] = words[3] = 0;
  words[at.adjust_begin] = 0;
  std::fill_n(words.begin() + at.target, int64_t{s.wanted} * s.targets, -1);
  std::fill_n(words.begin() + at.block, int64_t{s.tables} * s.blocks, -1);
  std::fill_n(words.begin() + at.mask, int64_t{s.wanted} * s.mask_words, -1);
}

Batch Batch::of(int64_t rows, bool spare) {
  Batch batch({static_cast<int32_t>(rows + (spare ? 3 : 0)), 0, 1, 1, 0, 0, 0, 0});
  for (int32_t row = 0; row < rows; row++) batch.row(0, row, 0);
  return batch;
}

void Batch::row(int32_t token, int32_t position, int32_t table) {
  int32_t row = words[0]++;
  words[at.token + row] = token, words[at.position + row] = position, words[at.table + row] = table;
}

void Batch::block(int32_t table, int32_t column, int32_t block) {
  words[at.block + int64_t{table} * shape.blocks + column] = block;
}

void Batch::want(int32_t row) {
  int32_t wanted = words[1]++;
  words[at.wanted_row + wanted] = row;
  words[at.adjust_begin + wanted + 1] = words[at.adjust_begin + wanted];
}

void Batch::target(int32_t slot, int32_t token) { words[at.target + (wanted() - 1) * shape.targets + slot] = token; }

void Batch::adjust(int32_t token, float penalty, float add) {
  int32_t i = words[at.adjust_begin + wanted()]++;
  words[at.adjust_token + i] = token;
  words[at.adjust_penalty + i] = std::bit_cast<int32_t>(penalty);
  words[at.adjust_add + i] = std::bit_cast<int32_t>(add);
}

void Batch::allow(const std::vector<int32_t>& tokens) {
  int32_t* mask = &words[at.mask + (wanted() - 1) * shape.mask_words];
  std::fill_n(mask, shape.mask_words, 0);
  for (int32_t token : tokens) mask[token / 32] |= static_cast<int32_t>(1u << token % 32);
  words[2] = 1;
}

bool Batch::allowed(int64_t wanted, int64_t token) const {
  return words[2] == 0 || (words[at.mask + wanted * shape.mask_words + token / 32] >> token % 32 & 1) != 0;
}

}  // namespace ops
