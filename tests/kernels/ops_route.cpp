// Cases of route: h = norm(x), the best experts of each row with ties to the lower id, and their weights.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ops.hpp"

namespace ops {

namespace {

constexpr float epsilon = 1e-5f;

struct Size {
  int64_t rows, hidden, experts, used;
};

// Ids and weights are compared as pairs. Where the oracle's margin is too small to tell two experts apart, either is right.
void check_row(int64_t row, const int32_t* computed, const double* logits, const Size& size, double bound) {
  auto at = static_cast<long long>(row);
  std::vector<int32_t> order = oracle::ranked(logits, size.experts);
  double spread = std::max(1.0, logits[order.front()] - logits[order.back()]), margin = std::sqrt(bound) * spread;
  std::vector<bool> taken(static_cast<size_t>(size.experts));
  for (int64_t k = 0; k < size.used; k++) {
    int32_t id = computed[k], right = order[k];
    auto place = static_cast<long long>(k);
    if (id < 0 || id >= size.experts || taken[id]) wrong("routing: row %lld, expert %lld is %d", at, place, id);
    taken[id] = true;
    for (int32_t lower = 0; lower < id; lower++) {
      if (!taken[lower] && logits[lower] == logits[id])
        wrong("routing: row %lld, expert %lld of two that tie is %d, expected %d", at, place, id, lower);
    }
    if (std::fabs(logits[id] - logits[right]) > margin)
      wrong("routing: row %lld, expert %lld is %d, expected %d by a margin of %.3g", at, place, id, right,
            logits[right] - logits[id]);
  }
  double sum = 0, error = 0, power = 0;
  for (int64_t k = 0; k < size.used; k++) sum += std::exp(logits[computed[k]] - logits[order[0]]);
  for (int64_t k = 0; k < size.used; k++) {
    double expected = std::exp(logits[computed[k]] - logits[order[0]]) / sum;
    double difference = std::bit_cast<float>(computed[size.used + k]) - expected;
    error += difference * difference, power += expected * expected;
  }
  if (!(error <= bound * power))
    wrong("routing: row %lld, weights of expert %d and others are off: %.8g (nmse %.3g, bound %.3g)", at, computed[0],
          std::bit_cast<float>(computed[size.used]), error / power, bound);
}

void route(Session& session, int32_t type, Mode mode, Size size, bool ties, uint64_t seed) {
  Weight router = random_weight(type, 1, size.experts, size.hidden, seed), norm = norm_weight(size.hidden, seed);
  if (ties) {  // every other expert ties with the one before, as far as they come in pairs
    for (int64_t e = 0; e + 1 < size.experts; e += 2) copy_row(router, e, e + 1);
  }
  Floats x = random_rows(size.rows, size.hidden, seed + 1);
  for (int64_t i = 0; size.rows > 2 && i < size.hidden; i++) x[2 * size.hidden + i] = 0;  // all experts tie
  Values normed = oracle::rms_norm(exact(x), norm, epsilon),
         logits = oracle::product(router, 0, normed, {Mode::HALF, 32});

  Rig rig(session, mode, Batch::of(size.rows));
  Buffer& in = rig.floats("x", x, size.hidden);
  Buffer& h = rig.output("h", size.rows, size.hidden);
  Buffer& routing = rig.output("routing", size.rows, 2 * size.used, TALARIA_I32);
  rig.append(TALARIA_OP_ROUTE, talaria_route_args{.routing = routing.handle,
                                                  .h = h.handle,
                                                  .x = in.handle,
                                                  .norm = rig.weight(norm, "norm"),
                                                  .router = rig.weight(router, "router"),
                                                  .epsilon = epsilon});
  rig.run();
  compare("h", Rig::floats_of(h), normed, size.hidden, exact_bound);
  Words chosen = Rig::words_of(routing);
  // The router meets float32 rows in any mode; a device may multiply F16 and BF16 in their own type.
  double bound = product_bound(type, mode);
  for (int64_t row = 0; row < size.rows; row++) {
    check_row(row, &chosen[row * 2 * size.used], &logits[row * size.experts], size, bound);
  }
}

// A row of NaNs gets valid experts, no two alike, and does not touch the rows beside it.
void not_a_number(Session& session) {
  Size size{3, 64, 8, 2};
  Weight router = random_weight(TALARIA_F32, 1, size.experts, size.hidden, 3), norm = norm_weight(size.hidden, 3);
  Floats x = random_rows(size.rows, size.hidden, 4);
  x[size.hidden + 5] = NAN;
  Values logits = oracle::product(router, 0, oracle::rms_norm(exact(x), norm, epsilon), {Mode::HALF, 32});
  Rig rig(session, Mode::INT8, Batch::of(size.rows));
  Buffer& in = rig.floats("x", x, size.hidden);
  Buffer& h = rig.output("h", size.rows, size.hidden);
  Buffer& routing = rig.output("routing", size.rows, 2 * size.used, TALARIA_I32);
  rig.append(TALARIA_OP_ROUTE, talaria_route_args{.routing = routing.handle,
                                                  .h = h.handle,
                                                  .x = in.handle,
                                                  .norm = rig.weight(norm, "norm"),
                                                  .router = rig.weight(router, "router"),
                                                  .epsilon = epsilon});
  rig.run();
  Words chosen = Rig::words_of(routing);
  for (int64_t row : {0, 2}) check_row(row, &chosen[row * 4], &logits[row * size.experts], size, exact_bound);
  if (chosen[4] != 0 || chosen[5] != 1) wrong("routing: row 1, of NaNs, has experts %d and %d", chosen[4], chosen[5]);
}

}  // namespace

void add_route_cases(CaseList& list) {
  for (int32_t type : {TALARIA_F32, TALARIA_F16, TALARIA_BF16}) {
    auto add = [&](Size size, bool ties, bool brief) {
      Mode mode = modes[(size.rows + size.used) % 2];
      list.add(
          "route", brief,
          text("%s %s %lld rows of %lld, %lld of %lld experts%s", name_of(type), name_of(mode), (long long)size.rows,
               (long long)size.hidden, (long long)size.used, (long long)size.experts, ties ? ", ties" : ""),
          [=](Session& s) { route(s, type, mode, size, ties, size.rows + 100 * size.experts); });
    };
    add({1, 512, 8, 2}, false, true);
    add({3, 257, 8, 2}, true, true);
    add({33, 255, 8, 2}, false, true);
    add({2, 127, 1, 1}, false, false);
    add({5, 64, 3, 3}, true, true);
    add({31, 31, 5, 1}, true, false);
    add({4, 33, 33, 33}, false, false);
    add({7, 63, 65, 8}, true, type == TALARIA_F16);
    add({65, 1, 8, 2}, true, false);
    add({3, 4096, 64, 6}, false, false);
    add({2, 96, 512, 512}, true, false);
    add({127, 65, 16, 4}, false, false);
    add({257, 32, 9, 2}, false, false);
  }
  list.add("route", true, "F32 int8 a row of NaNs", not_a_number);
}

}  // namespace ops
