// The checks of every op: its args struct's size, its tensors' owner, kind, type and shape. What passes here cannot
// lead a kernel out of bounds, whatever the tensors contain.
#include <cstring>

#include "../../kernels/common/formats.h"
#include "handles.hpp"

namespace talaria {

namespace {

constexpr int64_t any = -1;
constexpr int64_t max_experts = 512;  // a batch's (row, slot) pairs can then be counted in 32 bits

const talaria_tensor_view& view(talaria_tensor field) { return *reinterpret_cast<const talaria_tensor_view*>(field); }

// Checks one op's tensors; the names are the fields' names in args.h.
class Checker {
 public:
  Checker(const char* op, BatchLimits& limits) : limits(limits), op_(op) {}

  BatchLimits& limits;
  int64_t rows() const { return limits.shape.rows; }

  // A weight of shape [planes][rows][columns].
  const talaria_tensor_view& weight(talaria_tensor field, const char* name, int64_t planes, int64_t rows,
                                    int64_t columns) {
    const auto& v = view(field);
    if (v.kind != TALARIA_WEIGHT || v.type == TALARIA_I32) refuse(name, "is no weight");
    shape(v, name, 1, planes, rows, columns);
    return v;
  }

  const talaria_tensor_view& norm(talaria_tensor field, const char* name, int64_t columns) {
    const auto& v = weight(field, name, 1, 1, columns);
    if (v.type != TALARIA_F32) refuse(name, "must be F32");
    return v;
  }

  // An activation of shape [outer][at least the step's rows][columns], or [outer][rows][planes][columns] for slots.
  const talaria_tensor_view& activation(talaria_tensor field, const char* name, int32_t type, int64_t columns) {
    const auto& v = view(field);
    if (v.kind != TALARIA_ACTIVATION || v.type != type)
      refuse(name, type == TALARIA_F32 ? "is no F32 activation" : "is no I32 activation");
    shape(v, name, 1, 1, any, columns);
    if (v.shape[2] < rows()) refuse(name, "has fewer rows than the step");
    return v;
  }

  // [S][at least the step's rows][K][H]
  const talaria_tensor_view& slots(talaria_tensor field, int64_t used, int64_t hidden) {
    const auto& v = view(field);
    if (v.kind != TALARIA_ACTIVATION || v.type != TALARIA_F32) refuse("slots", "is no F32 activation");
    shape(v, "slots", any, any, used, hidden);
    if (v.shape[1] < rows()) refuse("slots", "has fewer rows than the step");
    return v;
  }

  // Both halves of the KV cache; their width, and with it the block limits of the step's batches.
  int64_t kv(talaria_tensor keys, talaria_tensor values, int32_t layer, int32_t head_dim) {
    const auto& k = view(keys);
    const auto& v = view(values);
    if (k.kind != TALARIA_KV) refuse("keys", "is no KV tensor");
    if (v.kind != TALARIA_KV || v.type != k.type) refuse("values", "is no KV tensor of the type of keys");
    shape(v, "values", k.shape[0], k.shape[1], k.shape[2], k.shape[3]);
    if (keys == values) refuse("values", "is keys itself");
    if (layer < 0 || layer >= k.shape[0]) refuse("keys", "has no such layer");
    if (head_dim <= 0 || head_dim % 2 != 0 || k.shape[3] % head_dim != 0)
      refuse("keys", "rows are no whole heads of head_dim");
    if (k.type == TALARIA_Q8_0 && head_dim % 32 != 0)
      refuse("keys", "in Q8_0 need a head_dim that is a multiple of 32");
    bool first = limits.kv_blocks == 0;
    if (!first && (limits.kv_blocks != k.shape[1] || limits.kv_positions != k.shape[2])) {
      refuse("keys", "has other blocks than the cache of an earlier op");
    }
    limits.kv_blocks = k.shape[1];
    limits.kv_positions = k.shape[2];
    return k.shape[3];
  }

  void differ(talaria_tensor written, const char* name, std::initializer_list<talaria_tensor> others) {
    for (talaria_tensor other : others) {
      if (other == written) refuse(name, "is written and read by the same op");
    }
  }

  void positive(float value, const char* name) {
    if (!(value > 0) || value > 1e30f) refuse(name, "must be positive and finite");
  }

  void shape(const talaria_tensor_view& v, const char* name, int64_t s0, int64_t s1, int64_t s2, int64_t s3) {
    const int64_t expected[4] = {s0, s1, s2, s3};
    for (int i = 0; i < 4; i++) {
      if (expected[i] != any && v.shape[i] != expected[i]) {
        fail(TALARIA_INVALID, "%s: %s has shape [%lld][%lld][%lld][%lld], expected [%lld][%lld][%lld][%lld] (-1: any)",
             op_, name, ll(v.shape[0]), ll(v.shape[1]), ll(v.shape[2]), ll(v.shape[3]), ll(s0), ll(s1), ll(s2), ll(s3));
      }
    }
  }

  [[noreturn]] void refuse(const char* name, const char* why) { fail(TALARIA_INVALID, "%s: %s %s", op_, name, why); }

 private:
  static long long ll(int64_t value) { return value; }
  const char* op_;
};

void check(Checker& c, const talaria_embed_args& a) {
  const auto& table = c.weight(a.table, "table", 1, any, any);
  c.activation(a.x, "x", TALARIA_F32, table.shape[3]);
  c.limits.vocabulary = std::min(c.limits.vocabulary, table.shape[2]);
}

void check(Checker& c, const talaria_attention_input_args& a) {
  int64_t width = c.kv(a.keys, a.values, a.layer, a.head_dim);
  c.limits.writes_kv = true;
  const auto& x = c.activation(a.x, "x", TALARIA_F32, any);
  const auto& q = c.activation(a.q, "q", TALARIA_F32, any);
  int64_t hidden = x.shape[3];
  c.norm(a.norm, "norm", hidden);
  c.weight(a.wq, "wq", 1, q.shape[3], hidden);
  c.weight(a.wk, "wk", 1, width, hidden);
  c.weight(a.wv, "wv", 1, width, hidden);
  if (q.shape[3] % a.head_dim != 0) c.refuse("q", "rows are no whole heads of head_dim");
  if (a.rope_dims < 2 || a.rope_dims % 2 != 0 || a.rope_dims > a.head_dim)
    c.refuse("rope_dims", "must be even and at most head_dim");
  c.positive(a.rope_base, "rope_base");
  c.positive(a.epsilon, "epsilon");
  c.differ(a.q, "q", {a.x});
}

void check(Checker& c, const talaria_attention_args& a) {
  int64_t width = c.kv(a.keys, a.values, a.layer, a.head_dim);
  const auto& q = c.activation(a.q, "q", TALARIA_F32, any);
  c.activation(a.attended, "attended", TALARIA_F32, q.shape[3]);
  if (q.shape[3] % a.head_dim != 0) c.refuse("q", "rows are no whole heads of head_dim");
  if ((q.shape[3] / a.head_dim) % (width / a.head_dim) != 0) c.refuse("q", "heads are no multiple of the KV heads");
  c.positive(a.scale, "scale");
  c.differ(a.attended, "attended", {a.q});
}

void check(Checker& c, const talaria_attention_output_args& a) {
  const auto& x = c.activation(a.x, "x", TALARIA_F32, any);
  const auto& attended = c.activation(a.attended, "attended", TALARIA_F32, any);
  c.weight(a.wo, "wo", 1, x.shape[3], attended.shape[3]);
  c.differ(a.x, "x", {a.attended});
}

void check(Checker& c, const talaria_route_args& a) {
  const auto& x = c.activation(a.x, "x", TALARIA_F32, any);
  c.activation(a.h, "h", TALARIA_F32, x.shape[3]);
  c.norm(a.norm, "norm", x.shape[3]);
  const auto& router = c.weight(a.router, "router", 1, any, x.shape[3]);
  if (router.type != TALARIA_F32 && router.type != TALARIA_F16 && router.type != TALARIA_BF16)
    c.refuse("router", "must be F32, F16 or BF16");
  const auto& routing = c.activation(a.routing, "routing", TALARIA_I32, any);
  int64_t experts = router.shape[2], used = routing.shape[3] / 2;
  if (routing.shape[3] % 2 != 0 || used < 1 || used > experts)
    c.refuse("routing", "rows are not ids and weights of 1 to all experts");
  if (experts > max_experts) c.refuse("router", "has more than 512 experts");
  c.positive(a.epsilon, "epsilon");
  c.differ(a.h, "h", {a.x});
}

void check(Checker& c, const talaria_experts_args& a) {
  const auto& h = c.activation(a.h, "h", TALARIA_F32, any);
  const auto& routing = c.activation(a.routing, "routing", TALARIA_I32, any);
  const auto& gate = c.weight(a.gate, "gate", any, any, h.shape[3]);
  c.weight(a.up, "up", gate.shape[1], gate.shape[2], gate.shape[3]);
  c.weight(a.down, "down", gate.shape[1], h.shape[3], gate.shape[2]);
  if (routing.shape[3] % 2 != 0 || routing.shape[3] > 2 * max_experts)
    c.refuse("routing", "rows are not ids and weights of up to 512 experts");
  if (gate.shape[1] > max_experts) c.refuse("gate", "has more than 512 experts");
  c.slots(a.slots, routing.shape[3] / 2, h.shape[3]);
  if (a.map != 0) {
    const auto& map = view(a.map);
    if (map.kind != TALARIA_ACTIVATION || map.type != TALARIA_I32) c.refuse("map", "is no I32 activation");
    c.shape(map, "map", 1, 1, 1, any);
    c.differ(a.routing, "routing", {a.map});
  }
  c.differ(a.slots, "slots", {a.h});
}

void check(Checker& c, const talaria_add_slots_args& a) {
  const auto& x = c.activation(a.x, "x", TALARIA_F32, any);
  c.slots(a.slots, any, x.shape[3]);
  c.differ(a.x, "x", {a.slots});
}

void check(Checker& c, const talaria_top_logits_args& a) {
  const auto& x = c.activation(a.x, "x", TALARIA_F32, any);
  c.norm(a.norm, "norm", x.shape[3]);
  const auto& output = c.weight(a.output, "output", 1, any, x.shape[3]);
  const auto& s = c.limits.shape;
  int64_t vocabulary = output.shape[2];
  if (vocabulary > INT32_MAX) c.refuse("output", "has more rows than a token id can name");
  if (s.wanted < 1) c.refuse("top", "needs a step whose batches want rows");
  if (a.k < 1 || a.k > 1024 || a.k > vocabulary) c.refuse("k", "must be 1 to 1024 and at most the vocabulary");
  if (s.mask_words != 0 && s.mask_words != (vocabulary + 31) / 32)
    c.refuse("output", "does not match the batch's mask_words");
  const auto& top = view(a.top);
  if (top.kind != TALARIA_ACTIVATION || top.type != TALARIA_I32) c.refuse("top", "is no I32 activation");
  c.shape(top, "top", 1, 1, any, 3 * static_cast<int64_t>(a.k) + 1 + s.targets);
  if (top.shape[2] < s.wanted) c.refuse("top", "has fewer rows than the batch may want");
  if (a.logits != 0) {
    const auto& logits = view(a.logits);
    if (logits.kind != TALARIA_ACTIVATION || logits.type != TALARIA_F32) c.refuse("logits", "is no F32 activation");
    c.shape(logits, "logits", 1, 1, any, vocabulary);
    if (logits.shape[2] < s.wanted) c.refuse("logits", "has fewer rows than the batch may want");
    c.differ(a.logits, "logits", {a.x});
  }
  c.limits.output_vocabulary = std::min(c.limits.output_vocabulary, vocabulary);
  c.positive(a.epsilon, "epsilon");
}

void check(Checker& c, const talaria_copy_args& a) {
  const auto& target = view(a.target);
  const auto& source = view(a.source);
  auto plain = [](const talaria_tensor_view& v) {
    return v.kind == TALARIA_ACTIVATION || v.kind == TALARIA_HOST || v.kind == TALARIA_PEER;
  };
  if (!plain(target)) c.refuse("target", "is no activation, host or peer tensor");
  if (!plain(source)) c.refuse("source", "is no activation, host or peer tensor");
  c.differ(a.target, "target", {a.source});
  int64_t bytes = 0;
  if (a.row_bytes < 4 || a.row_bytes % 4 != 0 || __builtin_mul_overflow(a.row_bytes, c.rows(), &bytes)) {
    c.refuse("row_bytes", "must be a positive multiple of 4 that does not overflow");
  }
  auto fits = [bytes](int64_t offset, int64_t size) {
    return offset >= 0 && offset % 4 == 0 && offset <= size && bytes <= size - offset;
  };
  if (!fits(a.target_offset, target.bytes)) c.refuse("target", "does not hold the rows");
  if (!fits(a.source_offset, source.bytes)) c.refuse("source", "does not hold the rows");
}

void check(Checker& c, const talaria_zero_args& a) {
  int32_t kind = view(a.target).kind;
  if (kind != TALARIA_ACTIVATION && kind != TALARIA_HOST) c.refuse("target", "is no activation or host tensor");
}

template <typename Args>
void check_as(Checker& c, const void* args) {
  check(c, *static_cast<const Args*>(args));
}

struct OpSpec {
  int32_t op;
  const char* name;
  size_t size;
  int tensors;   // fields after size and reserved that are tensors
  int optional;  // index of the tensor field that may be 0, or -1
  void (*check)(Checker& c, const void* args);
};

constexpr OpSpec ops[] = {
    {TALARIA_OP_EMBED, "embed", sizeof(talaria_embed_args), 2, -1, check_as<talaria_embed_args>},
    {TALARIA_OP_ATTENTION_INPUT, "attention_input", sizeof(talaria_attention_input_args), 8, -1,
     check_as<talaria_attention_input_args>},
    {TALARIA_OP_ATTENTION, "attention", sizeof(talaria_attention_args), 4, -1, check_as<talaria_attention_args>},
    {TALARIA_OP_ATTENTION_OUTPUT, "attention_output", sizeof(talaria_attention_output_args), 3, -1,
     check_as<talaria_attention_output_args>},
    {TALARIA_OP_ROUTE, "route", sizeof(talaria_route_args), 5, -1, check_as<talaria_route_args>},
    {TALARIA_OP_EXPERTS, "experts", sizeof(talaria_experts_args), 7, 6, check_as<talaria_experts_args>},
    {TALARIA_OP_ADD_SLOTS, "add_slots", sizeof(talaria_add_slots_args), 2, -1, check_as<talaria_add_slots_args>},
    {TALARIA_OP_TOP_LOGITS, "top_logits", sizeof(talaria_top_logits_args), 5, 4, check_as<talaria_top_logits_args>},
    {TALARIA_OP_COPY, "copy", sizeof(talaria_copy_args), 2, -1, check_as<talaria_copy_args>},
    {TALARIA_OP_ZERO, "zero", sizeof(talaria_zero_args), 1, -1, check_as<talaria_zero_args>},
    {TALARIA_OP_SIGNAL, "signal", sizeof(talaria_event_args), 0, -1, nullptr},
    {TALARIA_OP_WAIT, "wait", sizeof(talaria_event_args), 0, -1, nullptr},
};

const OpSpec& find_op(int32_t op) {
  for (const OpSpec& spec : ops) {
    if (spec.op == op) return spec;
  }
  fail(TALARIA_INVALID, "step_append: there is no op %d", op);
}

}  // namespace

ResolvedOp resolve_op(int32_t op, const uint8_t* args, int64_t bytes) {
  const OpSpec& spec = find_op(op);
  ResolvedOp resolved{op, {}, {}, {}};
  if (args == nullptr || bytes != static_cast<int64_t>(spec.size)) {
    fail(TALARIA_INVALID, "%s: %lld bytes of args where it has %zu", spec.name, static_cast<long long>(bytes),
         spec.size);
  }
  resolved.args.resize(spec.size / sizeof(uint64_t));
  memcpy(resolved.args.data(), args, spec.size);
  if (resolved.args[0] != spec.size) {  // size, then reserved = 0
    fail(TALARIA_INVALID, "%s: the args' size field does not say %zu", spec.name, spec.size);
  }
  uint64_t* fields = resolved.args.data() + 1;
  if (spec.check == nullptr) {
    auto event = Handles::all().get<Event>(fields[0], spec.name);
    fields[0] = reinterpret_cast<uint64_t>(&event->view);
    resolved.events.push_back(std::move(event));
    return resolved;
  }
  for (int i = 0; i < spec.tensors; i++) {
    if (i == spec.optional && fields[i] == 0) continue;
    auto tensor = Handles::all().get<Tensor>(fields[i], spec.name);
    fields[i] = reinterpret_cast<uint64_t>(&tensor->view);
    resolved.tensors.push_back(std::move(tensor));
  }
  return resolved;
}

void check_op(const Device& device, const ResolvedOp& op, BatchLimits& limits) {
  const OpSpec& spec = find_op(op.op);
  if (device.copies_only && op.op != TALARIA_OP_COPY && op.op != TALARIA_OP_SIGNAL && op.op != TALARIA_OP_WAIT)
    fail(TALARIA_INVALID, "%s: this queue only copies, signals and waits", spec.name);
  for (const auto& tensor : op.tensors) {
    if (tensor->device && tensor->device.get() != &device) {
      fail(TALARIA_INVALID, "%s: tensor %s belongs to another device", spec.name, tensor->label.c_str());
    }
    if (tensor->peer_backend && (tensor->planned != device.plan_only || !device.reaches(*tensor->peer_backend, tensor->peer_index))) {
      fail(TALARIA_UNSUPPORTED, "%s: tensor %s lies in the memory of a device that this one does not reach", spec.name,
           tensor->label.c_str());
    }
  }
  Checker checker(spec.name, limits);
  if (spec.check != nullptr) spec.check(checker, op.args.data());
}

}  // namespace talaria
