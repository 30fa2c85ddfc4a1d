// The router: norm, product, the best experts and their softmax in one kernel; and pairs sorted by expert.
#include "block_reduce.h"
#include "maths.h"
#include "prefetch.h"
#include "tiles.h"
#include "values.h"

namespace {

constexpr int route_warps = 16;
constexpr int most_experts = 512;  // as native/src/checks.cpp demands

struct RouteShared {
  float warps[32];
  float partial[most_experts + route_warps];  // of an expert's dot, by the warps that share it
};

// Partial dots of h with the experts' rows: where there are fewer experts than warps, several warps share one.
DEVICE void router_dots(const RouteArgs& a, const float* h, int32_t shares, RouteShared& shared) {
  Matrix router = matrix_of(a.router, 0);
  int32_t tasks = static_cast<int32_t>(a.router.rows) * shares;
  int32_t rounded = (tasks + route_warps - 1) / route_warps * route_warps;
  for (int32_t task = static_cast<int32_t>(warp_index()); task < rounded; task += route_warps) {
    int32_t at = task < tasks ? task : tasks - 1;
    float sum = 0;
    for (int64_t i = at % shares * 32 + lane_index(); i < a.columns; i += 32 * shares) {
      sum = fma(weight_value(router, a.router.type, at / shares, i), h[i], sum);
    }
    sum = warp_sum(sum);
    if (lane_index() == 0) shared.partial[at] = sum;
  }
}

// The K largest, largest first, ties to the lower id; NaN is never larger. Their softmax.
DEVICE void choose_experts(const RouteArgs& a, int64_t row, int32_t shares, RouteShared& shared) {
  int32_t experts = static_cast<int32_t>(a.router.rows);
  int32_t* ids = a.routing + row * 2 * a.used;
  for (int32_t e = 0; e < experts; e++) {
    float logit = shared.partial[e * shares];
    for (int32_t s = 1; s < shares; s++) logit += shared.partial[e * shares + s];
    shared.partial[e] = logit;  // e <= e * shares: what is overwritten has been read
  }
  for (int32_t k = 0; k < a.used; k++) {
    int32_t best = -1;
    for (int32_t e = 0; e < experts; e++) {
      bool taken = false;
      for (int32_t j = 0; j < k; j++) taken = taken || ids[j] == e;
      if (taken) continue;
      float logit = shared.partial[e], largest = best < 0 ? 0.0f : shared.partial[best];
      if (best < 0 || logit > largest || (largest != largest && logit == logit)) best = e;
    }
    ids[k] = best;
  }
  float largest = shared.partial[ids[0]], sum = 0;
  for (int32_t k = 0; k < a.used; k++) sum += exp_float(shared.partial[ids[k]] - largest);
  for (int32_t k = 0; k < a.used; k++) {
    ids[a.used + k] = static_cast<int32_t>(float_bits(exp_float(shared.partial[ids[k]] - largest) / sum));
  }
}

}  // namespace

// A block of threads per row.
KERNEL_UNRATIONED(route, RouteArgs, 512) {
  SHARED(RouteShared, shared);
  if constexpr (prefetches) {
    if (block_x() == 0 && thread_index() == 0) {
      prefetch_array(a.norm, a.columns * 4);
      prefetch_array(a.router.data, a.router.matrix_bytes);
    }
  }
  dependency_wait();
  launch_dependents();
  int64_t row = block_x();
  if (!row_in_batch(a.batch, block_x())) return;
  const float* x = a.x + row * a.columns;
  float* h = a.h + row * a.columns;
  float squares = 0;
  for (int64_t i = thread_index(); i < a.columns; i += block_threads()) squares = fma(x[i], x[i], squares);
  float mean = block_sum(squares, shared.warps) / static_cast<float>(a.columns);
  float scale = 1.0f / square_root(mean + a.epsilon);
  for (int64_t begin = 0; begin < talaria_round_up(a.columns, 32); begin += block_threads()) {
    int64_t i = begin + thread_index();
    float value = i < a.columns ? x[i] * scale * a.norm[i] : 0.0f;
    if (i < a.columns) h[i] = value;
    bool live = i < talaria_round_up(a.columns, 32);
    store_block(a.out, lane_index(), row, live ? i / 32 * 32 : 0, value, live);
  }
  barrier();
  int32_t shares = a.router.rows < route_warps ? route_warps / static_cast<int32_t>(a.router.rows) : 1;
  router_dots(a, h, shares, shared);
  barrier();
  if (thread_index() == 0) choose_experts(a, row, shares, shared);
}

namespace {

struct SortShared {
  uint32_t warps[32];
};

// How many of the block's threads before this one have how many; and in `total` all of them.
DEVICE uint32_t exclusive_sum(uint32_t mine, SortShared& shared, uint32_t& total) {
  uint32_t inclusive = mine;
  for (uint32_t step = 1; step < 32; step *= 2) {
    uint32_t before = shuffle(inclusive, lane_index() - step);
    if (lane_index() >= step) inclusive += before;
  }
  if (lane_index() == 31) shared.warps[warp_index()] = inclusive;
  barrier();
  uint32_t offset = 0;
  total = 0;
  for (uint32_t warp = 0; warp < block_threads() / 32; warp++) {
    if (warp < warp_index()) offset += shared.warps[warp];
    total += shared.warps[warp];
  }
  barrier();
  return offset + inclusive - mine;
}

}  // namespace

// One block of threads, each with a stretch of the pairs: expert after expert, so that the order within one is kept.
KERNEL(sort_pairs, SortPairsArgs, 256) {
  SHARED(SortShared, shared);
  dependency_wait();
  launch_dependents();
  const TilesArg& t = a.tiles;
  int32_t pairs = a.batch.header[0] * t.used;
  int32_t each = (pairs + static_cast<int32_t>(block_threads()) - 1) / static_cast<int32_t>(block_threads());
  int32_t begin = static_cast<int32_t>(thread_index()) * each, end = begin + each < pairs ? begin + each : pairs;
  uint32_t sorted = 0, tiles = 0;
  for (int32_t expert = 0; expert < a.held; expert++) {
    uint32_t mine = 0, total;
    for (int32_t p = begin; p < end; p++) {
      mine += local_expert(t, t.routing[p / t.used * 2 * t.used + p % t.used], a.held) == expert;
    }
    uint32_t at = sorted + exclusive_sum(mine, shared, total);
    for (int32_t p = begin; p < end && mine > 0; p++) {
      if (local_expert(t, t.routing[p / t.used * 2 * t.used + p % t.used], a.held) == expert) a.pair[at++] = p;
    }
    uint32_t own = (total + a.tile_pairs - 1) / a.tile_pairs;
    for (uint32_t i = thread_index(); i < own; i += block_threads()) {
      uint32_t first = i * a.tile_pairs, left = total - first;
      a.tile[tiles + i] = {expert, static_cast<int32_t>(sorted + first),
                           static_cast<int32_t>(left < static_cast<uint32_t>(a.tile_pairs) ? left : a.tile_pairs), 0};
    }
    sorted += total, tiles += own;
  }
  if (thread_index() == 0) *a.tile_count = static_cast<int32_t>(tiles);
}

// A block of threads per pair.
KERNEL(zero_absent, ZeroAbsentArgs, 256) {
  dependency_wait();
  launch_dependents();
  int32_t pair = static_cast<int32_t>(block_x()), used = a.tiles.used;
  if (pair >= a.batch.header[0] * used) return;
  if (local_expert(a.tiles, a.tiles.routing[pair / used * 2 * used + pair % used], a.held) >= 0) return;
  for (int64_t i = thread_index(); i < a.columns; i += block_threads()) a.slots[pair * a.columns + i] = 0.0f;
}
