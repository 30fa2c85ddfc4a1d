#include <algorithm>
#include <cmath>

#include "matmul.hpp"

namespace talaria::cpu {

namespace {

// Positions that are decoded at a time, and query rows of one sequence that share them.
constexpr int64_t most_positions = 32, most_queries = 8;

// What one task needs: decoded keys and values, and per query and head of its group a query and a state.
struct TaskScratch {
  int64_t padded, heads;
  explicit TaskScratch(const talaria_attention_args& a)
      : padded((a.head_dim + 15) / 16 * 16), heads(view(a.q).shape[3] / view(a.keys).shape[3]) {}
  int64_t decoded() const { return most_positions * padded; }
  int64_t query() const { return heads * padded; }
  int64_t state() const { return heads * (2 + padded); }
  int64_t floats() const { return 2 * decoded() + most_queries * (query() + state()); }
};

// Consecutive rows of a batch at consecutive positions of one sequence.
struct Queries {
  int64_t first_row, count;
};

// The batch's rows cut into runs of up to most_queries. Returns their number.
int64_t cut(const Batch& batch, Queries* runs) {
  int64_t count = 0;
  for (int64_t row = 0; row < batch.rows; row++) {
    Queries* last = count > 0 ? runs + count - 1 : nullptr;
    bool follows = last != nullptr && last->count < most_queries && batch.table[row] == batch.table[row - 1] &&
                   batch.position[row] == batch.position[row - 1] + 1;
    if (follows) {
      last->count++;
    } else {
      runs[count++] = {row, 1};
    }
  }
  return count;
}

const uint8_t* kv_at(const talaria_tensor_view& kv, int32_t layer, int64_t block, int64_t position, int64_t column) {
  int64_t row = (layer * kv.shape[1] + block) * kv.shape[2] + position % kv.shape[2];
  return bytes(kv) + row * kv_row_bytes(kv.type, kv.shape[3]) + kv_row_bytes(kv.type, column);
}

// attended = softmax(scale * q k^T) v for a few rows and the heads that share one KV head. Positions go by in pieces; what a
// row gets does not depend on the rows beside it.
void attend_run(const talaria_attention_args& a, const Batch& batch, const Queries& run, int64_t kv_head, float* scratch) {
  const talaria_tensor_view &keys = view(a.keys), &values = view(a.values);
  TaskScratch sizes(a);
  AttentionHeads shape{sizes.padded, sizes.heads};
  float *k = scratch, *v = k + sizes.decoded(), *q = v + sizes.decoded(), *state = q + most_queries * sizes.query();
  int64_t width = view(a.q).shape[3], column = kv_head * sizes.heads * a.head_dim;
  for (int64_t i = 0; i < run.count; i++) {
    for (int64_t head = 0; head < sizes.heads; head++) {
      const float* from = floats(a.q) + (run.first_row + i) * width + column + head * a.head_dim;
      simd().decode_kv(TALARIA_F32, reinterpret_cast<const uint8_t*>(from), q + i * sizes.query() + head * sizes.padded,
                       a.head_dim, sizes.padded);
      float* head_state = state + i * sizes.state() + head * (2 + sizes.padded);
      std::fill_n(head_state, 2 + sizes.padded, 0.0f);
      head_state[0] = -INFINITY;
    }
  }
  const int32_t* blocks = batch.block + batch.table[run.first_row] * int64_t{batch.shape->blocks};
  int64_t first_end = batch.position[run.first_row] + 1, end = first_end + run.count - 1, count;
  for (int64_t begin = 0; begin < end; begin += count) {
    // A piece ends where its block does.
    count = std::min({most_positions, end - begin, keys.shape[2] - begin % keys.shape[2]});
    int64_t block = blocks[begin / keys.shape[2]];
    for (int64_t p = 0; p < count; p++) {
      const uint8_t* key = kv_at(keys, a.layer, block, begin + p, kv_head * a.head_dim);
      const uint8_t* value = kv_at(values, a.layer, block, begin + p, kv_head * a.head_dim);
      simd().decode_kv(keys.type, key, k + p * sizes.padded, a.head_dim, sizes.padded);
      simd().decode_kv(values.type, value, v + p * sizes.padded, a.head_dim, sizes.padded);
    }
    for (int64_t i = 0; i < run.count; i++) {
      int64_t seen = std::min(count, first_end + i - begin);
      if (seen > 0) simd().attend(shape, q + i * sizes.query(), a.scale, k, v, seen, state + i * sizes.state());
    }
  }
  for (int64_t i = 0; i < run.count; i++) {
    for (int64_t head = 0; head < sizes.heads; head++) {
      const float* head_state = state + i * sizes.state() + head * (2 + sizes.padded);
      float* to = floats(a.attended) + (run.first_row + i) * width + column + head * a.head_dim;
      for (int64_t j = 0; j < a.head_dim; j++) to[j] = head_state[2 + j] / head_state[1];
    }
  }
}

}  // namespace

int64_t attention_scratch(const talaria_attention_args& a, const talaria_batch_shape& shape, int32_t threads) {
  int64_t runs = shape.rows * static_cast<int64_t>(sizeof(Queries) / sizeof(float));
  return runs + product({TaskScratch(a).floats(), threads});
}

void attention(const talaria_attention_args& a, const Batch& batch, const Context& context) {
  int64_t kv_heads = view(a.keys).shape[3] / a.head_dim, per_thread = TaskScratch(a).floats();
  auto* runs = reinterpret_cast<Queries*>(context.scratch);
  int64_t count = cut(batch, runs);
  float* scratch = reinterpret_cast<float*>(runs + batch.rows);
  context.pool.run(count * kv_heads, [&](int64_t task, int32_t thread) {
    attend_run(a, batch, runs[task / kv_heads], task % kv_heads, scratch + thread * per_thread);
  });
}

int64_t attention_output_scratch(const talaria_attention_output_args& a, const talaria_batch_shape& shape) {
  return shape.rows * view(a.x).shape[3] + matmul_scratch(shape.rows, view(a.attended).shape[3], 1);
}

void attention_output(const talaria_attention_output_args& a, const Batch& batch, const Context& context) {
  int64_t values = batch.rows * view(a.x).shape[3];
  float *x = floats(a.x), *added = context.scratch;  // [rows][hidden]
  matmul({{Matrix(view(a.wo)), added}}, floats(a.attended), batch.rows, context, added + values);
  for (int64_t i = 0; i < values; i++) x[i] += added[i];
}

}  // namespace talaria::cpu
