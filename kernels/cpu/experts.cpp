#include <algorithm>
#include <utility>

#include "matmul.hpp"

namespace talaria::cpu {

namespace {

// Where an expert lies among those held here, or -1. Ids come from device memory: none is trusted.
int32_t local_expert(const talaria_experts_args& a, int32_t id, int64_t held) {
  if (a.map != 0) {
    if (id < 0 || id >= view(a.map).shape[3]) return -1;
    id = ints(a.map)[id];
  }
  return id >= 0 && id < held ? id : -1;
}

// The (row, k) pairs of a batch, sorted by the expert that they chose.
struct Sorted {
  int32_t* pair;    // [pairs], as row * K + k; those of expert e at [begin[e], begin[e + 1])
  int32_t* expert;  // [pairs], of the pair at the same place
  int32_t* begin;   // [held + 1]

  Sorted(const talaria_experts_args& a, int64_t rows, int64_t used, int64_t held, float* scratch)
      : pair(reinterpret_cast<int32_t*>(scratch)), expert(pair + rows * used), begin(expert + rows * used) {
    const int32_t* routing = ints(a.routing);
    auto expert_of = [&](int64_t p) { return local_expert(a, routing[p / used * 2 * used + p % used], held); };
    std::fill_n(begin, held + 1, 0);
    for (int64_t p = 0; p < rows * used; p++) {
      if (int32_t e = expert_of(p); e >= 0) begin[e + 1]++;
    }
    for (int64_t e = 0; e < held; e++) begin[e + 1] += begin[e];
    for (int64_t p = 0; p < rows * used; p++) {
      int32_t e = expert_of(p);
      if (e < 0) continue;
      expert[begin[e]] = e;
      pair[begin[e]++] = static_cast<int32_t>(p);
    }
    // Each beginning has moved on to its end, which is where the next one begins.
    std::copy_backward(begin, begin + held, begin + held + 1);
    begin[0] = 0;
  }

  static int64_t scratch(int64_t pairs, int64_t held) { return 2 * pairs + held + 1; }
  int64_t count(int64_t e) const { return begin[e + 1] - begin[e]; }
};

// The inputs of the chosen pairs in the order of their experts: floats, or int8 in tiles that begin anew with each expert.
struct PairRows {
  const float* floats;
  Int8Rows int8;
  bool rounded;

  // body(input) with the rows of one expert.
  template <typename Body>
  void of(const Sorted& sorted, int64_t expert, Body body) const {
    int64_t first = sorted.begin[expert], count = sorted.count(expert);
    Int8Rows part = int8.part(first, count);
    body(Input{floats + first * int8.columns, rounded ? &part : nullptr, count});
  }

  // Rounds them: source(i) are the floats of the i-th.
  template <typename Source>
  void round(int32_t type, const Sorted& sorted, Pool& pool, Source source) const {
    auto within = [&](int64_t i) { return i - sorted.begin[sorted.expert[i]]; };
    auto tile = [&](int64_t i) {
      int64_t e = sorted.expert[i];
      return int8.part(sorted.begin[e], sorted.count(e)).tile(within(i) / tile_rows * tile_rows);
    };
    round_rows(type, int8.rows, int8.columns, pool, source, tile, [&](int64_t i) { return within(i) % tile_rows; });
  }
};

// Calls body(expert, first, end) for runs of strips of every expert that was chosen, `strips` each.
template <typename Body>
void for_expert_runs(const Sorted& sorted, int64_t held, int64_t strips, int64_t run, Pool& pool, int32_t* active, Body body) {
  int64_t count = 0;
  for (int32_t e = 0; e < held; e++) {
    if (sorted.count(e) > 0) active[count++] = e;
  }
  for_runs(count * strips, run, pool, [&](int64_t first, int64_t end) {
    for (int64_t next; first < end; first = next) {
      next = std::min(end, (first / strips + 1) * strips);
      body(active[first / strips], first % strips, first % strips + next - first);
    }
  });
}

// Strips of the gate that go before the same of the up projection: each is read in long stretches.
constexpr int64_t gate_run = 8;
constexpr int64_t strip_values = tile_rows * strip_rows;

}  // namespace

int64_t experts_scratch(const talaria_experts_args& a, const talaria_batch_shape& shape, const Mode& mode) {
  const talaria_tensor_view &gate = view(a.gate), &down = view(a.down);
  int64_t pairs = shape.rows * view(a.routing).shape[3] / 2, held = gate.shape[1], hidden = gate.shape[3], ffn = gate.shape[2];
  bool floats = !takes_int8(gate.type, mode) || !takes_int8(view(a.up).type, mode);
  return Sorted::scratch(pairs, held) + held + (floats ? product({pairs, hidden}) : 0) + product({pairs, ffn}) +
         2 * Int8Rows::scratch(pairs, hidden) + (takes_int8(down.type, mode) ? Int8Rows::scratch(pairs, ffn) : 0);
}

void experts(const talaria_experts_args& a, const Batch& batch, const Context& context) {
  const talaria_tensor_view &gate = view(a.gate), &up = view(a.up), &down = view(a.down);
  int64_t held = gate.shape[1], ffn = gate.shape[2], hidden = gate.shape[3], used = view(a.routing).shape[3] / 2;
  int64_t pairs = batch.rows * used;
  float *h = floats(a.h), *slots = floats(a.slots);  // the first source: [rows][K][H]
  const float* weights = floats(a.routing);          // behind the K ids of each row

  float* free = context.scratch;
  auto take = [&free](int64_t values) { return std::exchange(free, free + values); };
  Sorted sorted(a, batch.rows, used, held, take(Sorted::scratch(pairs, held)));
  auto* active = reinterpret_cast<int32_t*>(take(held));
  int64_t chosen = sorted.begin[held];
  // A pair whose expert is held elsewhere adds nothing here.
  if (chosen < pairs) std::fill_n(slots, pairs * hidden, 0.0f);

  auto h_of = [&](int64_t i) { return h + sorted.pair[i] / used * hidden; };
  auto gather = [&](int32_t type, float* in) {
    PairRows rows{in, Int8Rows(in, chosen, hidden), takes_int8(type, context.mode)};
    if (rows.rounded) rows.round(type, sorted, context.pool, h_of);
    return rows;
  };
  bool any_floats = !takes_int8(gate.type, context.mode) || !takes_int8(up.type, context.mode);
  float* copied = take(any_floats ? chosen * hidden : 0);
  if (any_floats) {
    context.pool.run(chosen, [&](int64_t i, int32_t) { std::copy_n(h_of(i), hidden, copied + i * hidden); });
  }
  auto input_for = [&](int32_t type) {
    return takes_int8(type, context.mode) ? gather(type, take(Int8Rows::scratch(chosen, hidden))) : gather(type, copied);
  };
  PairRows gate_in = input_for(gate.type);
  PairRows up_in = same_rounding(gate.type, up.type) ? gate_in : input_for(up.type);

  float* gated = take(chosen * ffn);  // [chosen][F], silu(gate h) * (up h)
  for_expert_runs(sorted, held, Matrix(gate).strips(), gate_run, context.pool, active, [&](int64_t expert, int64_t begin, int64_t end) {
    Matrix gate_matrix(gate, expert), up_matrix(up, expert);
    int64_t count = sorted.count(expert);
    for (int64_t first = 0; first < count; first += tile_rows) {
      alignas(64) float g[gate_run][strip_values] = {}, u[gate_run][strip_values] = {};
      int64_t rows = std::min(tile_rows, count - first);
      gate_in.of(sorted, expert, [&](const Input& in) {
        for (int64_t s = begin; s < end; s++) strip_product(gate_matrix, s, in, first, g[s - begin]);
      });
      up_in.of(sorted, expert, [&](const Input& in) {
        for (int64_t s = begin; s < end; s++) strip_product(up_matrix, s, in, first, u[s - begin]);
      });
      for (int64_t s = begin; s < end; s++) {
        simd().silu_multiply(g[s - begin], u[s - begin], rows * strip_rows);
        int64_t columns = std::min(strip_rows, ffn - s * strip_rows);
        float* target = gated + (sorted.begin[expert] + first) * ffn + s * strip_rows;
        for (int64_t r = 0; r < rows; r++) std::copy_n(g[s - begin] + r * strip_rows, columns, target + r * ffn);
      }
    }
  });

  PairRows down_in{gated, Int8Rows(free, chosen, ffn), takes_int8(down.type, context.mode)};
  if (down_in.rounded) down_in.round(down.type, sorted, context.pool, [&](int64_t i) { return gated + i * ffn; });
  for_expert_runs(sorted, held, Matrix(down).strips(), 1, context.pool, active, [&](int64_t expert, int64_t strip, int64_t) {
    int64_t begin = sorted.begin[expert], count = sorted.count(expert), columns = std::min(strip_rows, hidden - strip * strip_rows);
    for (int64_t first = 0; first < count; first += tile_rows) {
      alignas(64) float y[strip_values];
      down_in.of(sorted, expert, [&](const Input& in) { strip_product(Matrix(down, expert), strip, in, first, y); });
      for (int64_t r = 0; r < std::min(tile_rows, count - first); r++) {
        int64_t pair = sorted.pair[begin + first + r];
        float weight = weights[pair / used * 2 * used + used + pair % used];
        float* slot = slots + pair * hidden + strip * strip_rows;
        for (int64_t i = 0; i < columns; i++) slot[i] = weight * y[r * strip_rows + i];
      }
    }
  });
}

}  // namespace talaria::cpu
