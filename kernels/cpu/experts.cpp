#include <algorithm>
#include <cmath>

#include "kernels.hpp"

namespace talaria::cpu {

namespace {

constexpr int64_t silu_piece = 1024;

// Where an expert lies among those held here, or -1. Ids come from device memory: none is trusted.
int32_t local_expert(const talaria_experts_args& a, int32_t id, int64_t held) {
  if (a.map != 0) {
    if (id < 0 || id >= view(a.map).shape[3]) return -1;
    id = ints(a.map)[id];
  }
  return id >= 0 && id < held ? id : -1;
}

}  // namespace

// At most every row times K goes to one expert.
int64_t experts_scratch(const talaria_experts_args& a, const talaria_batch_shape& shape) {
  const talaria_tensor_view& gate = view(a.gate);
  int64_t pairs = shape.rows * view(a.routing).shape[3] / 2, hidden = gate.shape[3], ffn = gate.shape[2];
  return product({pairs, 1 + 2 * hidden + 2 * ffn}) + std::max(matmul_scratch(pairs, hidden), matmul_scratch(pairs, ffn));
}

void experts(const talaria_experts_args& a, const Batch& batch, const Context& context) {
  const talaria_tensor_view& gate = view(a.gate);
  int64_t held = gate.shape[1], ffn = gate.shape[2], hidden = gate.shape[3], used = view(a.routing).shape[3] / 2;
  int64_t pairs = batch.rows * used;
  const int32_t* routing = ints(a.routing);
  float *h = floats(a.h), *slots = floats(a.slots);  // the first source: [rows][K][H]
  std::fill_n(slots, pairs * hidden, 0.0f);

  int32_t* chosen = reinterpret_cast<int32_t*>(context.scratch);  // [pairs]: (row, k) pairs of one expert, as row * K + k
  float* in = context.scratch + pairs;                            // [pairs][H]
  float* gated = in + pairs * hidden;                     // [pairs][F]
  float* upped = gated + pairs * ffn;                     // [pairs][F]
  float* out = upped + pairs * ffn;                       // [pairs][H]
  float* rest = out + pairs * hidden;

  for (int32_t expert = 0; expert < held; expert++) {
    int64_t n = 0;
    for (int64_t pair = 0; pair < pairs; pair++) {
      int64_t row = pair / used, k = pair % used;
      if (local_expert(a, routing[row * 2 * used + k], held) != expert) continue;
      std::copy_n(h + row * hidden, hidden, in + n * hidden);
      chosen[n++] = static_cast<int32_t>(pair);
    }
    if (n == 0) continue;
    matmul(Matrix(gate, expert), in, n, gated, context, rest);
    matmul(Matrix(view(a.up), expert), in, n, upped, context, rest);
    // In pieces small enough to share out even when there is one row.
    context.pool.run((n * ffn + silu_piece - 1) / silu_piece, [&](int64_t piece, int32_t) {
      for (int64_t i = piece * silu_piece; i < std::min(n * ffn, (piece + 1) * silu_piece); i++) {
        gated[i] = gated[i] / (1.0f + std::exp(-gated[i])) * upped[i];
      }
    });
    matmul(Matrix(view(a.down), expert), gated, n, out, context, rest);
    for (int64_t i = 0; i < n; i++) {
      int64_t row = chosen[i] / used, k = chosen[i] % used;
      float weight;
      std::memcpy(&weight, routing + row * 2 * used + used + k, 4);
      for (int64_t j = 0; j < hidden; j++) slots[chosen[i] * hidden + j] = weight * out[i * hidden + j];
    }
  }
}

}  // namespace talaria::cpu
