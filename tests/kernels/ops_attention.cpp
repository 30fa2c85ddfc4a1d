// Cases of attention_input and attention.
//
// No op but attention reads a cache. What attention_input puts there is read with q = 0, which gives the mean of the values
// that a row sees, and with a small q. For attention itself the cache is filled by attention_input with what no device
// computes differently: rows of 1 and -1, whose norm is 1, times weights that are multiples of 1/8.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops.hpp"

namespace ops {

namespace {

struct Heads {
  int64_t heads, kv_heads, dim;
  int64_t width() const { return heads * dim; }
  int64_t kv_width() const { return kv_heads * dim; }
};

// --- caches -------------------------------------------------------------------------------------------------------------

// A cache on the device and the oracle's.
struct Caches {
  oracle::Cache keys, values;
  uint64_t key_handle, value_handle;
  int64_t head_dim;

  Caches(Rig& rig, int32_t type, int64_t layers, int64_t blocks, int64_t positions, const Heads& heads)
      : keys(type, layers, blocks, positions, heads.kv_width()),
        values(keys),
        key_handle(rig.kv(type, layers, blocks, positions, heads.kv_width(), "keys")),
        value_handle(rig.kv(type, layers, blocks, positions, heads.kv_width(), "values")),
        head_dim(heads.dim) {}
};

struct Projections {
  Weight norm, wq, wk, wv;
  int32_t rope_dims;
  float rope_base, epsilon;
};

talaria_attention_input_args input_args(Rig& rig, Caches& kv, const Projections& p, int32_t layer) {
  return {.norm = rig.weight(p.norm, "norm"),
          .wq = rig.weight(p.wq, "wq"),
          .wk = rig.weight(p.wk, "wk"),
          .wv = rig.weight(p.wv, "wv"),
          .keys = kv.key_handle,
          .values = kv.value_handle,
          .layer = layer,
          .head_dim = static_cast<int32_t>(kv.head_dim),
          .rope_dims = p.rope_dims,
          .rope_base = p.rope_base,
          .epsilon = p.epsilon};
}

// Computes q and appends to both caches; returns the oracle's q and the device's.
struct Queries {
  Values expected;
  Floats computed;
};
Queries append(Rig& rig, Caches& kv, const Projections& p, int32_t layer, const Batch& batch, const Floats& x,
               bool replay) {
  talaria_attention_input_args args = input_args(rig, kv, p, layer);
  Values n = oracle::rms_norm(exact(x), p.norm, p.epsilon);
  Values q = oracle::product(p.wq, 0, n, rig.rounding), k = oracle::product(p.wk, 0, n, rig.rounding);
  oracle::rope(q, p.wq.rows, args, batch.view());
  oracle::rope(k, p.wk.rows, args, batch.view());
  kv.keys.append(k, layer, batch.view());
  kv.values.append(oracle::product(p.wv, 0, n, rig.rounding), layer, batch.view());

  rig.begin(batch);
  Buffer& target = rig.output("q", batch.rows(), p.wq.rows);
  args.x = rig.floats("x", x, p.norm.columns).handle, args.q = target.handle;
  rig.append(TALARIA_OP_ATTENTION_INPUT, args);
  replay ? rig.run() : rig.run_once();
  return {q, Rig::floats_of(target)};
}

void attend(const char* what, Rig& rig, const Caches& kv, int32_t layer, const Batch& batch, const Floats& q,
            int64_t width, double bound) {
  double scale = 1 / std::sqrt(static_cast<double>(kv.head_dim));
  auto given = static_cast<float>(scale);
  Values expected = oracle::attend(exact(q), width, kv.head_dim, given, kv.keys, kv.values, layer, batch.view());
  rig.begin(batch);
  Buffer& attended = rig.output("attended", batch.rows(), width);
  Buffer& in = rig.floats("q", q, width);
  rig.append(TALARIA_OP_ATTENTION, talaria_attention_args{.attended = attended.handle,
                                                          .q = in.handle,
                                                          .keys = kv.key_handle,
                                                          .values = kv.value_handle,
                                                          .layer = layer,
                                                          .head_dim = static_cast<int32_t>(kv.head_dim),
                                                          .scale = given});
  rig.run();
  compare(what, Rig::floats_of(attended), expected, width, bound);
}

// --- attention_input ----------------------------------------------------------------------------------------------------

struct InputCase {
  int32_t wq, wk, wv, kv;
  Mode mode;
  Heads heads;
  int64_t rows, hidden, positions;  // positions per block
  int32_t rope_dims;
};

// Every row has a block of its own, at positions far apart; three sequences, which take the blocks in falling order.
Batch far_apart(const InputCase& c, std::vector<int32_t>& place) {
  static const int32_t special[] = {0, 4095, 32767, 1, 31, 32, 33};
  Batch batch({static_cast<int32_t>(c.rows + 3), 0, 3, static_cast<int32_t>(32768 / c.positions + 2), 0, 0, 0, 0});
  for (int32_t table = 0; table < 3; table++) {  // what is read by nobody must yet be there
    for (int32_t column = 0; column < batch.shape.blocks; column++) batch.block(table, column, 0);
  }
  for (int32_t row = 0; row < c.rows; row++) {
    auto step = static_cast<int32_t>(c.positions) * 3 + 1;
    int32_t position = c.rows == 1 ? 32767 : row < 7 ? special[row] : step * row % 32768;
    // Rows of a sequence may not share a column of its table.
    int32_t table = row % 3, column = static_cast<int32_t>(position / c.positions);
    while (batch.words[batch.at.block + table * batch.shape.blocks + column] != 0) {
      column = (column + 1) % (batch.shape.blocks - 1);
      position = static_cast<int32_t>(column * c.positions + position % c.positions);
    }
    batch.block(table, column, static_cast<int32_t>(c.rows - row));
    batch.row(0, position, table);
    place.push_back(position % static_cast<int32_t>(c.positions));
  }
  return batch;
}

// Each row's block as the beginning of a sequence, seen up to the row's place, one before and one behind, and block 0.
Batch each_block(const InputCase& c, const std::vector<int32_t>& place) {
  auto rows = static_cast<int32_t>(c.rows);
  Batch batch({3 * rows + 4, 0, rows + 1, 1, 0, 0, 0, 0});
  for (int32_t row = 0; row < rows; row++) {
    batch.block(row, 0, rows - row);
    for (int32_t at : {place[row] - 1, place[row], place[row] + 1}) {
      if (at >= 0 && at < c.positions) batch.row(0, at, row);
    }
  }
  batch.block(rows, 0, 0);
  batch.row(0, static_cast<int32_t>(c.positions) - 1, rows);
  return batch;
}

double cache_bound(const InputCase& c) {
  double kept = std::max(product_bound(c.wk, c.mode), product_bound(c.wv, c.mode));
  return std::max(attention_bound, c.kv == TALARIA_Q8_0 ? rounded_bound(kept) : kept);
}

void attention_input(Session& session, const InputCase& c, uint64_t seed) {
  std::vector<int32_t> place;
  Batch batch = far_apart(c, place);
  Rig rig(session, c.mode, batch);
  constexpr int32_t layer = 1, layers = 3;
  Projections p{norm_weight(c.hidden, seed),
                random_weight(c.wq, 1, c.heads.width(), c.hidden, seed + 1),
                random_weight(c.wk, 1, c.heads.kv_width(), c.hidden, seed + 2),
                random_weight(c.wv, 1, c.heads.kv_width(), c.hidden, seed + 3),
                c.rope_dims,
                1e6f,
                1e-5f};
  Floats x = settled(random_rows(c.rows, c.hidden, seed + 4), p.norm, p.epsilon, rig.rounding, {c.wq, c.wk, c.wv});
  Caches kv(rig, c.kv, layers, c.rows + 1, c.positions, c.heads);
  Queries q = append(rig, kv, p, layer, batch, x, true);
  compare("q", q.computed, q.expected, p.wq.rows, product_bound(c.wq, c.mode));

  Batch blocks = each_block(c, place);
  Floats nothing(blocks.rows() * c.heads.width()), small = random_rows(blocks.rows(), c.heads.width(), seed + 5);
  for (float& value : small) value *= 1.0f / 256;
  for (int32_t other : {0, 2}) attend("values of another layer", rig, kv, other, blocks, nothing, c.heads.width(), 0);
  attend("values in the cache", rig, kv, layer, blocks, nothing, c.heads.width(), cache_bound(c));
  attend("keys in the cache", rig, kv, layer, blocks, small, c.heads.width(), cache_bound(c));
}

// --- attention ----------------------------------------------------------------------------------------------------------

struct AttentionCase {
  int32_t kv;
  Mode mode;
  Heads heads;
  int64_t positions;             // per block
  std::vector<int32_t> lengths;  // of the sequences
  bool large;                    // scores far apart, so that the running maximum moves
  // Rows of each sequence: 0: the first position, the middle, and both sides of the last, in falling order; else so many
  // positions one after the other up to the last one, as of a prompt.
  std::vector<int32_t> runs = {};
};

constexpr int64_t fill_hidden = 32;

Floats multiples(int64_t count, int64_t most, float unit, uint64_t seed) {
  Dice dice{seed};
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>((dice.below(2) ? 1 : -1) * (dice.below(most) + 1)) * unit;
  return values;
}

// Room for rows of all sequences, whose blocks lie out of order and mixed with those of others.
Batch scattered(const AttentionCase& c, int64_t rows, uint64_t seed) {
  std::vector<int32_t> ids;
  int64_t columns = 0;
  for (int32_t length : c.lengths) {
    int64_t own = (length + c.positions - 1) / c.positions;
    columns = std::max(columns, own);
    while (own-- > 0) ids.push_back(static_cast<int32_t>(ids.size()));
  }
  Dice dice{seed};
  for (size_t i = ids.size(); i > 1; i--) std::swap(ids[i - 1], ids[dice.below(static_cast<int64_t>(i))]);
  Batch batch({static_cast<int32_t>(rows + 3), 0, static_cast<int32_t>(c.lengths.size()) + 1,
               static_cast<int32_t>(columns) + 2, 0, 0, 0, 0});
  size_t next = 0;
  for (int32_t sequence = 0; sequence < static_cast<int32_t>(c.lengths.size()); sequence++) {
    for (int32_t column = 0; column * c.positions < c.lengths[sequence]; column++)
      batch.block(sequence, column, ids[next++]);
  }
  return batch;
}

Batch query_rows(const AttentionCase& c, uint64_t seed) {
  int64_t rows = 0;
  for (size_t i = 0; i < c.lengths.size(); i++) rows += c.runs.empty() || c.runs[i] == 0 ? 4 : c.runs[i];
  Batch batch = scattered(c, rows, seed);
  for (int32_t sequence = static_cast<int32_t>(c.lengths.size()) - 1; sequence >= 0; sequence--) {
    int32_t last = c.lengths[sequence] - 1, run = c.runs.empty() ? 0 : c.runs[sequence];
    for (int32_t position = last - run + 1; position <= last; position++) batch.row(0, position, sequence);
    if (run > 0) continue;
    for (int32_t position : {last, std::max(0, last - 1), last / 2, 0}) batch.row(0, position, sequence);
  }
  return batch;
}

void attention(Session& session, const AttentionCase& c, uint64_t seed) {
  int64_t all = std::accumulate(c.lengths.begin(), c.lengths.end(), int64_t{0}), blocks = 0;
  for (int32_t length : c.lengths) blocks += (length + c.positions - 1) / c.positions;
  Batch fill = scattered(c, all, seed);
  for (int32_t sequence = 0; sequence < static_cast<int32_t>(c.lengths.size()); sequence++) {
    for (int32_t position = 0; position < c.lengths[sequence]; position++) fill.row(0, position, sequence);
  }
  Rig rig(session, c.mode, fill);
  Projections p{
      f32_weight(1, 1, fill_hidden, Floats(fill_hidden, 1)),
      f32_weight(1, c.heads.dim, fill_hidden,
                 multiples(c.heads.dim * fill_hidden, 4, 0.125f, seed + 3)),  // one head: not used
      f32_weight(1, c.heads.kv_width(), fill_hidden, multiples(c.heads.kv_width() * fill_hidden, 4, 0.125f, seed + 4)),
      f32_weight(1, c.heads.kv_width(), fill_hidden, multiples(c.heads.kv_width() * fill_hidden, 4, 0.125f, seed + 5)),
      2,
      1e6f,
      1e-12f};  // RoPE of 2: of a head's pairs the first alone is turned
  Caches kv(rig, c.kv, 2, blocks, c.positions, c.heads);
  append(rig, kv, p, 1, fill, multiples(all * fill_hidden, 1, 1, seed + 2), false);

  Batch batch = query_rows(c, seed);
  Floats q = random_rows(batch.rows(), c.heads.width(), seed + 1);
  if (!c.large) {
    for (float& value : q) value *= std::fabs(value) > 20 ? 0.1f : 0.5f;
  }
  attend("attended", rig, kv, 1, batch, q, c.heads.width(), attention_bound);
}

const char* kv_name(int32_t type) {
  return type == TALARIA_F32 ? "KV-F32" : type == TALARIA_F16 ? "KV-F16" : "KV-Q8_0";
}

}  // namespace

void add_attention_cases(CaseList& list) {
  auto input = [&](const InputCase& c, bool brief) {
    list.add("attention_input", brief,
             text("%s%s%s %s %s %lld rows of %lld, %lld/%lld heads of %lld, RoPE %d, blocks of %lld", name_of(c.wq),
                  c.wk == c.wq ? "" : "-", c.wk == c.wq ? "" : name_of(c.wk), name_of(c.mode), kv_name(c.kv),
                  (long long)c.rows, (long long)c.hidden, (long long)c.heads.heads, (long long)c.heads.kv_heads,
                  (long long)c.heads.dim, c.rope_dims, (long long)c.positions),
             [=](Session& s) { attention_input(s, c, c.rows * 13 + c.hidden); });
  };
  for (const oracle::Format& format : oracle::formats) {
    for (Mode mode : modes) {
      int32_t t = format.type;
      bool first = mode == Mode::INT8;
      input({t, t, t, TALARIA_F16, mode, {4, 1, 64}, 1, columns_of(t, 256), 32, 64}, true);
      input({t, t, t, first ? TALARIA_Q8_0 : TALARIA_F32, mode, {2, 2, 128}, 3, columns_of(t, 33), 16, 128}, true);
      input({t, t, t, TALARIA_F16, mode, {8, 2, 64}, 7, columns_of(t, 31), 32, 32}, first);
      input({t, t, t, first ? TALARIA_F32 : TALARIA_Q8_0, mode, {4, 2, 64}, 33, columns_of(t, 65), 32, 64},
            (t == TALARIA_Q4_K || t == TALARIA_F16) && first);
      input({t, t, t, TALARIA_F16, mode, {3, 3, 32}, 65, columns_of(t, 2), 16, 2}, false);
      input({t, t, t, TALARIA_Q8_0, mode, {2, 1, 96}, 5, columns_of(t, 63), 64, 96}, false);
    }
  }
  for (int32_t kv : {TALARIA_F16, TALARIA_Q8_0}) {
    input({TALARIA_Q4_K, TALARIA_Q8_0, TALARIA_Q6_K, kv, Mode::INT8, {8, 2, 128}, 4, 1024, 32, 128}, kv == TALARIA_F16);
    input({TALARIA_Q5_K, TALARIA_F16, TALARIA_F32, kv, Mode::INT8, {4, 2, 64}, 9, 512, 32, 64}, false);
    input({TALARIA_Q4_K, TALARIA_Q8_0, TALARIA_Q6_K, kv, Mode::HALF, {4, 2, 64}, 257, 256, 32, 64}, false);
  }
  input({TALARIA_F32, TALARIA_F32, TALARIA_F32, TALARIA_F16, Mode::HALF, {2, 1, 6}, 31, 33, 5, 4}, false);

  auto attended = [&](const AttentionCase& c, bool brief) {
    std::string lengths;
    for (int32_t length : c.lengths) lengths += text(lengths.empty() ? "%d" : ",%d", length);
    for (size_t i = 0; i < c.runs.size(); i++) lengths += text(i == 0 ? ", runs of %d" : ",%d", c.runs[i]);
    list.add("attention", brief,
             text("%s %s %lld/%lld heads of %lld, lengths %s, blocks of %lld%s", kv_name(c.kv), name_of(c.mode),
                  (long long)c.heads.heads, (long long)c.heads.kv_heads, (long long)c.heads.dim, lengths.c_str(),
                  (long long)c.positions, c.large ? ", large scores" : ""),
             [=](Session& s) { attention(s, c, c.heads.width() + c.lengths.size()); });
  };
  for (int32_t kv : {TALARIA_F32, TALARIA_F16, TALARIA_Q8_0}) {
    for (const Heads& heads : {Heads{4, 4, 64}, Heads{8, 2, 64}, Heads{4, 1, 128}, Heads{7, 1, 32}}) {
      bool some = heads.dim == 128 || heads.kv_heads == 2;
      attended({kv, Mode::INT8, heads, 32, {1}, false}, some);
      attended({kv, Mode::HALF, heads, 32, {2, 64, 97}, false}, some);
      attended({kv, Mode::INT8, heads, 16, {33, 70, 5, 31, 1, 32}, true}, false);
      attended({kv, Mode::INT8, heads, 32, {300}, true}, kv == (heads.dim == 128 ? TALARIA_Q8_0 : TALARIA_F16) && some);
      attended({kv, Mode::HALF, heads, 64, {1025, 255}, false}, false);
    }
    bool quick = kv == TALARIA_F16;
    attended({kv, Mode::INT8, {8, 2, 64}, 32, {40, 70}, false, {33, 0}}, true);
    attended({kv, Mode::HALF, {4, 1, 128}, 32, {67, 33, 5}, true, {65, 33, 0}}, quick);
    attended({kv, Mode::INT8, {3, 3, 96}, 16, {31, 1, 64, 2}, true, {31, 1, 9, 2}}, quick);
    attended({kv, Mode::INT8, {7, 1, 32}, 32, {255, 257}, false, {127, 3}}, false);
    attended({kv, Mode::HALF, {6, 3, 64}, 7, {300}, true, {257}}, false);
    attended({kv, Mode::INT8, {2, 1, 256}, 32, {40}, false, {32}}, false);
    attended({kv, Mode::INT8, {8, 2, 128}, 32, {1000, 64, 65}, true, {63, 64, 0}}, false);
    attended({kv, Mode::INT8, {8, 8, 32}, 1, {9, 3}, false}, false);
    attended({kv, Mode::INT8, {2, 1, 128}, 32, {5000, 129}, false}, false);
    attended({kv, Mode::INT8, {12, 4, 96}, 32, {65, 127}, true}, false);
    attended({kv, Mode::INT8, {2, 1, 256}, 32, {63}, false}, false);
  }
  attended({TALARIA_F16, Mode::HALF, {6, 2, 6}, 7, {31, 15}, false}, false);
}

}  // namespace ops
