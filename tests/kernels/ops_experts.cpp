// Cases of experts. In int8 mode the values between the two products are rounded too, and two correct devices may round a few
// of them to different sides. So beside the whole, whose bound allows for that, the halves are compared strictly: gate and
// up before a down in F32, which sees what is between as it is; and down behind a gate and an up in F32 that make values
// which no device can round in two ways.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ops.hpp"

namespace ops {

namespace {

struct Types {
  int32_t gate, up, down;
};

struct Size {
  int64_t rows, used, experts, hidden, ffn;
  std::vector<int32_t> map;  // empty: all are held, in order

  int64_t held() const { return map.empty() ? experts : 1 + *std::max_element(map.begin(), map.end()); }
};

enum class Part { WHOLE, GATE_UP, DOWN };

// Experts by chance, none twice in a row but where `hostile`: then also ids that do not exist, and one twice.
Words random_routing(const Size& size, bool hostile, uint64_t seed) {
  Dice dice{seed};
  Words routing(size.rows * 2 * size.used);
  for (int64_t row = 0; row < size.rows; row++) {
    int32_t* ids = &routing[row * 2 * size.used];
    for (int64_t k = 0; k < size.used; k++) {
      do {
        ids[k] = static_cast<int32_t>(dice.below(size.experts));
      } while (std::find(ids, ids + k, ids[k]) != ids + k);
      ids[size.used + k] = std::bit_cast<int32_t>(static_cast<float>(dice.uniform(0.05, 1)));
    }
    static const int32_t strange[] = {-1, INT32_MIN, INT32_MAX, 1 << 20};
    if (hostile && row % 2 == 0) ids[0] = row % 4 == 0 ? strange[row / 4 % 4] : static_cast<int32_t>(size.experts);
    if (hostile && row % 2 == 1) ids[0] = ids[size.used - 1];
  }
  return routing;
}

// Row r of the batch is 1 at its own place: that column of gate and up is what its values are made of, silu(4) times what
// is far from where codes part.
void make_codes(oracle::ExpertWeights& weights, Floats& h, const Size& size, oracle::Rounding rounding, uint64_t seed) {
  h.assign(size.rows * size.hidden, 0);
  for (int64_t row = 0; row < size.rows; row++) h[row * size.hidden + row % size.hidden] = 1;
  Floats gate(size.held() * size.ffn * size.hidden, 4), up(gate.size());
  for (int64_t matrix = 0; matrix < size.held(); matrix++) {
    Floats values =
        settled(random_rows(size.hidden, size.ffn, seed + matrix, false), size.ffn, rounding, {weights.down.type});
    for (int64_t i = 0; i < size.hidden * size.ffn; i++) {
      up[(matrix * size.ffn + i % size.ffn) * size.hidden + i / size.ffn] = values[i];
    }
  }
  weights.gate = f32_weight(size.held(), size.ffn, size.hidden, gate);
  weights.up = f32_weight(size.held(), size.ffn, size.hidden, up);
}

double bound_of(const Types& types, Mode mode, Part part) {
  double products = std::max(product_bound(types.gate, mode), product_bound(types.up, mode));
  double down = product_bound(types.down, mode);
  if (part == Part::GATE_UP) return products;
  if (part == Part::DOWN) return down;
  bool rounds = mode == Mode::INT8 && oracle::format(types.down).quantised();
  return rounds ? rounded_bound(std::max(products, down)) : std::max(products, down);
}

void experts(Session& session, Types types, Mode mode, const Size& size, Part part, bool hostile, uint64_t seed) {
  Rig rig(session, mode, Batch::of(size.rows));
  Words routing = random_routing(size, hostile, seed);
  Floats h =
      settled(random_rows(size.rows, size.hidden, seed + 1, false), size.hidden, rig.rounding, {types.gate, types.up});
  oracle::ExpertWeights weights;
  weights.map = size.map;
  weights.down =
      random_weight(part == Part::GATE_UP ? TALARIA_F32 : types.down, size.held(), size.hidden, size.ffn, seed + 2);
  if (part == Part::DOWN) {
    make_codes(weights, h, size, rig.rounding, seed + 3);
  } else {
    weights.gate = random_weight(types.gate, size.held(), size.ffn, size.hidden, seed + 3);
    weights.up = random_weight(types.up, size.held(), size.ffn, size.hidden, seed + 4);
  }
  Values expected = oracle::experts(exact(h), routing, size.used, weights, rig.rounding);

  Buffer& in = rig.floats("h", h, size.hidden);
  Buffer& chosen = rig.ints("routing", routing, 2 * size.used);
  Buffer& slots = rig.slots(1, size.used, size.hidden, {});
  Buffer* map = nullptr;
  if (!size.map.empty())
    map = &rig.plain("map", TALARIA_I32, {static_cast<int64_t>(size.map.size())}, size.map, Use::READ);
  rig.append(TALARIA_OP_EXPERTS, talaria_experts_args{.slots = slots.handle,
                                                      .h = in.handle,
                                                      .routing = chosen.handle,
                                                      .gate = rig.weight(weights.gate, "gate"),
                                                      .up = rig.weight(weights.up, "up"),
                                                      .down = rig.weight(weights.down, "down"),
                                                      .map = map ? map->handle : 0});
  rig.run();
  // e^x magnifies the last bit of a large x, which has no company where the experts have few values.
  double least = size.ffn < 31 ? float_bound : 0;
  compare("slots", Rig::floats_of(slots), expected, size.hidden, std::max(least, bound_of(types, mode, part)));
}

using ops::name_of;
const char* name_of(Part part) { return part == Part::WHOLE ? "" : part == Part::GATE_UP ? ", gate and up" : ", down"; }

std::string name_of(const Types& types) {
  if (types.gate == types.up && types.up == types.down) return name_of(types.gate);
  return text("%s-%s-%s", name_of(types.gate), name_of(types.up), name_of(types.down));
}

void add(CaseList& list, Types types, Mode mode, const Size& size, bool hostile, bool brief) {
  bool rounds = mode == Mode::INT8 && oracle::format(types.down).quantised();
  for (Part part : {Part::WHOLE, Part::GATE_UP, Part::DOWN}) {
    if (part != Part::WHOLE && (!rounds || hostile)) continue;
    list.add(
        "experts", brief && part != Part::GATE_UP,
        text("%s %s %lld rows of %lld, %lld of %lld experts of %lld, %lld held%s%s", name_of(types).c_str(),
             name_of(mode), (long long)size.rows, (long long)size.hidden, (long long)size.used, (long long)size.experts,
             (long long)size.ffn, (long long)size.held(), hostile ? ", hostile ids" : "", name_of(part)),
        [=](Session& s) { experts(s, types, mode, size, part, hostile, size.rows * 7 + size.ffn); });
  }
}

}  // namespace

void add_expert_cases(CaseList& list) {
  std::vector<Types> all;
  for (const oracle::Format& format : oracle::formats) all.push_back({format.type, format.type, format.type});
  size_t plain = all.size();
  all.push_back({TALARIA_Q4_K, TALARIA_Q4_K, TALARIA_Q6_K});
  all.push_back({TALARIA_Q5_K, TALARIA_Q8_0, TALARIA_Q4_0});
  all.push_back({TALARIA_Q4_K, TALARIA_Q4_K, TALARIA_F16});
  all.push_back({TALARIA_F32, TALARIA_BF16, TALARIA_Q8_0});
  for (size_t i = 0; i < all.size(); i++) {
    const Types& types = all[i];
    int32_t wide =
        oracle::format(types.gate).block_values >= oracle::format(types.up).block_values ? types.gate : types.up;
    // Every expert has three weights: few blocks will do.
    auto few = [](int32_t type, int64_t size) {
      int64_t values = oracle::format(type).block_values;
      // Values that are rounded to 16 bits between the products need some company for their errors to average out.
      if (values == 1) return type == TALARIA_F32 ? size : std::max<int64_t>(size, 31);
      return values * (size % (values == 32 ? 8 : 3) + 1);
    };
    auto hidden = [&](int64_t size) { return few(wide, size); };
    auto ffn = [&](int64_t size) { return few(types.down, size); };
    for (Mode mode : modes) {
      bool mixed = i >= plain;
      add(list, types, mode, {1, 2, 8, hidden(63), ffn(65), {}}, false, true);
      add(list, types, mode, {3, 2, 5, hidden(31), ffn(31), {1, -1, 0, -1, 2}}, false, !mixed);
      add(list, types, mode, {7, 3, 5, hidden(3), ffn(33), {-1, 0, -1, -1, 1}}, true, !mixed && mode == Mode::INT8);
      add(list, types, mode, {6, 2, 4, hidden(1), ffn(2), {}}, true, !mixed && mode == Mode::INT8);
      add(list, types, mode, {33, 2, 8, hidden(33), ffn(3), {}}, false, mode == Mode::INT8 && !mixed);
      if (mixed) continue;
      add(list, types, mode, {2, 1, 1, hidden(127), ffn(255), {}}, false, false);
      add(list, types, mode, {65, 4, 9, hidden(2), ffn(32), {}}, false, false);
      add(list, types, mode, {127, 2, 8, hidden(32), ffn(1), {3, -1, 2, 1, -1, 0, -1, 4}}, false, false);
    }
  }
  Types k = {TALARIA_Q4_K, TALARIA_Q4_K, TALARIA_Q6_K};
  for (Mode mode : modes) {
    add(list, k, mode, {1, 2, 8, 512, 1792, {}}, false, false);
    add(list, k, mode, {257, 2, 8, 256, 256, {}}, false, false);
    add(list, {TALARIA_Q8_0, TALARIA_Q8_0, TALARIA_Q8_0}, mode, {4, 6, 64, 64, 96, {}}, false, false);
  }
}

}  // namespace ops
