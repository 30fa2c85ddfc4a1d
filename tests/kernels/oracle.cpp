#include "oracle.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace oracle {

Values rounded(const Values& x, int64_t columns, int32_t weight_type, Rounding rounding) {
  if (rounding.mode != Mode::INT8 || !format(weight_type).quantised()) return x;
  Values result(x.size());
  for (size_t row = 0; row < x.size(); row += columns) {
    for (int64_t begin = 0; begin < columns; begin += rounding.block) {
      int64_t end = std::min(columns, begin + rounding.block);
      float largest = 0;
      for (int64_t i = begin; i < end; i++) largest = std::max(largest, std::fabs(static_cast<float>(x[row + i])));
      float scale = largest / 127;
      for (int64_t i = begin; i < end; i++)
        result[row + i] = scale == 0 ? 0 : scale * std::nearbyint(x[row + i] / scale);
    }
  }
  return result;
}

Values product(const Weight& weight, int64_t matrix, const Values& x, Rounding rounding) {
  int64_t columns = weight.columns, rows = static_cast<int64_t>(x.size()) / columns;
  Values seen = rounded(x, columns, weight.type, rounding), result(static_cast<size_t>(rows * weight.rows));
  for (int64_t output = 0; output < weight.rows; output++) {
    Floats w = weight.row(matrix, output);
    for (int64_t row = 0; row < rows; row++) {
      double sum = 0;
      for (int64_t i = 0; i < columns; i++) sum += w[i] * seen[row * columns + i];
      result[row * weight.rows + output] = sum;
    }
  }
  return result;
}

Values rms_norm(const Values& x, const Weight& norm, float epsilon) {
  Floats factor = norm.row(0, 0);
  int64_t columns = norm.columns;
  Values result(x.size());
  for (size_t row = 0; row < x.size(); row += columns) {
    double squares = 0;
    for (int64_t i = 0; i < columns; i++) squares += x[row + i] * x[row + i];
    double scale = 1 / std::sqrt(squares / static_cast<double>(columns) + epsilon);
    for (int64_t i = 0; i < columns; i++) result[row + i] = x[row + i] * scale * factor[i];
  }
  return result;
}

// --- attention --------------------------------------------------------------------------------------------------------

void rope(Values& rows, int64_t width, const talaria_attention_input_args& a, const BatchView& batch) {
  for (int64_t row = 0; row < batch.rows(); row++) {
    for (int32_t i = 0; i < a.rope_dims; i += 2) {
      double angle =
          batch.position(row) * std::pow(static_cast<double>(a.rope_base), -static_cast<double>(i) / a.rope_dims);
      double c = std::cos(angle), s = std::sin(angle);
      for (int64_t head = 0; head < width; head += a.head_dim) {
        double* pair = rows.data() + row * width + head + i;
        double x0 = pair[0], x1 = pair[1];
        pair[0] = x0 * c - x1 * s;
        pair[1] = x0 * s + x1 * c;
      }
    }
  }
}

namespace {

// Blocks of 32: d = max / 127, code = x * (1 / d) rounded half away from zero; the stored d is a half.
void round_q8_0(const double* x, double* target) {
  float largest = 0;
  for (int i = 0; i < 32; i++) largest = std::max(largest, std::fabs(static_cast<float>(x[i])));
  float d = largest / 127, inverse = d != 0 ? 1 / d : 0;
  for (int i = 0; i < 32; i++) {
    float scaled = static_cast<float>(x[i]) * inverse;
    double code = std::copysign(std::min(127.0, std::floor(std::fabs(static_cast<double>(scaled)) + 0.5)), scaled);
    target[i] = from_half(to_half(d)) * code;
  }
}

}  // namespace

int64_t Cache::place(int32_t layer, const BatchView& batch, int64_t row, int64_t position) const {
  return ((layer * blocks + batch.block(row, position, positions)) * positions + position % positions) * width;
}

const double* Cache::at(int32_t layer, const BatchView& batch, int64_t row, int64_t position) const {
  return values_.data() + place(layer, batch, row, position);
}

void Cache::append(const Values& rows, int32_t layer, const BatchView& batch) {
  for (int64_t row = 0; row < batch.rows(); row++) {
    const double* from = rows.data() + row * width;
    double* to = values_.data() + place(layer, batch, row, batch.position(row));
    for (int64_t i = 0; i < width; i++) {
      if (type == TALARIA_Q8_0) {
        if (i % 32 == 0) round_q8_0(from + i, to + i);
      } else {
        float value = static_cast<float>(from[i]);
        to[i] = type == TALARIA_F16 ? from_half(to_half(value)) : from[i];
      }
    }
  }
}

Values attend(const Values& q, int64_t q_width, int64_t head_dim, double scale, const Cache& keys, const Cache& values,
              int32_t layer, const BatchView& batch) {
  int64_t heads = q_width / head_dim, group = heads / (keys.width / head_dim);
  Values attended(q.size());
  for (int64_t row = 0; row < batch.rows(); row++) {
    int64_t positions = batch.position(row) + 1;
    Values weight(static_cast<size_t>(positions));
    for (int64_t head = 0; head < heads; head++) {
      const double* own = q.data() + row * q_width + head * head_dim;
      int64_t kv = head / group * head_dim;
      for (int64_t p = 0; p < positions; p++) {
        weight[p] = scale * std::inner_product(own, own + head_dim, keys.at(layer, batch, row, p) + kv, 0.0);
      }
      double largest = *std::max_element(weight.begin(), weight.end()), sum = 0;
      for (double& w : weight) sum += w = std::exp(w - largest);
      double* result = attended.data() + row * q_width + head * head_dim;
      for (int64_t p = 0; p < positions; p++) {
        const double* value = values.at(layer, batch, row, p) + kv;
        for (int64_t i = 0; i < head_dim; i++) result[i] += weight[p] / sum * value[i];
      }
    }
  }
  return attended;
}

// --- experts ----------------------------------------------------------------------------------------------------------

std::vector<int32_t> ranked(const double* logits, int64_t count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [=](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  return ids;
}

int64_t ExpertWeights::matrix(int32_t id) const {
  if (!map.empty()) id = id >= 0 && id < static_cast<int32_t>(map.size()) ? map[id] : -1;
  return id >= 0 && id < gate.matrices ? id : -1;
}

Values experts(const Values& h, const std::vector<int32_t>& routing, int64_t used, const ExpertWeights& weights,
               Rounding rounding) {
  int64_t hidden = weights.gate.columns, pairs = static_cast<int64_t>(routing.size()) / 2;
  Values slots(static_cast<size_t>(pairs * hidden));
  for (int64_t matrix = 0; matrix < weights.gate.matrices; matrix++) {
    Values in;
    std::vector<int64_t> chosen;
    for (int64_t pair = 0; pair < pairs; pair++) {
      int64_t row = pair / used;
      if (weights.matrix(routing[row * 2 * used + pair % used]) != matrix) continue;
      chosen.push_back(pair);
      in.insert(in.end(), h.begin() + row * hidden, h.begin() + (row + 1) * hidden);
    }
    Values gate = product(weights.gate, matrix, in, rounding), up = product(weights.up, matrix, in, rounding);
    for (size_t i = 0; i < gate.size(); i++) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    Values down = product(weights.down, matrix, gate, rounding);
    for (size_t i = 0; i < chosen.size(); i++) {
      int64_t row = chosen[i] / used, k = chosen[i] % used;
      float weight = std::bit_cast<float>(routing[row * 2 * used + used + k]);
      for (int64_t j = 0; j < hidden; j++) slots[chosen[i] * hidden + j] = weight * down[i * hidden + j];
    }
  }
  return slots;
}

// --- logits -----------------------------------------------------------------------------------------------------------

Values adjusted(const double* logits, int64_t count, const BatchView& batch, int64_t wanted) {
  Values result(logits, logits + count);
  const int32_t* words = batch.words.data();
  for (int32_t i = words[batch.at.adjust_begin + wanted]; i < words[batch.at.adjust_begin + wanted + 1]; i++) {
    double& logit = result[words[batch.at.adjust_token + i]];
    double penalty = std::bit_cast<float>(words[batch.at.adjust_penalty + i]);
    logit = (logit > 0 ? logit / penalty : logit * penalty) + std::bit_cast<float>(words[batch.at.adjust_add + i]);
  }
  return result;
}

double log_sum_exp(const double* logits, int64_t count) {
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < count; i++) {
    if (std::isnan(logits[i])) return NAN;
    largest = std::max(largest, logits[i]);
  }
  for (int64_t i = 0; i < count; i++) sum += std::exp(logits[i] - largest);
  return largest + std::log(sum);
}

}  // namespace oracle
