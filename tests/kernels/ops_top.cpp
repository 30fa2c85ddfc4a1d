// Cases of top_logits: the logits against the oracle's; the choice among them against what follows from the device's own
// logits, exactly but for the last bits, where it returns them, else from the oracle's within the bound.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "ops.hpp"

namespace ops {

namespace {

constexpr float epsilon = 1e-5f;

struct Size {
  int64_t rows, wanted, vocabulary, k;
  bool keep;  // whether the device is asked for all logits
};

// --- the choice ---------------------------------------------------------------------------------------------------------

struct Row {
  const Batch& batch;
  int64_t wanted, k;
  const double* plain;
  int64_t vocabulary;
  double tolerance;  // of the largest logit
  bool own;          // the logits are the device's own, so that ties are known

  bool far(double computed, double expected, double scale) const {
    if (std::isnan(expected)) return !std::isnan(computed);
    if (std::isinf(expected)) return computed != expected;
    return !(std::fabs(computed - expected) <= tolerance * scale);
  }

  void check(const int32_t* top) const {
    Values logits = oracle::adjusted(plain, vocabulary, batch.view(), wanted);
    std::vector<int32_t> order;
    double scale = 1;
    for (int32_t id = 0; id < vocabulary; id++) {
      if (std::isnan(logits[id])) continue;
      for (double logit : {plain[id], logits[id]}) scale = std::max(scale, std::isinf(logit) ? 0 : std::fabs(logit));
      if (batch.allowed(wanted, id)) order.push_back(id);
    }
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
    std::vector<bool> taken(static_cast<size_t>(vocabulary));
    auto value = [&](int64_t at) { return static_cast<double>(std::bit_cast<float>(top[at])); };
    for (int64_t rank = 0; rank < k; rank++) {
      int32_t id = top[rank], right = rank < static_cast<int64_t>(order.size()) ? order[rank] : -1;
      auto row = static_cast<long long>(wanted), place = static_cast<long long>(rank);
      if (id < 0 || right < 0) {
        if (id != right) wrong("top: wanted row %lld, place %lld is token %d, expected %d", row, place, id, right);
        if (value(k + rank) != -INFINITY || value(2 * k + rank) != -INFINITY)
          wrong("top: wanted row %lld, place %lld has no token but logits %g, %g", row, place, value(k + rank),
                value(2 * k + rank));
        continue;
      }
      if (id >= vocabulary || taken[id] || !batch.allowed(wanted, id) || far(logits[id], logits[right], scale))
        wrong("top: wanted row %lld, place %lld is token %d, expected %d", row, place, id, right);
      taken[id] = true;
      for (int32_t lower = 0; own && lower < id; lower++) {
        if (logits[lower] == logits[id] && !taken[lower] && batch.allowed(wanted, lower))
          wrong("top: wanted row %lld, place %lld is token %d, which ties with %d", row, place, id, lower);
      }
      if (far(value(k + rank), logits[id], scale))
        wrong("top: wanted row %lld, adjusted logit of token %d is %.8g, expected %.8g", row, id, value(k + rank),
              logits[id]);
      if (far(value(2 * k + rank), plain[id], scale))
        wrong("top: wanted row %lld, logit of token %d is %.8g, expected %.8g", row, id, value(2 * k + rank),
              plain[id]);
    }
    double total = oracle::log_sum_exp(plain, vocabulary);
    if (far(value(3 * k), total, scale))
      wrong("top: wanted row %lld, log-sum-exp is %.8g, expected %.8g", static_cast<long long>(wanted), value(3 * k),
            total);
    for (int32_t j = 0; j < batch.shape.targets; j++) {
      int32_t target = batch.words[batch.at.target + wanted * batch.shape.targets + j];
      double expected = target < 0 ? 0 : plain[target] - total;
      if (far(value(3 * k + 1 + j), expected, scale))
        wrong("top: wanted row %lld, log-probability of token %d is %.8g, expected %.8g",
              static_cast<long long>(wanted), target, value(3 * k + 1 + j), expected);
    }
  }
};

// --- batches ------------------------------------------------------------------------------------------------------------

// The last rows are wanted, each with adjustments, a mask or targets of its own.
Batch wanted_batch(const Size& size, bool masks) {
  auto last = static_cast<int32_t>(size.vocabulary - 1), wanted = static_cast<int32_t>(size.wanted);
  auto words = masks ? static_cast<int32_t>((size.vocabulary + 31) / 32) : 0;
  Batch batch({static_cast<int32_t>(size.rows + 3), wanted + 1, 1, 1, 2, 6 * wanted + 3, words, 0});
  for (int32_t row = 0; row < size.rows; row++) batch.row(0, row, 0);
  for (int32_t i = 0; i < wanted; i++) {
    batch.want(static_cast<int32_t>(size.rows) - wanted + i);
    batch.target(1, static_cast<int32_t>((i * 7 + 5) % size.vocabulary));
    if (i % 4 == 0) {  // two that tie come first
      batch.adjust(last, 1, 50);
      if (last > 3) batch.adjust(3, 1, 50);
    } else if (i % 4 == 1) {  // penalties of positive and negative logits
      batch.target(0, last);
      for (int32_t token = 0; token < 5 && token <= last; token++)
        batch.adjust(token, 1.7f, token % 2 == 0 ? -0.5f : 0);
    } else if (i % 4 == 2 && masks) {  // few tokens are allowed: both of a tie, and one that is adjusted
      batch.allow(last > 40 ? std::vector<int32_t>{8, 17, 40, last} : std::vector<int32_t>{last});
      batch.adjust(std::min(17, last), 0.5f, -3);
    } else {
      batch.target(0, 0);
      batch.adjust(last / 2, 1, -INFINITY);
    }
  }
  return batch;
}

// --- cases --------------------------------------------------------------------------------------------------------------

void top_logits_of(Session& session, int32_t type, Mode mode, const Size& size, const Batch& batch,
                   const Weight& output, uint64_t seed, const Floats* given_x) {
  int64_t hidden = output.columns, wanted = batch.wanted();
  Weight norm = norm_weight(hidden, seed);
  Rig rig(session, mode, batch);
  Floats x = given_x != nullptr
                 ? *given_x
                 : settled(random_rows(size.rows, hidden, seed + 2), norm, epsilon, rig.rounding, {type});
  Values rows;
  for (int64_t i = 0; i < wanted; i++) {
    const float* row = x.data() + batch.words[batch.at.wanted_row + i] * hidden;
    rows.insert(rows.end(), row, row + hidden);
  }
  Values expected = oracle::product(output, 0, oracle::rms_norm(rows, norm, epsilon), rig.rounding);
  double bound = product_bound(type, mode);

  int64_t width = 3 * size.k + 1 + batch.shape.targets;
  Buffer& in = rig.floats("x", x, hidden);
  Buffer& top = rig.output("top", wanted, width, TALARIA_I32);
  Buffer* logits = size.keep ? &rig.output("logits", wanted, size.vocabulary) : nullptr;
  rig.append(TALARIA_OP_TOP_LOGITS, talaria_top_logits_args{.top = top.handle,
                                                            .x = in.handle,
                                                            .norm = rig.weight(norm, "norm"),
                                                            .output = rig.weight(output, "output"),
                                                            .logits = logits ? logits->handle : 0,
                                                            .k = static_cast<int32_t>(size.k),
                                                            .epsilon = epsilon});
  rig.run();
  Values basis = expected;
  if (logits != nullptr) {
    Floats computed = Rig::floats_of(*logits);
    // NaNs are compared by the choice.
    for (size_t i = 0; i < expected.size(); i++) {
      if (std::isnan(expected[i]) != std::isnan(computed[i]))
        wrong("logits: row %zu, value %zu is %g, expected %g", i / size.vocabulary, i % size.vocabulary, computed[i],
              expected[i]);
    }
    basis = exact(computed);
    for (size_t i = 0; i < expected.size(); i++) {
      if (std::isnan(expected[i])) expected[i] = computed[i] = 0;
    }
    compare("logits", computed, expected, size.vocabulary, bound);
  }
  Words chosen = Rig::words_of(top);
  for (int64_t i = 0; i < wanted; i++) {
    Row row{batch,
            i,
            size.k,
            basis.data() + i * size.vocabulary,
            size.vocabulary,
            logits ? 1e-6 : std::sqrt(bound),
            logits != nullptr};
    row.check(chosen.data() + i * width);
  }
}

void top_logits(Session& session, int32_t type, Mode mode, Size size, int64_t hidden, bool masks, uint64_t seed) {
  Weight output = random_weight(type, 1, size.vocabulary, hidden, seed);
  if (size.vocabulary > 3) copy_row(output, 3, size.vocabulary - 1);
  if (size.vocabulary > 41) copy_row(output, 8, 40);
  top_logits_of(session, type, mode, size, wanted_batch(size, masks), output, seed, nullptr);
}

// All logits are equal: the ids are those in front.
void all_tie(Session& session, int64_t vocabulary, int64_t k) {
  Size size{2, 2, vocabulary, k, true};
  Weight output = random_weight(TALARIA_F32, 1, vocabulary, 8, 1);
  for (int64_t i = 1; i < vocabulary; i++) copy_row(output, 0, i);
  Batch batch({2, 2, 1, 1, 2, 0, 0, 0});
  for (int32_t row = 0; row < 2; row++) batch.row(0, row, 0), batch.want(row);
  top_logits_of(session, TALARIA_F32, Mode::HALF, size, batch, output, 7, nullptr);
}

// One token's logit is NaN in every row; in row 1 all are.
void not_a_number(Session& session) {
  Size size{3, 3, 77, 77, true};
  Floats values(77 * 8);
  Dice dice{5};
  for (float& value : values) value = static_cast<float>(dice.normal());
  values[20 * 8 + 3] = NAN;
  Batch batch({3, 3, 1, 1, 2, 0, 0, 0});
  for (int32_t row = 0; row < 3; row++) batch.row(0, row, 0), batch.want(row), batch.target(0, row + 19);
  Floats x = random_rows(3, 8, 9);
  x[8 + 5] = NAN;
  top_logits_of(session, TALARIA_F32, Mode::HALF, size, batch, f32_weight(1, 77, 8, values), 7, &x);
}

}  // namespace

void add_top_cases(CaseList& list) {
  auto add = [&](int32_t type, Mode mode, Size size, int64_t columns, bool masks, bool brief) {
    list.add("top_logits", brief,
             text("%s %s %lld of %lld rows of %lld, best %lld of %lld%s%s", name_of(type), name_of(mode),
                  (long long)size.wanted, (long long)size.rows, (long long)columns, (long long)size.k,
                  (long long)size.vocabulary, size.keep ? "" : ", logits not kept", masks ? ", masks" : ""),
             [=](Session& s) { top_logits(s, type, mode, size, columns, masks, size.rows * 17 + size.k); });
  };
  for (const oracle::Format& format : oracle::formats) {
    for (Mode mode : modes) {
      add(format.type, mode, {1, 1, 77, 1, true}, columns_of(format.type, 33), false, true);
      add(format.type, mode, {7, 5, 257, 64, true}, columns_of(format.type, 31), true, true);
      add(format.type, mode, {12, 9, 515, 5, true}, columns_of(format.type, 65), true, false);
      add(format.type, mode, {33, 33, 1001, 40, false}, columns_of(format.type, 3), false, false);
      add(format.type, mode, {2, 2, 3, 3, true}, columns_of(format.type, 255), true, false);
    }
  }
  for (int64_t k : {1, 2, 31, 32, 33, 63, 64, 65, 255, 257, 1000, 1023, 1024}) {
    add(TALARIA_F16, Mode::INT8, {4, 4, 2002, k, true}, 33, true, k == 65 || k == 1024);
    if (k <= 33) add(TALARIA_F32, Mode::HALF, {3, 3, 33, k, true}, 31, true, k == 33);
  }
  add(TALARIA_Q8_0, Mode::INT8, {133, 129, 77, 7, true}, 64, true, true);
  add(TALARIA_Q4_K, Mode::HALF, {70, 67, 99, 3, false}, 256, true, false);
  add(TALARIA_Q6_K, Mode::INT8, {2, 1, 32002, 64, true}, 256, true, false);
  add(TALARIA_Q8_0, Mode::INT8, {9, 9, 4099, 1024, false}, 64, true, false);
  for (int64_t k : {1, 40, 1024}) {
    list.add("top_logits", k == 40, text("F32 half all of 1500 tie, best %lld", (long long)k),
             [=](Session& s) { all_tie(s, 1500, k); });
  }
  list.add("top_logits", true, "F32 half not a number", not_a_number);
}

}  // namespace ops
