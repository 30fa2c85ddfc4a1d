#include <algorithm>
#include <bit>
#include <cmath>

#include "matmul.hpp"

namespace talaria::cpu {

namespace {

// Logits that one task adds up: the same pieces whatever the number of threads, so that sums have the same bits.
constexpr int64_t sum_piece = 4096;

double log_sum_exp(const float* logits, int64_t n, Pool& pool, double* sums) {
  float largest = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    if (std::isnan(logits[i])) return NAN;
    largest = std::max(largest, logits[i]);
  }
  int64_t pieces = (n + sum_piece - 1) / sum_piece;
  pool.run(pieces, [&](int64_t piece, int32_t) {
    int64_t begin = piece * sum_piece;
    sums[piece] = simd().sum_of_exp(logits + begin, std::min(sum_piece, n - begin), largest);
  });
  double sum = 0;
  for (int64_t piece = 0; piece < pieces; piece++) sum += sums[piece];
  return largest + std::log(sum);
}

void adjust(const Batch& batch, int32_t wanted, float* logits) {
  for (int32_t i = batch.adjust_begin[wanted]; i < batch.adjust_begin[wanted + 1]; i++) {
    float& logit = logits[batch.adjust_token[i]];
    float penalty = std::bit_cast<float>(batch.adjust_penalty[i]);
    logit = (logit > 0 ? logit / penalty : logit * penalty) + std::bit_cast<float>(batch.adjust_add[i]);
  }
}

// The k best that the mask allows, best first; ties to the lower id.
void choose(const Batch& batch, int32_t wanted, const float* adjusted, const float* plain, int64_t n, int32_t k, int32_t* out) {
  const uint32_t* mask = batch.masked ? batch.mask + static_cast<int64_t>(wanted) * batch.shape->mask_words : nullptr;
  int32_t *ids = out, *end = out;
  // A heap with the worst of the chosen at its front.
  auto better = [=](int32_t a, int32_t b) { return adjusted[a] != adjusted[b] ? adjusted[a] > adjusted[b] : a < b; };
  for (int32_t id = 0; id < n; id++) {
    float logit = adjusted[id];
    if (std::isnan(logit) || (mask != nullptr && (mask[id / 32] >> id % 32 & 1) == 0)) continue;
    if (end - ids == k) {
      if (!better(id, ids[0])) continue;
      std::pop_heap(ids, end--, better);
    }
    *end++ = id;
    std::push_heap(ids, end, better);
  }
  std::sort_heap(ids, end, better);
  float *values = reinterpret_cast<float*>(out + k), *plain_values = values + k;
  int64_t found = end - ids;
  for (int64_t i = 0; i < k; i++) {
    values[i] = i < found ? adjusted[ids[i]] : -INFINITY;
    plain_values[i] = i < found ? plain[ids[i]] : -INFINITY;
    if (i >= found) ids[i] = -1;
  }
}

// Everything that `top` holds for one wanted row.
void finish_row(const talaria_top_logits_args& a, const Batch& batch, int32_t wanted, const float* plain, float* adjusted,
                double* sums_scratch, int64_t vocabulary, Pool& pool, int32_t* top) {
  std::copy_n(plain, vocabulary, adjusted);
  adjust(batch, wanted, adjusted);
  choose(batch, wanted, adjusted, plain, vocabulary, a.k, top);
  float* sums = reinterpret_cast<float*>(top + 3 * a.k);
  double total = log_sum_exp(plain, vocabulary, pool, sums_scratch);
  sums[0] = static_cast<float>(total);
  for (int64_t j = 0; j < batch.shape->targets; j++) {
    int32_t target = batch.target[static_cast<int64_t>(wanted) * batch.shape->targets + j];
    sums[1 + j] = target < 0 ? 0.0f : static_cast<float>(plain[target] - total);
  }
}

}  // namespace

// Wanted rows per pass over the output weights.
constexpr int64_t chunk = 8;

int64_t top_logits_scratch(const talaria_top_logits_args& a, const talaria_batch_shape&) {
  const talaria_tensor_view& output = view(a.output);
  int64_t hidden = output.shape[3], vocabulary = output.shape[2];
  return 2 * (vocabulary / sum_piece + 1) + chunk * (hidden + vocabulary) + vocabulary + matmul_scratch(chunk, hidden, 1);
}

void top_logits(const talaria_top_logits_args& a, const Batch& batch, const Context& context) {
  Matrix output(view(a.output));
  int64_t hidden = output.columns, vocabulary = output.rows;
  auto* sums = reinterpret_cast<double*>(context.scratch);        // [pieces of the vocabulary]
  float* n = context.scratch + 2 * (vocabulary / sum_piece + 1);  // [chunk][H]
  float* plain = n + chunk * hidden;                              // [chunk][V]
  float* adjusted = plain + chunk * vocabulary;                   // [V]
  float* rest = adjusted + vocabulary;
  for (int64_t begin = 0; begin < batch.wanted; begin += chunk) {
    int64_t rows = std::min<int64_t>(chunk, batch.wanted - begin);
    for (int64_t i = 0; i < rows; i++) {
      rms_norm(floats(a.x) + batch.wanted_row[begin + i] * hidden, floats(a.norm), a.epsilon, n + i * hidden, hidden);
    }
    matmul({{output, plain}}, n, rows, context, rest);
    if (a.logits != 0) std::copy_n(plain, rows * vocabulary, floats(a.logits) + begin * vocabulary);
    for (int64_t i = 0; i < rows; i++) {
      int32_t* top = ints(a.top) + (begin + i) * view(a.top).shape[3];
      finish_row(a, batch, static_cast<int32_t>(begin + i), plain + i * vocabulary, adjusted, sums, vocabulary, context.pool, top);
    }
  }
}

}  // namespace talaria::cpu
