// Attention of single rows over a paged KV cache, the positions cut into splits of a fixed size: attention_split computes
// each split's part, attention_combine adds the parts. What a row gets depends on nothing but the row.
#include "kv_values.h"
#include "maths.h"

namespace {

constexpr uint32_t split_warps = 4, most_heads = 4, most_dim = ATTENTION_MOST_DIM;
constexpr int32_t at_once = 4;  // loads that a lane has under way

struct alignas(16) SplitMemory {
  float score[ATTENTION_MOST_POSITIONS][most_heads];  // then weights
  float sum[most_heads * most_dim];                   // weighted values
  int64_t begin[ATTENTION_MOST_POSITIONS];  // where a position's values begin in the cache
};

struct CombineMemory {
  float maximum[split_warps][32], sum[split_warps][32], value[split_warps][32];  // of each lane
};

// What a block works on, and where this lane stands in it: a warp takes 32 / lanes positions at once, and each lane eight
// values of one.
struct SplitPlace {
  int32_t count;        // positions
  uint32_t lanes;       // for a position: 4, 8, 16 or 32
  uint32_t first;       // of the positions that the block takes at once, this lane's
  uint32_t step;        // how many the block takes at once
  int32_t dim;          // the lane's first of the head's values
  int32_t dims;         // how many of its eight there are
};

DEVICE SplitPlace split_place(const KvArg& kv, int32_t count) {
  SplitPlace place;
  place.count = count;
  place.lanes = kv.head_dim <= 32 ? 4 : kv.head_dim <= 64 ? 8 : kv.head_dim <= 128 ? 16 : 32;
  uint32_t per_warp = 32 / place.lanes;
  place.first = warp_index() * per_warp + lane_index() / place.lanes;
  place.step = split_warps * per_warp;
  place.dim = static_cast<int32_t>(lane_index() % place.lanes) * 8;
  int32_t left = kv.head_dim - place.dim;
  place.dims = left < 0 ? 0 : left > 8 ? 8 : left;
  return place;
}

// Loads eight values of `at_once` positions from `base` on. What is not there is loaded from elsewhere, to be ignored.
template <typename Kv>
DEVICE void load_positions(const KvArg& kv, const uint8_t* cache, const SplitMemory& memory, const SplitPlace& place,
                           uint32_t base, typename Kv::Raw (&raw)[at_once]) {
  int32_t dim = place.dims > 0 ? place.dim : 0;
  UNROLL
  for (int u = 0; u < at_once; u++) {
    uint32_t p = base + u * place.step + place.first, last = static_cast<uint32_t>(place.count) - 1;
    raw[u] = Kv::load(kv, cache, memory.begin[p < last ? p : last] + dim, place.dims);
  }
}

// The sum over a position's lanes of each of HEADS values; the lane gets that of head lane % HEADS.
template <int HEADS>
DEVICE float scattered_sum(float (&value)[HEADS], uint32_t lanes) {
  uint32_t lane = lane_index();
  if constexpr (HEADS == 4) {
    UNROLL
    for (int h = 0; h < 2; h++) {
      float mine = lane & 2 ? value[h + 2] : value[h], theirs = lane & 2 ? value[h] : value[h + 2];
      value[h] = mine + shuffle_xor(theirs, 2);
    }
  }
  if constexpr (HEADS >= 2) {
    float mine = lane & 1 ? value[1] : value[0], theirs = lane & 1 ? value[0] : value[1];
    value[0] = mine + shuffle_xor(theirs, 1);
  }
  float sum = value[0];
  UNROLL  // a shuffle by a number that the compiler knows is a cheaper one
  for (uint32_t step = HEADS; step < 32; step *= 2) {
    if (step < lanes) sum += shuffle_xor(sum, step);
  }
  return sum;
}

// scale * q k of every position and head
template <typename Kv, int HEADS>
DEVICE void split_scores(const AttentionArgs& a, SplitMemory& memory, const SplitPlace& place,
                         const float* const (&q)[HEADS]) {
  float query[HEADS][8];
  UNROLL
  for (int h = 0; h < HEADS; h++) {
    UNROLL
    for (int i = 0; i < 8; i++) query[h][i] = i < place.dims ? q[h][place.dim + i] : 0.0f;
  }
  uint32_t in_position = lane_index() % place.lanes;
  for (uint32_t base = 0; base < static_cast<uint32_t>(place.count); base += at_once * place.step) {
    typename Kv::Raw raw[at_once];
    load_positions<Kv>(a.kv, a.kv.keys, memory, place, base, raw);
    UNROLL
    for (int u = 0; u < at_once; u++) {
      Floats8 key = Kv::decode(raw[u]);
      float dot[HEADS];
      UNROLL
      for (int h = 0; h < HEADS; h++) {
        dot[h] = 0;
        UNROLL
        for (int i = 0; i < 8; i++) dot[h] = fma(query[h][i], key.at[i], dot[h]);
      }
      float sum = scattered_sum<HEADS>(dot, place.lanes);
      uint32_t p = base + u * place.step + place.first;
      if (in_position < HEADS && p < static_cast<uint32_t>(place.count)) memory.score[p][in_position] = sum * a.scale;
    }
  }
}

// Scores become weights e^(score - maximum). A warp does a head; those without one only keep it company. Maximum and sum go
// to the head's part.
DEVICE void split_weights(SplitMemory& memory, uint32_t count, uint32_t head, bool live, float* part) {
  if (!live) count = 0;
  float maximum = bits_float(0xff800000);  // -infinity
  for (uint32_t p = lane_index(); p < count; p += 32) maximum = larger(maximum, memory.score[p][head]);
  maximum = warp_max(maximum);
  float sum = 0;
  for (uint32_t p = lane_index(); p < count; p += 32) {
    float weight = exp_float(memory.score[p][head] - maximum);
    memory.score[p][head] = weight;
    sum += weight;
  }
  sum = warp_sum(sum);
  if (live && lane_index() == 0) part[0] = maximum, part[1] = sum;
}

// memory.sum = the sum of the weighted values: each lane adds its positions, then lanes are added, then warps.
template <typename Kv, int HEADS>
DEVICE void split_values(const AttentionArgs& a, SplitMemory& memory, const SplitPlace& place) {
  float sum[HEADS][8];
  UNROLL
  for (int h = 0; h < HEADS; h++) {
    UNROLL
    for (int i = 0; i < 8; i++) sum[h][i] = 0;
  }
  for (uint32_t base = 0; base < static_cast<uint32_t>(place.count); base += at_once * place.step) {
    typename Kv::Raw raw[at_once];
    load_positions<Kv>(a.kv, a.kv.values, memory, place, base, raw);
    UNROLL
    for (int u = 0; u < at_once; u++) {
      uint32_t p = base + u * place.step + place.first;
      if (p < static_cast<uint32_t>(place.count)) {
        Floats8 value = Kv::decode(raw[u]);
        UNROLL
        for (int h = 0; h < HEADS; h++) {
          float weight = memory.score[p][h];
          UNROLL
          for (int i = 0; i < 8; i++) sum[h][i] = fma(weight, value.at[i], sum[h][i]);
        }
      }
    }
  }
  UNROLL
  for (uint32_t step = 4; step < 32; step *= 2) {
    if (step < place.lanes) continue;
    UNROLL
    for (int h = 0; h < HEADS; h++) {
      UNROLL
      for (int i = 0; i < 8; i++) sum[h][i] += shuffle_xor(sum[h][i], step);
    }
  }
  for (uint32_t warp = 0; warp < split_warps; warp++) {
    if (warp == warp_index() && lane_index() < place.lanes) {
      UNROLL
      for (int h = 0; h < HEADS; h++) {
        UNROLL
        for (int i = 0; i < 8; i++) {
          float* to = memory.sum + h * most_dim + place.dim + i;
          *to = warp == 0 ? sum[h][i] : *to + sum[h][i];
        }
      }
    }
    barrier();
  }
}

template <typename Kv, int HEADS>
DEVICE void attend_split(const AttentionArgs& a, SplitMemory& memory, int64_t row, int32_t begin, int32_t count) {
  int32_t group = a.heads / (a.kv.width / a.kv.head_dim), dim = a.kv.head_dim;
  int32_t blocks = (group + HEADS - 1) / HEADS;  // of a group's heads
  int32_t kv_head = static_cast<int32_t>(block_y()) / blocks, in_group = static_cast<int32_t>(block_y()) % blocks * HEADS;
  int32_t first_head = kv_head * group + in_group, heads = group - in_group < HEADS ? group - in_group : HEADS;
  SplitPlace place = split_place(a.kv, count);
  float* part = a.partial +
                ((static_cast<int64_t>(block_z()) * a.splits + block_x()) * a.heads + first_head) * (2 + dim);
  const float* q[HEADS];  // past the last head, its again
  UNROLL
  for (int h = 0; h < HEADS; h++) q[h] = a.q + (row * a.heads + first_head + (h < heads ? h : heads - 1)) * dim;
  for (int32_t p = static_cast<int32_t>(thread_index()); p < count; p += split_warps * 32) {
    memory.begin[p] = kv_row(a.kv, a.batch, row, begin + p) * a.kv.width + kv_head * dim;
  }
  barrier();
  split_scores<Kv, HEADS>(a, memory, place, q);
  barrier();
  int32_t mine = static_cast<int32_t>(warp_index());
  bool live = mine < heads;
  if (!live) mine = 0;
  split_weights(memory, static_cast<uint32_t>(count), static_cast<uint32_t>(mine), live, part + mine * (2 + dim));
  barrier();
  split_values<Kv, HEADS>(a, memory, place);
  for (int32_t h = 0; h < heads; h++) {
    for (int32_t i = static_cast<int32_t>(thread_index()); i < dim; i += split_warps * 32) {
      part[h * (2 + dim) + 2 + i] = memory.sum[h * most_dim + i];
    }
  }
}

template <typename Kv>
DEVICE void attend_heads(const AttentionArgs& a, SplitMemory& memory, int64_t row, int32_t begin, int32_t count) {
  if (a.block_heads == 4) {
    attend_split<Kv, 4>(a, memory, row, begin, count);
  } else if (a.block_heads == 2) {
    attend_split<Kv, 2>(a, memory, row, begin, count);
  } else {
    attend_split<Kv, 1>(a, memory, row, begin, count);
  }
}

// Single row `index` of a launch, or -1: there is none.
DEVICE int64_t single_row(const AttentionArgs& a, uint32_t index) {
  int64_t i = a.first_row + static_cast<int64_t>(index);
  if (a.runs.words == nullptr) return i < a.batch.header[0] ? i : -1;
  return i < a.runs.words[1] ? a.runs.words[2 + i] : -1;
}

}  // namespace

// Grid: splits, KV heads times blocks of a group's heads, rows.
KERNEL(attention_split, AttentionArgs, 128) {
  SHARED(SplitMemory, memory);
  dependency_wait();
  launch_dependents();
  int64_t row = single_row(a, block_z());
  if (row < 0) return;
  int32_t begin = static_cast<int32_t>(block_x()) * a.split_positions, left = a.batch.position[row] + 1 - begin;
  if (left <= 0) return;
  int32_t count = left < a.split_positions ? left : a.split_positions;
  if (a.kv.head_dim % 8 != 0) {
    attend_split<KvAny, 1>(a, memory, row, begin, count);
  } else if (a.kv.type == TALARIA_F32) {
    attend_heads<KvF32>(a, memory, row, begin, count);
  } else if (a.kv.type == TALARIA_F16) {
    attend_heads<KvF16>(a, memory, row, begin, count);
  } else {
    attend_heads<KvQ8_0>(a, memory, row, begin, count);
  }
}

// Grid: blocks of 32 columns of a row, rows. Each warp adds every fourth split.
KERNEL(attention_combine, AttentionArgs, 128) {
  SHARED(CombineMemory, memory);
  dependency_wait();
  launch_dependents();
  int64_t row = single_row(a, block_y());
  if (row < 0) return;
  int64_t columns = static_cast<int64_t>(a.heads) * a.kv.head_dim, begin = static_cast<int64_t>(block_x()) * 32;
  int64_t column = begin + lane_index() < columns ? begin + lane_index() : columns - 1;
  uint32_t lane = lane_index(), warp = warp_index();
  int32_t head = static_cast<int32_t>(column) / a.kv.head_dim, dim = static_cast<int32_t>(column) % a.kv.head_dim;
  int32_t splits = a.batch.position[row] / a.split_positions + 1;
  int64_t stride = static_cast<int64_t>(a.heads) * (2 + a.kv.head_dim);  // from split to split
  const float* part = a.partial + block_y() * a.splits * stride + static_cast<int64_t>(head) * (2 + a.kv.head_dim);

  float maximum = part[0];
  for (int32_t s = static_cast<int32_t>(warp); s < splits; s += split_warps) maximum = larger(maximum, part[s * stride]);
  memory.maximum[warp][lane] = maximum;
  barrier();
  for (uint32_t w = 0; w < split_warps; w++) maximum = larger(maximum, memory.maximum[w][lane]);
  float sum = 0, value = 0;
  _Pragma("unroll 4")
  for (int32_t s = static_cast<int32_t>(warp); s < splits; s += split_warps) {
    const float* of = part + s * stride;
    float weight = exp_float(of[0] - maximum);
    sum = fma(weight, of[1], sum);
    value = fma(weight, of[2 + dim], value);
  }
  memory.sum[warp][lane] = sum, memory.value[warp][lane] = value;
  barrier();
  sum = 0, value = 0;
  for (uint32_t w = 0; w < split_warps; w++) sum += memory.sum[w][lane], value += memory.value[w][lane];
  value /= sum;
  bool there = begin + lane < columns, live = warp == 0;
  if (there && live && a.attended != nullptr) a.attended[row * columns + column] = value;
  store_block(a.out, lane_index(), row, begin, there ? value : 0.0f, live);
}
