#include "compose.hpp"

#include <algorithm>
#include <cmath>

#include "../../kernels/gpu/weights.h"
#include "../include/batch_layout.hpp"
#include "attention.hpp"
#include "matmul.hpp"

namespace talaria::gpu {

uint8_t* Scratch::reserve(int64_t bytes) {
  int64_t before = memory_.bytes();
  if (before >= bytes && before > 0) return memory_.data();
  memory_ = Memory();  // first, as both may not fit
  generation_++;
  const char* what = "scratch memory of a step";
  try {
    memory_ = Memory(runtime_, std::max<int64_t>(bytes, 256), what);
  } catch (const Fault&) {
    if (before > 0) memory_ = Memory(runtime_, before, what);  // the steps that there are can go on
    throw;
  }
  return memory_.data();
}

const uint64_t* Scratch::frequency(int32_t dims, float base) {
  auto found = frequencies_.find({dims, base});
  if (found == frequencies_.end()) {
    std::vector<uint64_t> values(static_cast<size_t>(dims / 2));
    for (int32_t i = 0; i < dims; i += 2) {
      double turns = std::pow(static_cast<double>(base), -static_cast<double>(i) / dims) / 6.283185307179586;
      values[static_cast<size_t>(i / 2)] = static_cast<uint64_t>(std::ldexp(turns - std::floor(turns), 64));
    }
    int64_t bytes = static_cast<int64_t>(values.size() * sizeof(uint64_t));
    Memory memory(runtime_, bytes, "frequencies of RoPE");
    runtime_.upload(memory.data(), values.data(), bytes);
    found = frequencies_.emplace(std::pair{dims, base}, std::move(memory)).first;
  }
  return reinterpret_cast<const uint64_t*>(found->second.data());
}

namespace {

uint32_t unsigned_of(int64_t value) { return static_cast<uint32_t>(value); }
int64_t parts(int64_t count, int64_t size) { return (count + size - 1) / size; }

BatchArg batch_arg(const talaria_batch_shape& shape, const int32_t* words) {
  BatchLayout at(shape);
  BatchArg batch{};
  batch.header = words;
  batch.token = words + at.token, batch.position = words + at.position, batch.table = words + at.table;
  batch.wanted_row = words + at.wanted_row, batch.target = words + at.target;
  batch.adjust_begin = words + at.adjust_begin, batch.adjust_token = words + at.adjust_token;
  batch.adjust_penalty = words + at.adjust_penalty, batch.adjust_add = words + at.adjust_add;
  batch.block = words + at.block, batch.mask = reinterpret_cast<const uint32_t*>(words + at.mask);
  batch.blocks = shape.blocks, batch.targets = shape.targets, batch.mask_words = shape.mask_words;
  return batch;
}

// The same for what concerns the wanted rows from `first` on.
BatchArg from_wanted(BatchArg batch, int32_t first) {
  batch.first_wanted = first;
  batch.wanted_row += first;
  batch.target += static_cast<int64_t>(first) * batch.targets;
  batch.adjust_begin += first;
  batch.mask += static_cast<int64_t>(first) * batch.mask_words;
  return batch;
}

bool quantised(int32_t type) { return type != TALARIA_F32 && type != TALARIA_F16 && type != TALARIA_BF16; }

Kernel of_type(int32_t type, bool int8, Kernel first_int8, Kernel first_half, int step) {
  static constexpr int32_t quantised_types[] = {TALARIA_Q4_0, TALARIA_Q8_0, TALARIA_Q4_K, TALARIA_Q5_K, TALARIA_Q6_K};
  static constexpr int32_t all_types[] = {TALARIA_Q4_0, TALARIA_Q8_0, TALARIA_Q4_K, TALARIA_Q5_K,
                                          TALARIA_Q6_K, TALARIA_F32,  TALARIA_F16,  TALARIA_BF16};
  auto at = [&](const int32_t* begin, const int32_t* end, Kernel first) {
    return static_cast<Kernel>(static_cast<int>(first) + step * static_cast<int>(std::find(begin, end, type) - begin));
  };
  if (int8 && quantised(type)) return at(std::begin(quantised_types), std::end(quantised_types), first_int8);
  return at(std::begin(all_types), std::end(all_types), first_half);
}

// kernels.def lists product m1, m4, gate_up m1, m4 for each format.
Kernel product_kernel(int32_t type, bool int8, bool single) {
  return single ? of_type(type, int8, Kernel::product_q4_0_int8_m1, Kernel::product_q4_0_half_m1, 4)
                : of_type(type, int8, Kernel::product_q4_0_int8_m4, Kernel::product_q4_0_half_m4, 4);
}
Kernel gate_up_kernel(int32_t type, bool int8, bool single) {
  return single ? of_type(type, int8, Kernel::gate_up_q4_0_int8_m1, Kernel::gate_up_q4_0_half_m1, 4)
                : of_type(type, int8, Kernel::gate_up_q4_0_int8_m4, Kernel::gate_up_q4_0_half_m4, 4);
}

// Threads of a block of gate_up_*_m1. All blocks take the same time, so that a device works in waves of as many as it runs at
// once: with the size that leaves most warps for the last wave, memory is busy to the end.
uint32_t gate_up_threads(Runtime& runtime, Kernel kernel, int64_t blocks) {
  uint32_t best = 256;
  int64_t most = 0;
  for (uint32_t threads : {256u, 128u, 64u}) {
    int64_t at_once = runtime.resident_blocks(kernel, threads);
    if (at_once <= 0) return 256;
    int64_t warps = ((blocks - 1) % at_once + 1) * threads / 32;
    if (warps > most) most = warps, best = threads;
  }
  return best;
}

constexpr int32_t vector_rows = 4;   // of activations that a vector kernel takes at once
constexpr int32_t wanted_chunk = 64;  // wanted rows whose logits are kept at once

}  // namespace

Composer::Composer(const talaria_batch_shape& shape, Mode mode, Runtime& runtime, Scratch& scratch, const int32_t* batch_words,
                   HostPages& pages, const MeetingPlace& place)
    : shape_(shape),
      mode_(mode),
      runtime_(runtime),
      scratch_(scratch),
      batch_(batch_arg(shape, batch_words)),
      exchanges_(runtime, pages, place, batch_words, shape.rows) {}

int64_t Composer::scratch_bytes() const {
  int64_t sum = 0;
  for (int64_t bytes : region_bytes_) sum += bytes;
  return sum;
}

void Composer::place(uint8_t* memory) {
  for (int i = 0; i < static_cast<int>(Region::count); i++) {
    region_at_[i] = memory;
    memory += region_bytes_[i];
  }
  launches_.clear();
  forget();
  pending_slots_ = nullptr;
}

template <typename Value>
Value* Composer::region(Region which, int64_t count) {
  int i = static_cast<int>(which);
  region_bytes_[i] = std::max(region_bytes_[i], talaria_round_up(count * static_cast<int64_t>(sizeof(Value)), 256));
  return reinterpret_cast<Value*>(region_at_[i]);
}

// Rows in scratch memory; `values` is the first of three regions.
RowsArg Composer::rows(Region values, int64_t count, int64_t columns, bool as_values, bool as_codes) {
  auto next = [&](int by) { return static_cast<Region>(static_cast<int>(values) + by); };
  RowsArg rows{};
  rows.stride = talaria_round_up(columns, 32);
  if (count * rows.stride > UINT32_MAX) {  // kernels count a row's values from those of the first in 32 bits
    throw Fault{TALARIA_UNSUPPORTED, std::to_string(count) + " rows of " + std::to_string(columns) +
                                         " activations are more than a GPU step takes: fewer tokens at once would fit"};
  }
  if (as_values) rows.values = region<float>(values, count * rows.stride);
  if (as_codes) {
    rows.codes = region<int8_t>(next(1), count * rows.stride);
    rows.scales = region<BlockScale>(next(2), count * rows.stride / 32);
  }
  return rows;
}

// Every kernel waits for what is before it as a whole, so each may begin while that ends.
void Composer::push(const Launch& launch) {
  launches_.push_back(launch);
  launches_.back().dependent = true;
}

bool Composer::takes_codes(int32_t type) const { return mode_.int8 && quantised(type); }

namespace {

bool meets_others(int32_t op) { return op == TALARIA_OP_COPY || op == TALARIA_OP_SIGNAL || op == TALARIA_OP_WAIT; }

}  // namespace

bool Composer::on_host(const Node& node) const {
  return (meets_others(node.op) && !exchanges_.takes(node)) ||
         (node.op == TALARIA_OP_ZERO && view(node.as<talaria_zero_args>().target).host != nullptr);
}

namespace {

// The tensor of floats that an op writes.
talaria_tensor written_by(const Node& node) {
  switch (node.op) {
    case TALARIA_OP_EMBED: return node.as<talaria_embed_args>().x;
    case TALARIA_OP_ATTENTION_INPUT: return node.as<talaria_attention_input_args>().q;
    case TALARIA_OP_ATTENTION: return node.as<talaria_attention_args>().attended;
    case TALARIA_OP_ATTENTION_OUTPUT: return node.as<talaria_attention_output_args>().x;
    case TALARIA_OP_ROUTE: return node.as<talaria_route_args>().h;
    case TALARIA_OP_EXPERTS: return node.as<talaria_experts_args>().slots;
    case TALARIA_OP_ADD_SLOTS: return node.as<talaria_add_slots_args>().x;
    case TALARIA_OP_TOP_LOGITS: return node.as<talaria_top_logits_args>().logits;
    case TALARIA_OP_ZERO: return node.as<talaria_zero_args>().target;
    case TALARIA_OP_COPY: return node.as<talaria_copy_args>().target;
    default: return 0;
  }
}

}  // namespace

void Composer::add(const Node& node, const Node* next) {
  bool takes_slots = node.op == TALARIA_OP_ATTENTION_INPUT && pending_slots_ != nullptr &&
                     node.as<talaria_attention_input_args>().x == pending_slots_->x;
  if (!takes_slots) flush_slots();
  for (Prepared* prepared : {&attended_, &h_}) {
    if (prepared->tensor == written_by(node)) *prepared = Prepared{};
  }
  if (meets_others(node.op)) return exchanges_.add(node, launches_);
  exchanges_.flush(launches_);
  switch (node.op) {
    case TALARIA_OP_EMBED: return embed(node.as<talaria_embed_args>());
    case TALARIA_OP_ATTENTION_INPUT: return attention_input(node.as<talaria_attention_input_args>());
    case TALARIA_OP_ATTENTION: return attention(node.as<talaria_attention_args>(), next);
    case TALARIA_OP_ATTENTION_OUTPUT: return attention_output(node.as<talaria_attention_output_args>());
    case TALARIA_OP_ROUTE: return route(node.as<talaria_route_args>(), next);
    case TALARIA_OP_EXPERTS: return experts(node.as<talaria_experts_args>());
    case TALARIA_OP_ADD_SLOTS: pending_slots_ = &node.as<talaria_add_slots_args>(); return;
    case TALARIA_OP_TOP_LOGITS: return top_logits(node.as<talaria_top_logits_args>());
    case TALARIA_OP_ZERO: return zero(node.as<talaria_zero_args>());
  }
}

void Composer::flush_slots() {
  if (pending_slots_ != nullptr) add_slots(*std::exchange(pending_slots_, nullptr));
}

void Composer::flush() {
  flush_slots();
  exchanges_.flush(launches_);
}

void Composer::embed(const talaria_embed_args& a) {
  EmbedArgs args{};
  args.x = address<float>(a.x);
  args.table = weight_arg(a.table);
  args.batch = batch_;
  push(Launch::of(Kernel::embed, unsigned_of(shape_.rows), 1, 1, 256, args));
}

void Composer::add_slots(const talaria_add_slots_args& a) {
  const talaria_tensor_view& slots = view(a.slots);
  AddSlotsArgs args{};
  args.x = address<float>(a.x), args.slots = address<float>(a.slots);
  args.batch = batch_;
  args.columns = slots.shape[3], args.slot_rows = slots.shape[1];
  args.sources = static_cast<int32_t>(slots.shape[0]), args.used = static_cast<int32_t>(slots.shape[2]);
  push(Launch::of(Kernel::add_slots, unsigned_of(shape_.rows), 1, 1, 256, args));
}

// n = rms_norm(x) * norm of the batch's rows or the wanted ones, with the slots that wait to be added to x.
RowsArg Composer::norm_rows(talaria_tensor x, talaria_tensor norm, float epsilon, bool values, bool codes, int32_t choice,
                            const BatchArg& batch, int64_t count) {
  NormArgs args{};
  args.x = address<float>(x), args.norm = address<float>(norm);
  args.columns = view(x).shape[3];
  args.out = rows(Region::INPUT_VALUES, count, args.columns, values, codes);
  args.batch = batch, args.choice = choice, args.epsilon = epsilon;
  if (pending_slots_ != nullptr && choice == BATCH_ROWS) {
    const talaria_tensor_view& slots = view(pending_slots_->slots);
    args.slots = address<float>(pending_slots_->slots);
    args.slot_rows = slots.shape[1];
    args.sources = static_cast<int32_t>(slots.shape[0]), args.used = static_cast<int32_t>(slots.shape[2]);
    pending_slots_ = nullptr;
  }
  push(Launch::of(Kernel::norm, unsigned_of(count), 1, 1, 512, args));
  return args.out;
}

// A tensor's rows in the forms that a product needs, if a kernel has prepared them; else a kernel does that now.
RowsArg Composer::prepared_for(talaria_tensor field, bool values, bool codes) {
  for (const Prepared& prepared : {attended_, h_}) {
    bool enough = (!values || prepared.rows.values != nullptr) && (!codes || prepared.rows.codes != nullptr);
    if (prepared.tensor == field && enough && prepared.tensor != 0) return prepared.rows;
  }
  QuantizeArgs args{};
  args.rows = address<float>(field);
  args.columns = view(field).shape[3];
  args.out = rows(Region::INPUT_VALUES, shape_.rows, args.columns, values, codes);
  args.batch = batch_;
  push(Launch::of(Kernel::quantize, unsigned_of(shape_.rows), 1, 1, 256, args));
  return args.out;
}

// Whether a product of so many rows goes by tiles, which sum in another order than vector kernels do.
bool Composer::tiled(int64_t rows) const { return !mode_.invariant && matmul_pays(rows); }
bool Composer::tiled(int64_t rows, const WeightArg& weight) const {
  return !mode_.invariant && matmul_pays(runtime_.properties(), rows, weight.rows);
}

// A product of the batch's rows, the wanted ones, or pairs: few rows by vector kernels, many by tiles.
void Composer::product(const ProductArgs& args, int64_t most_rows, const PairTiles& pairs) {
  bool int8 = args.in.codes != nullptr && takes_codes(args.weight.type);
  bool grouped = args.grouped != NONE;
  if (grouped ? pairs.wide : tiled(most_rows, args.weight)) {
    Matmul matmul = choose_matmul(runtime_.properties(), MatmulOp::PRODUCT, args.weight.type, int8);
    uint32_t groups = grouped ? pairs.most : unsigned_of(parts(most_rows, matmul_tokens));
    push(Launch::of(matmul.kernel, groups, matmul.blocks(args.weight.rows), 1, matmul.threads, args));
    return;
  }
  bool single = grouped ? pairs.list.tiles == nullptr : most_rows == 1;
  uint32_t groups = grouped ? pairs.most : unsigned_of(parts(most_rows, single ? 1 : vector_rows));
  push(Launch::of(product_kernel(args.weight.type, int8, single), unsigned_of(parts(args.weight.rows, 8)), groups, 1, 128, args));
}

// q, k and v of many rows: products of their own, and then RoPE and the cache.
void Composer::attention_input_tiled(const talaria_attention_input_args& a, const AttentionInputArgs& args) {
  RopeAppendArgs rope{};
  rope.q = args.q;
  rope.kv = args.kv, rope.batch = batch_, rope.frequency = args.frequency, rope.rope_dims = a.rope_dims;
  rope.q_width = args.wq.rows;
  float* k = region<float>(Region::K, shape_.rows * args.wk.rows);
  float* v = region<float>(Region::V, shape_.rows * args.wv.rows);
  rope.k = k, rope.v = v;
  auto multiply = [&](const WeightArg& weight, float* target) {
    ProductArgs product_args{};
    product_args.in = args.in, product_args.weight = weight, product_args.target = target;
    product_args.batch = batch_, product_args.target_stride = weight.rows;
    product(product_args, shape_.rows);
  };
  multiply(args.wq, args.q);
  multiply(args.wk, k);
  multiply(args.wv, v);
  int64_t blocks = parts(args.wq.rows, 32) + 2 * parts(args.wk.rows, 32);
  push(Launch::of(Kernel::rope_append, unsigned_of(parts(blocks, 8)), unsigned_of(shape_.rows), 1, 256, rope));
}

void Composer::attention_input(const talaria_attention_input_args& a) {
  int32_t types[] = {view(a.wq).type, view(a.wk).type, view(a.wv).type};
  bool codes = false, values = false;
  for (int32_t type : types) (takes_codes(type) ? codes : values) = true;
  AttentionInputArgs args{};
  args.in = norm_rows(a.x, a.norm, a.epsilon, values, codes, BATCH_ROWS, batch_, shape_.rows);
  args.wq = weight_arg(a.wq), args.wk = weight_arg(a.wk), args.wv = weight_arg(a.wv);
  args.q = address<float>(a.q);
  args.kv = kv_arg(a.keys, a.values, a.layer, a.head_dim);
  args.batch = batch_;
  args.frequency = scratch_.frequency(a.rope_dims, a.rope_base);
  args.rope_dims = a.rope_dims;
  if (tiled(shape_.rows, args.wq)) return attention_input_tiled(a, args);
  bool single = shape_.rows == 1;
  Kernel kernel = mode_.int8 ? single ? Kernel::attention_input_int8_m1 : Kernel::attention_input_int8_m4
                             : single ? Kernel::attention_input_half_m1 : Kernel::attention_input_half_m4;
  int64_t blocks = parts(args.wq.rows, 32) + 2 * parts(args.wk.rows, 32);
  push(Launch::of(kernel, unsigned_of(blocks), unsigned_of(parts(shape_.rows, single ? 1 : vector_rows)), 1, 256, args));
}

void Composer::attention(const talaria_attention_args& a, const Node* next) {
  AttentionArgs args{};
  args.q = address<float>(a.q), args.attended = address<float>(a.attended);
  args.kv = kv_arg(a.keys, a.values, a.layer, a.head_dim);
  args.batch = batch_;
  int64_t width = view(a.q).shape[3];
  args.scale = a.scale;
  if (next != nullptr && next->op == TALARIA_OP_ATTENTION_OUTPUT &&
      next->as<talaria_attention_output_args>().attended == a.attended) {
    bool codes = takes_codes(view(next->as<talaria_attention_output_args>().wo).type);
    args.out = rows(Region::ATTENDED_VALUES, shape_.rows, width, !codes, codes);
    attended_ = Prepared{a.attended, args.out};
  }
  AttentionShape shape{};
  shape.rows = shape_.rows;
  shape.positions = static_cast<int32_t>(std::min<int64_t>(int64_t{shape_.blocks} * args.kv.positions, INT32_MAX));
  shape.heads = static_cast<int32_t>(width / a.head_dim), shape.kv_heads = args.kv.width / a.head_dim;
  shape.head_dim = a.head_dim;
  shape.batch_invariant = mode_.invariant;
  uint8_t* scratch = region<uint8_t>(Region::ATTENTION, attention_scratch_bytes(runtime_.properties(), shape));
  size_t before = launches_.size();
  append_attention(launches_, runtime_.properties(), shape, args, scratch);
  for (size_t i = before; i < launches_.size(); i++) launches_[i].dependent = true;
}

void Composer::attention_output(const talaria_attention_output_args& a) {
  bool codes = takes_codes(view(a.wo).type);
  ProductArgs args{};
  args.in = prepared_for(a.attended, !codes, codes);
  args.weight = weight_arg(a.wo);
  args.target = address<float>(a.x);
  args.batch = batch_;
  args.target_stride = view(a.x).shape[3];
  args.add = 1;
  product(args, shape_.rows);
}

void Composer::route(const talaria_route_args& a, const Node* next) {
  RouteArgs args{};
  args.x = address<float>(a.x), args.norm = address<float>(a.norm);
  args.router = weight_arg(a.router);
  args.h = address<float>(a.h), args.routing = address<int32_t>(a.routing);
  args.batch = batch_;
  args.columns = view(a.x).shape[3];
  args.used = static_cast<int32_t>(view(a.routing).shape[3] / 2);
  args.epsilon = a.epsilon;
  if (next != nullptr && next->op == TALARIA_OP_EXPERTS && next->as<talaria_experts_args>().h == a.h) {
    const auto& experts = next->as<talaria_experts_args>();
    bool gate = takes_codes(view(experts.gate).type), up = takes_codes(view(experts.up).type);
    args.out = rows(Region::H_VALUES, shape_.rows, args.columns, !gate || !up, gate || up);
    h_ = Prepared{a.h, args.out};
  }
  push(Launch::of(Kernel::route, unsigned_of(shape_.rows), 1, 1, 512, args));
}

// The pairs of a batch, sorted by expert and cut into tiles where there is more than one row.
Composer::PairTiles Composer::sort(const talaria_experts_args& a) {
  int64_t used = view(a.routing).shape[3] / 2, pairs = shape_.rows * used, held = view(a.gate).shape[1];
  PairTiles tiles{};
  TilesArg& list = tiles.list;
  list.routing = address<int32_t>(a.routing);
  list.map = a.map != 0 ? address<int32_t>(a.map) : nullptr;
  list.experts = static_cast<int32_t>(a.map != 0 ? view(a.map).shape[3] : held);
  list.used = static_cast<int32_t>(used);
  tiles.most = unsigned_of(pairs);
  if (shape_.rows == 1) return tiles;  // a pair is a tile
  // By the number of all experts, so that a row's bits do not depend on which of them are held here.
  tiles.wide = tiled(parts(pairs, list.experts));
  int32_t tile_pairs = tiles.wide ? matmul_tokens : vector_rows;
  tiles.most = unsigned_of(std::min(pairs, parts(pairs, tile_pairs) + held));
  SortPairsArgs args{};
  args.tile = region<ExpertTile>(Region::TILES, tiles.most);
  args.tile_count = region<int32_t>(Region::TILE_COUNT, 1);
  args.pair = region<int32_t>(Region::PAIRS, pairs);
  list.tiles = args.tile, list.tile_count = args.tile_count, list.pair = args.pair;
  args.tiles = list;
  args.batch = batch_;
  args.held = static_cast<int32_t>(held), args.tile_pairs = tile_pairs;
  push(Launch::of(Kernel::sort_pairs, 1, 1, 1, 256, args));
  return tiles;
}

void Composer::gate_and_up(const talaria_experts_args& a, const PairTiles& tiles, const RowsArg& gated) {
  WeightArg gate = weight_arg(a.gate), up = weight_arg(a.up);
  bool gate_codes = takes_codes(gate.type), up_codes = takes_codes(up.type);
  RowsArg h = prepared_for(a.h, !gate_codes || !up_codes, gate_codes || up_codes);
  if (gate.type == up.type) {
    GateUpArgs args{};
    args.in = h, args.gate = gate, args.up = up, args.out = gated, args.batch = batch_, args.tiles = tiles.list;
    if (tiles.wide) {
      Matmul matmul = choose_matmul(runtime_.properties(), MatmulOp::GATE_UP, gate.type, gate_codes);
      return push(Launch::of(matmul.kernel, tiles.most, matmul.blocks(gated.stride), 1, matmul.threads, args));
    }
    bool single = tiles.list.tiles == nullptr;
    Kernel kernel = gate_up_kernel(gate.type, gate_codes, single);
    uint32_t threads = single ? gate_up_threads(runtime_, kernel, gated.stride / 32 * tiles.most) : 256;
    return push(Launch::of(kernel, unsigned_of(gated.stride / 32), tiles.most, 1, threads, args));
  }
  int64_t pairs = int64_t{shape_.rows} * tiles.list.used;
  SiluMultiplyArgs joined{};
  joined.out = gated, joined.batch = batch_, joined.columns = gate.rows, joined.used = tiles.list.used;
  for (Region which : {Region::GATE, Region::UP}) {
    ProductArgs args{};
    args.in = h, args.weight = which == Region::GATE ? gate : up;
    args.target = region<float>(which, pairs * gate.rows);
    args.batch = batch_, args.tiles = tiles.list, args.target_stride = gate.rows, args.grouped = PAIRS_OF_ROWS;
    (which == Region::GATE ? joined.gate : joined.up) = args.target;
    product(args, shape_.rows, tiles);
  }
  push(Launch::of(Kernel::silu_multiply, unsigned_of(pairs), 1, 1, 256, joined));
}

void Composer::experts(const talaria_experts_args& a) {
  PairTiles tiles = sort(a);
  bool codes = takes_codes(view(a.down).type);
  int64_t pairs = int64_t{shape_.rows} * tiles.list.used;
  RowsArg gated = rows(Region::GATED_VALUES, pairs, view(a.down).shape[3], !codes, codes);
  gate_and_up(a, tiles, gated);

  ProductArgs args{};
  args.in = gated, args.weight = weight_arg(a.down);
  args.target = address<float>(a.slots);  // the first source: [rows][K][H]
  args.batch = batch_, args.tiles = tiles.list;
  args.target_stride = view(a.slots).shape[3];
  args.grouped = PAIRS, args.zero_absent = 1;
  product(args, shape_.rows, tiles);
  if (tiles.list.tiles == nullptr) return;
  ZeroAbsentArgs zero{};  // pairs whose expert is elsewhere are in no tile
  zero.slots = args.target, zero.tiles = tiles.list, zero.batch = batch_;
  zero.columns = args.target_stride, zero.held = args.weight.matrices;
  push(Launch::of(Kernel::zero_absent, unsigned_of(pairs), 1, 1, 256, zero));
}

void Composer::top_logits(const talaria_top_logits_args& a) {
  WeightArg output = weight_arg(a.output);
  bool codes = takes_codes(output.type);
  int64_t vocabulary = output.rows, top_width = view(a.top).shape[3];
  for (int32_t first = 0; first < shape_.wanted; first += wanted_chunk) {
    int32_t count = std::min(wanted_chunk, shape_.wanted - first);
    BatchArg batch = from_wanted(batch_, first);
    ProductArgs args{};
    args.in = norm_rows(a.x, a.norm, a.epsilon, !codes, codes, WANTED_ROWS, batch, count);
    args.weight = output;
    args.target = a.logits != 0 ? address<float>(a.logits) + first * vocabulary
                                : region<float>(Region::LOGITS, count * vocabulary);
    args.batch = batch, args.choice = WANTED_ROWS, args.target_stride = vocabulary;
    product(args, count);

    TopLogitsArgs top{};
    top.logits = args.target;
    top.top = address<int32_t>(a.top) + first * top_width;
    top.keys = region<uint64_t>(Region::KEYS, count * vocabulary);
    top.batch = batch, top.vocabulary = vocabulary, top.k = a.k;
    push(Launch::of(Kernel::top_logits, unsigned_of(count), 1, 1, 1024, top));
  }
}

void Composer::zero(const talaria_zero_args& a) {
  FillArgs args{};
  args.target = address<uint8_t>(a.target), args.bytes = view(a.target).bytes;
  push(Launch::of(Kernel::fill, unsigned_of(std::min<int64_t>(1024, parts(args.bytes, 256))), 1, 1, 256, args));
}

}  // namespace talaria::gpu
