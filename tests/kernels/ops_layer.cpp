// Cases of all ops in one step: a backend may fuse neighbours, or prepare for the next op what it needs, but the bits must be
// those of each op in a step of its own. And with batch_invariant those of each row alone.
#include <cmath>

#include "ops.hpp"

namespace ops {

namespace {

constexpr int64_t hidden = 256, ffn = 256, expert_count = 4, used = 2, vocabulary = 99, top_k = 5;
constexpr int32_t head_dim = 64, layers = 2, positions = 16;
constexpr int64_t q_width = 256, kv_width = 128;

struct Types {
  int32_t wq, wk, wo, gate, up, down, output;
};

// Ops of a decoder with two layers, in order, each of which can be appended to any step.
class Model {
 public:
  Model(Rig& rig, const Types& types, const Batch& batch, int32_t blocks)
      : x(rig.output("x", batch.rows(), hidden)),
        logits(rig.output("logits", batch.wanted(), vocabulary)),
        top(rig.output("top", batch.wanted(), 3 * top_k + 1, TALARIA_I32)) {
    auto weight = [&](int32_t type, int64_t matrices, int64_t rows, int64_t columns) {
      return rig.weight(random_weight(type, matrices, rows, columns, ++seed_));
    };
    uint64_t keys = rig.kv(TALARIA_F16, layers, blocks, positions, kv_width, "keys");
    uint64_t values = rig.kv(TALARIA_F16, layers, blocks, positions, kv_width, "values");
    uint64_t q = rig.output("q", batch.rows(), q_width).handle,
             attended = rig.output("attended", batch.rows(), q_width).handle;
    uint64_t h = rig.output("h", batch.rows(), hidden).handle, slots = rig.slots(1, used, hidden, {}).handle;
    uint64_t routing = rig.output("routing", batch.rows(), 2 * used, TALARIA_I32).handle;
    uint64_t norm = rig.weight(norm_weight(hidden, 1));
    add(TALARIA_OP_EMBED, talaria_embed_args{.x = x.handle, .table = weight(types.output, 1, vocabulary, hidden)});
    for (int32_t layer = 0; layer < layers; layer++) {
      add(TALARIA_OP_ATTENTION_INPUT, talaria_attention_input_args{.q = q,
                                                                   .x = x.handle,
                                                                   .norm = norm,
                                                                   .wq = weight(types.wq, 1, q_width, hidden),
                                                                   .wk = weight(types.wk, 1, kv_width, hidden),
                                                                   .wv = weight(types.wk, 1, kv_width, hidden),
                                                                   .keys = keys,
                                                                   .values = values,
                                                                   .layer = layer,
                                                                   .head_dim = head_dim,
                                                                   .rope_dims = head_dim,
                                                                   .rope_base = 1e4f,
                                                                   .epsilon = 1e-5f});
      add(TALARIA_OP_ATTENTION, talaria_attention_args{.attended = attended,
                                                       .q = q,
                                                       .keys = keys,
                                                       .values = values,
                                                       .layer = layer,
                                                       .head_dim = head_dim,
                                                       .scale = 0.125f});
      add(TALARIA_OP_ATTENTION_OUTPUT,
          talaria_attention_output_args{
              .x = x.handle, .attended = attended, .wo = weight(types.wo, 1, hidden, q_width)});
      add(TALARIA_OP_ROUTE, talaria_route_args{.routing = routing,
                                               .h = h,
                                               .x = x.handle,
                                               .norm = norm,
                                               .router = weight(TALARIA_F32, 1, expert_count, hidden),
                                               .epsilon = 1e-5f});
      add(TALARIA_OP_EXPERTS, talaria_experts_args{.slots = slots,
                                                   .h = h,
                                                   .routing = routing,
                                                   .gate = weight(types.gate, expert_count, ffn, hidden),
                                                   .up = weight(types.up, expert_count, ffn, hidden),
                                                   .down = weight(types.down, expert_count, hidden, ffn)});
      add(TALARIA_OP_ADD_SLOTS, talaria_add_slots_args{.x = x.handle, .slots = slots});
    }
    add(TALARIA_OP_TOP_LOGITS, talaria_top_logits_args{.top = top.handle,
                                                       .x = x.handle,
                                                       .norm = norm,
                                                       .output = weight(types.output, 1, vocabulary, hidden),
                                                       .logits = logits.handle,
                                                       .k = top_k,
                                                       .epsilon = 1e-5f});
  }

  Buffer &x, &logits, &top;
  std::vector<std::function<void(Rig&)>> ops;

 private:
  template <typename Args>
  void add(int32_t op, Args args) {
    ops.push_back([=](Rig& rig) { rig.append(op, args); });
  }
  uint64_t seed_ = 100;
};

// Every row is at a place of its own in one of several sequences.
Batch some_rows(int64_t rows, int64_t spare) {
  auto tables = static_cast<int32_t>((rows + 1) / 2), n = static_cast<int32_t>(rows);
  Batch batch({n + static_cast<int32_t>(spare), n, tables, 3, 0, 0, 0, 0});
  for (int32_t table = 0; table < tables; table++) {
    for (int32_t column = 0; column < 3; column++) batch.block(table, column, (tables - 1 - table) * 3 + column);
  }
  for (int32_t row = 0; row < n; row++) {
    batch.row(row * 7 % vocabulary, row * 5 % 40 + row % 2, row / 2);
    batch.want(row);
  }
  return batch;
}

struct Result {
  Words x, logits, top;
};

void same(const char* what, const Words& computed, const Words& expected, int64_t columns) {
  for (size_t i = 0; i < expected.size(); i++) {
    if (computed[i] != expected[i])
      wrong("%s: row %zu, word %zu is %08x, expected %08x", what, i / columns, i % columns, computed[i], expected[i]);
  }
}

Result result_of(Rig& rig, const Model& model) {
  rig.check();
  return {Rig::words_of(model.x), Rig::words_of(model.logits), Rig::words_of(model.top)};
}

void fused(Session& session, const Types& types, Mode mode, int64_t rows) {
  Batch batch = some_rows(rows, 2);
  Rig rig(session, mode, batch);
  Model model(rig, types, batch, static_cast<int32_t>(batch.shape.tables * 3));
  rig.restore();
  for (auto& op : model.ops) rig.begin(batch), op(rig), rig.end(), rig.start();
  Result expected = result_of(rig, model);
  rig.restore();
  rig.begin(batch);
  for (auto& op : model.ops) op(rig);
  rig.end();
  for (int run = 0; run < 2; run++) {
    rig.restore();
    rig.start();
    Result computed = result_of(rig, model);
    same("x", computed.x, expected.x, hidden);
    same("logits", computed.logits, expected.logits, vocabulary);
    same("top", computed.top, expected.top, 3 * top_k + 1);
  }
}

// Rows of one batch, each in a sequence of its own, against each alone in a step for one row.
void invariant(Session& session, const Types& types, Mode mode, int64_t rows) {
  Batch batch({static_cast<int32_t>(rows), static_cast<int32_t>(rows), static_cast<int32_t>(rows), 3, 0, 0, 0, 0});
  for (int32_t row = 0; row < rows; row++) {
    for (int32_t column = 0; column < 3; column++) batch.block(row, column, row * 3 + column);
    batch.row(row * 7 % vocabulary, row * 5 % 48, row);
    batch.want(row);
  }
  Rig rig(session, mode, batch);
  Model model(rig, types, batch, static_cast<int32_t>(rows * 3));
  rig.invariant = true;
  rig.restore();
  rig.begin(batch);
  for (auto& op : model.ops) op(rig);
  rig.end();
  rig.start();
  Result together = result_of(rig, model);
  for (int32_t row = 0; row < rows; row++) {
    Batch alone({1, 1, 1, 3, 0, 0, 0, 0});
    for (int32_t column = 0; column < 3; column++) alone.block(0, column, row * 3 + column);
    alone.row(row * 7 % vocabulary, row * 5 % 48, 0);
    alone.want(0);
    rig.restore();
    rig.begin(alone);
    for (auto& op : model.ops) op(rig);
    rig.end();
    rig.start();
    Result one = result_of(rig, model);
    auto first = [&](const Words& words, int64_t columns) { return Words(words.begin(), words.begin() + columns); };
    auto own = [&](const Words& words, int64_t columns) {
      return Words(words.begin() + row * columns, words.begin() + (row + 1) * columns);
    };
    same("x of a row alone", first(one.x, hidden), own(together.x, hidden), hidden);
    same("logits of a row alone", first(one.logits, vocabulary), own(together.logits, vocabulary), vocabulary);
    same("top of a row alone", first(one.top, 3 * top_k + 1), own(together.top, 3 * top_k + 1), 3 * top_k + 1);
  }
}

// A step runs, one that needs more memory comes and goes, and the first runs again.
void hungrier(Session& session, const Types& types, Mode mode) {
  Batch small = some_rows(2, 0), large = some_rows(40, 0);
  Rig first(session, mode, small), second(session, mode, large);
  Model model(first, types, small, static_cast<int32_t>(small.shape.tables * 3));
  for (auto& op : model.ops) op(first);
  first.end(), first.restore(), first.start();
  Result expected = result_of(first, model);
  Model other(second, types, large, static_cast<int32_t>(large.shape.tables * 3));
  for (auto& op : other.ops) op(second);
  second.end(), second.restore(), second.start();
  // If the first step still writes where its memory was, some of these have that place now.
  for (int i = 0; i < 64; i++) first.plain("bystander", TALARIA_I32, {1024}, Words(1024, i), Use::READ);
  first.restore(), first.start();
  Result computed = result_of(first, model);
  same("x", computed.x, expected.x, hidden);
  same("logits", computed.logits, expected.logits, vocabulary);
}

// What was prepared for the next op is old once the tensor has been written again.
void written_between(Session& session, const Types& types, Mode mode) {
  Batch batch = some_rows(3, 2);
  Rig rig(session, mode, batch);
  uint64_t norm = rig.weight(norm_weight(hidden, 1)), x = rig.floats("x", random_rows(3, hidden, 2), hidden).handle;
  uint64_t keys = rig.kv(TALARIA_F16, 1, 6, positions, kv_width, "keys"),
           values = rig.kv(TALARIA_F16, 1, 6, positions, kv_width, "values");
  Floats before = random_rows(3, hidden, 3);
  uint64_t q = rig.floats("q", random_rows(3, q_width, 4), q_width).handle;
  uint64_t sum = rig.floats("sum", before, hidden, Use::ADD).handle;
  Buffer& h = rig.output("h", 3, hidden);
  Buffer& attended = rig.output("attended", 3, q_width);
  Buffer& again = rig.floats("again", before, hidden, Use::ADD);
  Buffer& slots = rig.slots(1, used, hidden, {});
  Buffer& more = rig.slots(1, used, hidden, {});
  uint64_t routing = rig.output("routing", 3, 2 * used, TALARIA_I32).handle;
  uint64_t wo = rig.weight(random_weight(types.wo, 1, hidden, q_width, 5)),
           gate = rig.weight(random_weight(types.gate, expert_count, ffn, hidden, 6));
  uint64_t up = rig.weight(random_weight(types.up, expert_count, ffn, hidden, 7)),
           down = rig.weight(random_weight(types.down, expert_count, hidden, ffn, 8));
  uint64_t router = rig.weight(random_weight(TALARIA_F32, 1, expert_count, hidden, 9));
  // As large as the rows alone: the rows behind them would be set to zero too.
  uint64_t nothing = rig.plain("nothing", TALARIA_F32, {5, hidden}, Words(5 * hidden), Use::READ).handle;
  auto clear = [&](uint64_t target) {
    rig.append(TALARIA_OP_COPY, talaria_copy_args{.target = target, .source = nothing, .row_bytes = hidden * 4});
  };
  rig.append(TALARIA_OP_ATTENTION, talaria_attention_args{.attended = attended.handle,
                                                          .q = q,
                                                          .keys = keys,
                                                          .values = values,
                                                          .layer = 0,
                                                          .head_dim = head_dim,
                                                          .scale = 0.125f});
  rig.append(TALARIA_OP_ATTENTION_OUTPUT,
             talaria_attention_output_args{.x = sum, .attended = attended.handle, .wo = wo});
  clear(attended.handle);
  rig.append(TALARIA_OP_ATTENTION_OUTPUT,
             talaria_attention_output_args{.x = again.handle, .attended = attended.handle, .wo = wo});
  rig.append(
      TALARIA_OP_ROUTE,
      talaria_route_args{.routing = routing, .h = h.handle, .x = x, .norm = norm, .router = router, .epsilon = 1e-5f});
  rig.append(TALARIA_OP_EXPERTS,
             talaria_experts_args{
                 .slots = slots.handle, .h = h.handle, .routing = routing, .gate = gate, .up = up, .down = down});
  clear(h.handle);
  rig.append(TALARIA_OP_EXPERTS,
             talaria_experts_args{
                 .slots = more.handle, .h = h.handle, .routing = routing, .gate = gate, .up = up, .down = down});
  rig.run();
  compare_bits("x += wo 0", Rig::floats_of(again), before, hidden);
  compare("slots of h = 0", Rig::floats_of(more), Values(3 * used * hidden), hidden, 0);
  bool all_zero = true;
  for (float value : Rig::floats_of(slots)) all_zero = all_zero && value == 0;
  if (all_zero) wrong("slots: zero before h was");
}

}  // namespace

void add_layer_cases(CaseList& list) {
  constexpr auto F32 = TALARIA_F32, F16 = TALARIA_F16, BF16 = TALARIA_BF16, Q8_0 = TALARIA_Q8_0, Q4_0 = TALARIA_Q4_0;
  constexpr auto Q4_K = TALARIA_Q4_K, Q5_K = TALARIA_Q5_K, Q6_K = TALARIA_Q6_K;
  const std::pair<const char*, Types> models[] = {
      {"Q4_K_M", {Q4_K, Q8_0, Q5_K, Q4_K, Q4_K, Q6_K, Q6_K}}, {"mixed", {Q5_K, F16, F32, Q4_0, Q8_0, BF16, Q8_0}},
      {"Q8_0", {Q8_0, Q8_0, Q8_0, Q8_0, Q8_0, Q8_0, Q8_0}},   {"F16", {F16, F16, F16, F16, F16, F16, F16}},
      {"BF16", {BF16, BF16, BF16, BF16, BF16, BF16, BF16}},
  };
  for (const auto& [name, types] : models) {
    for (Mode mode : modes) {
      bool first = &types == &models[0].second || (&types == &models[1].second && mode == Mode::INT8);
      for (int64_t rows : {1, 5, 33}) {
        list.add("layers", first && rows == 5,
                 text("%s %s %lld rows, ops together and apart", name, name_of(mode), (long long)rows),
                 [=, types = types](Session& s) { fused(s, types, mode, rows); });
      }
      for (int64_t rows : {5, 20}) {
        list.add("layers", first && rows == 5 && mode == Mode::INT8,
                 text("%s %s %lld rows, together and alone", name, name_of(mode), (long long)rows),
                 [=, types = types](Session& s) { invariant(s, types, mode, rows); });
      }
      list.add("layers", &types == &models[0].second,
               text("%s %s a hungrier step between two runs", name, name_of(mode)),
               [=, types = types](Session& s) { hungrier(s, types, mode); });
      list.add("layers", first, text("%s %s tensors written between ops", name, name_of(mode)),
               [=, types = types](Session& s) { written_between(s, types, mode); });
    }
  }
}

}  // namespace ops
