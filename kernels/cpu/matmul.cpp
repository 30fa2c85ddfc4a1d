// Dot products, RMS norm, and the matrix product of any format.
#include <algorithm>
#include <cmath>
#include <vector>

#include "int8_gemm.hpp"
#include "kernels.hpp"
#include "packed.hpp"

namespace talaria::cpu {

float dot(const float* a, const float* b, int64_t n) {
  // Sixteen sums side by side: the compiler may use vectors without reordering any one sum.
  constexpr int lanes = 16;
  float sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int lane = 0; lane < lanes; lane++) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (int lane = 0; i < n; i++, lane++) sums[lane] += a[i] * b[i];
  for (int width = lanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; lane++) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

void rms_norm(const float* x, const float* norm, float epsilon, float* out, int64_t columns) {
  float scale = 1.0f / std::sqrt(dot(x, x, columns) / static_cast<float>(columns) + epsilon);
  for (int64_t i = 0; i < columns; i++) out[i] = x[i] * scale * norm[i];
}

Matrix::Matrix(const talaria_tensor_view& v, int64_t plane)
    : type(v.type), packed(is_packed(v.type)), rows(v.shape[2]), columns(v.shape[3]) {
  row_bytes = v.bytes / (v.shape[0] * v.shape[1] * v.shape[2]);
  data = bytes(v) + row_bytes * v.shape[2] * plane;
}

const uint8_t* Matrix::row(int64_t index, uint8_t* copy) const {
  if (!packed || index >= rows / panel_rows * panel_rows) return data + index * row_bytes;
  unpack_row(type, data + index / panel_rows * panel_rows * row_bytes, row_bytes, index % panel_rows, copy);
  return copy;
}

namespace {

// Rows of weights that a task of the float path decodes and multiplies.
constexpr int64_t float_task_rows = 8;

// Weights decoded row by row, dot products in float32.
void matmul_floats(const Matrix& w, int64_t first_row, const float* x, int64_t rows, float* y, Pool& pool) {
  pool.run((w.rows - first_row + float_task_rows - 1) / float_task_rows, [&](int64_t task, int32_t) {
    thread_local std::vector<float> decoded;
    thread_local std::vector<uint8_t> copy;
    decoded.resize(static_cast<size_t>(w.columns));
    copy.resize(static_cast<size_t>(w.row_bytes));
    int64_t begin = first_row + task * float_task_rows;
    for (int64_t o = begin; o < std::min(begin + float_task_rows, w.rows); o++) {
      decode(w.type, w.row(o, copy.data()), decoded.data(), w.columns);
      for (int64_t r = 0; r < rows; r++) y[r * w.rows + o] = dot(decoded.data(), x + r * w.columns, w.columns);
    }
  });
}

// Panels of 8 rows in int8, and the rows past the last panel as floats.
void matmul_int8(const Matrix& w, PanelProduct product, const float* x, int64_t rows, float* y, Pool& pool, float* scratch) {
  float* rounded = scratch;                                    // [rows][columns]
  float* scale = rounded + rows * w.columns;                   // [rows][columns / 32]
  float* sum16 = scale + rows * w.columns / 32;                // [rows][columns / 16]
  auto* q = reinterpret_cast<int8_t*>(sum16 + rows * w.columns / 16);  // [rows][columns]
  bool tail = w.rows % panel_rows != 0;
  pool.run(rows, [&](int64_t r, int32_t) {
    int8_t* row = q + r * w.columns;
    quantise_row(x + r * w.columns, w.columns, row, scale + r * w.columns / 32, sum16 + r * w.columns / 16);
    for (int64_t i = 0; tail && i < w.columns; i++) {
      rounded[r * w.columns + i] = scale[(r * w.columns + i) / 32] * static_cast<float>(row[i]);
    }
  });
  Int8Rows in{w.columns, q, scale, sum16};
  // A few panels a task: enough tasks for an even share, few enough that taking them costs nothing.
  int64_t panels = w.rows / panel_rows, per_task = std::clamp<int64_t>(panels / (8 * pool.threads()), 1, 16);
  pool.run((panels + per_task - 1) / per_task, [&](int64_t task, int32_t) {
    for (int64_t p = task * per_task; p < std::min(panels, (task + 1) * per_task); p++) {
      product(w.data + p * panel_rows * w.row_bytes, in, 0, rows, y + p * panel_rows, w.rows);
    }
  });
  if (tail) matmul_floats(w, panels * panel_rows, rounded, rows, y, pool);
}

}  // namespace

int64_t matmul_scratch(int64_t rows, int64_t columns) { return product({2 * rows, columns}); }

void matmul(const Matrix& w, const float* x, int64_t rows, float* y, const Context& context, float* scratch) {
  PanelProduct product = w.packed && context.mode.int8 ? panel_product(w.type) : nullptr;
  if (product != nullptr) return matmul_int8(w, product, x, rows, y, context.pool, scratch);
  if (w.packed && context.mode.int8) {
    std::memcpy(scratch, x, static_cast<size_t>(rows * w.columns) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) round_to_int8(scratch + r * w.columns, w.columns);
    x = scratch;
  }
  matmul_floats(w, 0, x, rows, y, context.pool);
}

}  // namespace talaria::cpu
