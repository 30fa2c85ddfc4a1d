#include "matmul.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace talaria::cpu {

Matrix::Matrix(const talaria_tensor_view& v, int64_t plane)
    : type(v.type), packed(is_packed(v.type)), rows(v.shape[2]), columns(v.shape[3]) {
  row_bytes = v.bytes / (v.shape[0] * v.shape[1] * v.shape[2]);
  data = bytes(v) + row_bytes * padded_rows(type, rows) * plane;
}

const uint8_t* Matrix::row(int64_t index, uint8_t* copy) const {
  if (!packed) return data + index * row_bytes;
  unpack_row(type, data + index / panel_rows * panel_rows * row_bytes, row_bytes, index % panel_rows, copy);
  return copy;
}

int64_t Int8Rows::scratch(int64_t rows, int64_t columns) { return product({rows, columns / 32, 8 + 1 + 2}); }

Int8Rows::Int8Rows(float* scratch, int64_t rows, int64_t columns)
    : rows(rows),
      columns(columns),
      q(reinterpret_cast<int8_t*>(scratch)),
      scale(scratch + rows * columns / 4),
      correction(reinterpret_cast<int32_t*>(scale + rows * columns / 32)) {}

Int8Tile Int8Rows::tile(int64_t first_row) const {
  int64_t blocks = first_row * (columns / 32);
  return {columns, std::min(tile_rows, rows - first_row), q + 32 * blocks, scale + blocks, correction + 2 * blocks};
}

Int8Rows Int8Rows::part(int64_t first, int64_t count) const {
  Int8Rows result = *this;
  int64_t blocks = first * (columns / 32);
  result.rows = count;
  result.q += 32 * blocks;
  result.scale += blocks;
  result.correction += 2 * blocks;
  return result;
}

bool takes_int8(int32_t weight_type, const Mode& mode) { return mode.int8 && is_packed(weight_type); }

bool same_rounding(int32_t type, int32_t other) {
  auto with_minimums = [](int32_t t) { return t == TALARIA_Q4_K || t == TALARIA_Q5_K; };
  return type == other || (with_minimums(type) && with_minimums(other));
}

namespace {

// Weights decoded to float32 a few rows at a time, where int8 is not wanted.
void decoded_strip_product(const Matrix& w, int64_t first_row, int64_t count, const float* x, int64_t x_rows, float* y) {
  constexpr int64_t most = 4;
  thread_local std::vector<float> decoded;
  thread_local std::vector<uint8_t> copy;
  decoded.resize(static_cast<size_t>(most * w.columns));
  copy.resize(static_cast<size_t>(w.row_bytes));
  for (int64_t begin = 0; begin < count; begin += most) {
    int64_t rows = std::min(most, count - begin);
    for (int64_t o = 0; o < rows; o++) {
      decode(w.type, w.row(first_row + begin + o, copy.data()), decoded.data() + o * w.columns, w.columns);
    }
    simd().float_products(TALARIA_F32, reinterpret_cast<const uint8_t*>(decoded.data()), 4 * w.columns, rows, x, x_rows,
                          w.columns, y + begin, strip_rows);
  }
}

}  // namespace

void strip_product(const Matrix& w, int64_t strip, const Input& x, int64_t first, float* y) {
  int64_t first_row = strip * strip_rows;
  if (x.int8 != nullptr) {
    simd().panel_product(w.type)(w.data + first_row * w.row_bytes, x.int8->tile(first), y, strip_rows);
    return;
  }
  int64_t count = std::min(strip_rows, w.rows - first_row), x_rows = std::min(tile_rows, x.rows - first);
  const float* in = x.floats + first * w.columns;
  if (w.packed) {
    decoded_strip_product(w, first_row, count, in, x_rows, y);
  } else {
    simd().float_products(w.type, w.data + first_row * w.row_bytes, w.row_bytes, count, in, x_rows, w.columns, y, strip_rows);
  }
}

int64_t matmul_scratch(int64_t rows, int64_t columns, int64_t products) {
  return product({products, Int8Rows::scratch(rows, columns)});
}

void matmul(std::initializer_list<Product> products, const float* x, int64_t rows, const Context& context, float* scratch) {
  // Each product's input; those that round alike share it.
  std::vector<Int8Rows> rounded;
  std::vector<int32_t> types;
  std::vector<size_t> input_of;
  int64_t strips = 0;
  for (const Product& p : products) {
    strips += p.w.strips();
    size_t known = 0;
    while (known < types.size() && !same_rounding(types[known], p.w.type)) known++;
    input_of.push_back(known);
    if (known < types.size()) continue;
    types.push_back(p.w.type);
    rounded.emplace_back(scratch, rows, p.w.columns);
    if (!takes_int8(p.w.type, context.mode)) continue;
    scratch += Int8Rows::scratch(rows, p.w.columns);
    const Int8Rows& target = rounded.back();
    round_rows(
        p.w.type, rows, p.w.columns, context.pool, [&](int64_t i) { return x + i * p.w.columns; },
        [&](int64_t i) { return target.tile(i / tile_rows * tile_rows); }, [](int64_t i) { return i % tile_rows; });
  }
  for_strips(strips, context.pool, [&](int64_t strip) {
    size_t i = 0;
    for (const Product& p : products) {
      if (strip >= p.w.strips()) {
        strip -= p.w.strips();
        i++;
        continue;
      }
      Input in{x, takes_int8(p.w.type, context.mode) ? &rounded[input_of[i]] : nullptr, rows};
      int64_t count = std::min(strip_rows, p.w.rows - strip * strip_rows);
      for (int64_t first = 0; first < rows; first += tile_rows) {
        alignas(64) float y[tile_rows * strip_rows];
        strip_product(p.w, strip, in, first, y);
        for (int64_t r = 0; r < std::min(tile_rows, rows - first); r++) {
          std::copy_n(y + r * strip_rows, count, p.y + (first + r) * p.w.rows + strip * strip_rows);
        }
      }
      return;
    }
  });
}

float dot(const float* a, const float* b, int64_t n) {
  float result;
  simd().float_products(TALARIA_F32, reinterpret_cast<const uint8_t*>(a), 4 * n, 1, b, 1, n, &result, 1);
  return result;
}

void rms_norm(const float* x, const float* norm, float epsilon, float* out, int64_t columns) {
  float scale = 1.0f / std::sqrt(dot(x, x, columns) / static_cast<float>(columns) + epsilon);
  for (int64_t i = 0; i < columns; i++) out[i] = x[i] * scale * norm[i];
}

}  // namespace talaria::cpu
