#include <algorithm>
#include <cmath>

#include "kernels.hpp"

namespace talaria::cpu {

namespace {

// One head of one row of the KV cache, decoded.
void read_head(const talaria_tensor_view& kv, int32_t layer, int64_t block, int64_t position, int64_t head, int64_t head_dim, float* out) {
  int64_t row = (layer * kv.shape[1] + block) * kv.shape[2] + position % kv.shape[2];
  const uint8_t* at = bytes(kv) + row * kv_row_bytes(kv.type, kv.shape[3]) + kv_row_bytes(kv.type, head * head_dim);
  decode(kv.type, at, out, head_dim);
}

// attended = softmax(scale * q k^T) v for the heads that share one KV head. q and attended: [heads][head_dim].
void attend_group(const talaria_attention_args& a, const int32_t* blocks, int64_t positions, int64_t kv_head, int64_t heads,
                  const float* q, float* attended, float* scratch) {
  const talaria_tensor_view &keys = view(a.keys), &values = view(a.values);
  float* row = scratch;               // [head_dim]
  float* scores = row + a.head_dim;   // [heads][positions]
  for (int64_t p = 0; p < positions; p++) {
    read_head(keys, a.layer, blocks[p / keys.shape[2]], p, kv_head, a.head_dim, row);
    for (int64_t n = 0; n < heads; n++) scores[n * positions + p] = a.scale * dot(q + n * a.head_dim, row, a.head_dim);
  }
  for (int64_t n = 0; n < heads; n++) {
    float* s = scores + n * positions;
    float largest = *std::max_element(s, s + positions);
    float sum = 0;
    for (int64_t p = 0; p < positions; p++) sum += s[p] = std::exp(s[p] - largest);
    for (int64_t p = 0; p < positions; p++) s[p] /= sum;
  }
  std::fill_n(attended, heads * a.head_dim, 0.0f);
  for (int64_t p = 0; p < positions; p++) {
    read_head(values, a.layer, blocks[p / values.shape[2]], p, kv_head, a.head_dim, row);
    for (int64_t n = 0; n < heads; n++) {
      for (int64_t i = 0; i < a.head_dim; i++) attended[n * a.head_dim + i] += scores[n * positions + p] * row[i];
    }
  }
}

}  // namespace

// What one thread needs for one group of heads.
static int64_t group_scratch(const talaria_attention_args& a, const talaria_batch_shape& shape) {
  int64_t group = view(a.q).shape[3] / view(a.keys).shape[3];
  return a.head_dim + product({group, shape.blocks, view(a.keys).shape[2]});
}

int64_t attention_scratch(const talaria_attention_args& a, const talaria_batch_shape& shape, int32_t threads) {
  return product({group_scratch(a, shape), threads});
}

void attention(const talaria_attention_args& a, const Batch& batch, const Context& context) {
  int64_t width = view(a.q).shape[3], kv_heads = view(a.keys).shape[3] / a.head_dim;
  int64_t group = width / a.head_dim / kv_heads;
  int64_t per_thread = group_scratch(a, *batch.shape);
  context.pool.run(batch.rows * kv_heads, [&](int64_t task, int32_t thread) {
    int64_t row = task / kv_heads, kv_head = task % kv_heads;
    const int32_t* blocks = batch.block + batch.table[row] * int64_t{batch.shape->blocks};
    int64_t at = row * width + kv_head * group * a.head_dim;
    attend_group(a, blocks, int64_t{batch.position[row]} + 1, kv_head, group, floats(a.q) + at, floats(a.attended) + at,
                 context.scratch + thread * per_thread);
  });
}

int64_t attention_output_scratch(const talaria_attention_output_args& a, const talaria_batch_shape& shape) {
  return shape.rows * view(a.x).shape[3] + matmul_scratch(shape.rows, view(a.attended).shape[3]);
}

void attention_output(const talaria_attention_output_args& a, const Batch& batch, const Context& context) {
  int64_t values = batch.rows * view(a.x).shape[3];
  float *x = floats(a.x), *added = context.scratch;  // [rows][hidden]
  matmul(Matrix(view(a.wo)), floats(a.attended), batch.rows, added, context, added + values);
  for (int64_t i = 0; i < values; i++) x[i] += added[i];
}

}  // namespace talaria::cpu
