#include <cmath>

#include "matmul.hpp"

namespace talaria::cpu {

namespace {

// Turns the pairs (2i, 2i + 1) of each head by position * frequency[i]. In double: at position 32,000 a float32 angle is off
// by 1e-3.
void rope(float* row, int64_t columns, int32_t position, const double* frequency, const talaria_attention_input_args& a) {
  for (int32_t i = 0; i < a.rope_dims; i += 2) {
    double angle = position * frequency[i / 2];
    float c = static_cast<float>(std::cos(angle)), s = static_cast<float>(std::sin(angle));
    for (int64_t head = 0; head < columns; head += a.head_dim) {
      float* pair = row + head + i;
      float x0 = pair[0], x1 = pair[1];
      pair[0] = x0 * c - x1 * s;
      pair[1] = x0 * s + x1 * c;
    }
  }
}

// Where the KV cache keeps a row: [layers][blocks][positions per block][G * D].
uint8_t* kv_row(const talaria_tensor_view& kv, int32_t layer, int64_t block, int64_t position) {
  int64_t row = (layer * kv.shape[1] + block) * kv.shape[2] + position % kv.shape[2];
  return bytes(kv) + row * kv_row_bytes(kv.type, kv.shape[3]);
}

}  // namespace

int64_t attention_input_scratch(const talaria_attention_input_args& a, const talaria_batch_shape& shape) {
  int64_t hidden = view(a.x).shape[3], width = view(a.keys).shape[3];
  return a.rope_dims + shape.rows * (hidden + 2 * width) + matmul_scratch(shape.rows, hidden, 3);
}

void attention_input(const talaria_attention_input_args& a, const Batch& batch, const Context& context) {
  const talaria_tensor_view &keys = view(a.keys), &values = view(a.values);
  int64_t hidden = view(a.x).shape[3], width = keys.shape[3], q_width = view(a.q).shape[3];
  auto* frequency = reinterpret_cast<double*>(context.scratch);  // [rope_dims / 2]
  float* n = context.scratch + a.rope_dims;                      // [rows][hidden]
  float* k = n + batch.rows * hidden;                            // [rows][width]
  float* v = k + batch.rows * width;                             // [rows][width]
  float* rest = v + batch.rows * width;
  float *x = floats(a.x), *q = floats(a.q);

  for (int32_t i = 0; i < a.rope_dims; i += 2) {
    frequency[i / 2] = std::pow(static_cast<double>(a.rope_base), -static_cast<double>(i) / a.rope_dims);
  }
  context.pool.run(batch.rows, [&](int64_t row, int32_t) {
    rms_norm(x + row * hidden, floats(a.norm), a.epsilon, n + row * hidden, hidden);
  });
  matmul({{Matrix(view(a.wq)), q}, {Matrix(view(a.wk)), k}, {Matrix(view(a.wv)), v}}, n, batch.rows, context, rest);

  context.pool.run(batch.rows, [&](int64_t row, int32_t) {
    int32_t position = batch.position[row];
    rope(q + row * q_width, q_width, position, frequency, a);
    rope(k + row * width, width, position, frequency, a);
    int64_t block = batch.block[static_cast<int64_t>(batch.table[row]) * batch.shape->blocks + position / keys.shape[2]];
    encode_kv(keys.type, k + row * width, kv_row(keys, a.layer, block, position), width);
    encode_kv(values.type, v + row * width, kv_row(values, a.layer, block, position), width);
  });
}

}  // namespace talaria::cpu
