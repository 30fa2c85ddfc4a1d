// Dot products, RMS norm, and the matrix product of any format.
#include <cmath>

#include "kernels.hpp"

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

Matrix::Matrix(const talaria_tensor_view& v, int64_t plane) : type(v.type), rows(v.shape[2]), columns(v.shape[3]) {
  row_bytes = v.bytes / (v.shape[0] * v.shape[1] * v.shape[2]);
  data = bytes(v) + row_bytes * v.shape[2] * plane;
}

int64_t matmul_scratch(int64_t rows, int64_t columns) { return product({rows + 1, columns}); }

void matmul(const Matrix& w, const float* x, int64_t rows, float* y, Mode mode, float* scratch) {
  float* weights = scratch;  // [columns], one decoded row of w
  bool quantised = w.type != TALARIA_F32 && w.type != TALARIA_F16 && w.type != TALARIA_BF16;
  if (mode.int8 && quantised) {
    float* rounded = scratch + w.columns;  // [rows][columns]
    std::memcpy(rounded, x, static_cast<size_t>(rows * w.columns) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) round_to_int8(rounded + r * w.columns, w.columns);
    x = rounded;
  }
  for (int64_t o = 0; o < w.rows; o++) {
    decode(w.type, w.data + o * w.row_bytes, weights, w.columns);
    for (int64_t r = 0; r < rows; r++) y[r * w.rows + o] = dot(weights, x + r * w.columns, w.columns);
  }
}

}  // namespace talaria::cpu
