#include "step.hpp"

#include <algorithm>

#include "../include/batch_layout.hpp"

namespace talaria::cpu {

Batch::Batch(const talaria_batch_shape& s, const int32_t* words)
    : shape(&s), rows(words[0]), wanted(words[1]), masked(words[2]) {
  BatchLayout at(s);
  token = words + at.token;
  position = words + at.position;
  table = words + at.table;
  wanted_row = words + at.wanted_row;
  target = words + at.target;
  adjust_begin = words + at.adjust_begin;
  adjust_token = words + at.adjust_token;
  adjust_penalty = words + at.adjust_penalty;
  adjust_add = words + at.adjust_add;
  block = words + at.block;
  mask = reinterpret_cast<const uint32_t*>(words + at.mask);
}

void Scratch::reserve(int64_t floats) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (floats <= floats_) return;
  if (!counted_only_) memory_.reset(new float[static_cast<size_t>(floats)]);  // not set to zero: pages that no op touches take no memory
  floats_ = floats;
}

int64_t Scratch::floats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return floats_;
}

std::shared_ptr<float[]> Scratch::memory() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return memory_;
}

Step::Step(const talaria_step_options& options, int32_t wait_limit_ms, const volatile int32_t* cancelled, Pool& pool, Scratch& scratch)
    : mode_{options.activations == TALARIA_ACTIVATIONS_INT8},
      pool_(pool),
      wait_limit_ms_(wait_limit_ms),
      cancelled_(cancelled),
      scratch_(scratch) {
  std::memcpy(&shape_, options.batch, sizeof shape_);
}

namespace {

template <typename Args>
const Args& as(const void* args) {
  return *static_cast<const Args*>(args);
}

int64_t scratch_of(int32_t op, const void* args, const talaria_batch_shape& shape, const Mode& mode, int32_t threads) {
  switch (op) {
    case TALARIA_OP_ATTENTION_INPUT: return attention_input_scratch(as<talaria_attention_input_args>(args), shape);
    case TALARIA_OP_ATTENTION: return attention_scratch(as<talaria_attention_args>(args), shape, threads);
    case TALARIA_OP_ATTENTION_OUTPUT: return attention_output_scratch(as<talaria_attention_output_args>(args), shape);
    case TALARIA_OP_ROUTE: return route_scratch(as<talaria_route_args>(args), shape);
    case TALARIA_OP_EXPERTS: return experts_scratch(as<talaria_experts_args>(args), shape, mode);
    case TALARIA_OP_TOP_LOGITS: return top_logits_scratch(as<talaria_top_logits_args>(args), shape);
    default: return 0;
  }
}

void copy(const talaria_copy_args& a, const Batch& batch) {
  std::memcpy(bytes(view(a.target)) + a.target_offset, bytes(view(a.source)) + a.source_offset,
              static_cast<size_t>(a.row_bytes) * batch.rows);
}

void zero(const talaria_zero_args& a) { std::memset(bytes(view(a.target)), 0, static_cast<size_t>(view(a.target).bytes)); }

}  // namespace

void Step::append(int32_t op, const void* args) {
  uint32_t size;  // every args struct begins with its size
  std::memcpy(&size, args, sizeof size);
  Node node{op, std::vector<uint64_t>(size / sizeof(uint64_t))};
  std::memcpy(node.args.data(), args, size);
  nodes_.push_back(std::move(node));
  scratch_floats_ = std::max(scratch_floats_, scratch_of(op, args, shape_, mode_, pool_.threads()));
}

void Step::end(int64_t free_bytes) {
  int64_t bytes = scratch_floats_ * static_cast<int64_t>(sizeof(float));
  if (scratch_floats_ > scratch_.floats() && bytes >= free_bytes) {
    throw Fault{TALARIA_OUT_OF_MEMORY, "a step of " + std::to_string(shape_.rows) + " rows needs " + std::to_string(bytes) +
                                           " bytes of scratch and " + std::to_string(free_bytes) + " are free; use smaller chunks"};
  }
  scratch_.reserve(scratch_floats_);
}

void Step::run(const int32_t* words) {
  Batch batch(shape_, words);
  std::shared_ptr<float[]> scratch = scratch_.memory();
  try {
    for (const Node& node : nodes_) {
      // After a wait that was cancelled the rest would run, and signal, on data that never came.
      if (cancelled()) return abandon();
      run_op(node, batch, scratch.get());
    }
  } catch (...) {
    abandon();
    throw;
  }
}

bool Step::cancelled() const { return __atomic_load_n(cancelled_, __ATOMIC_RELAXED) != 0; }

void Step::wait_for(talaria_event field) {
  const auto* event = reinterpret_cast<const talaria_event_view*>(field);
  int32_t waited = event->wait(event->event, wait_limit_ms_, cancelled_);
  if (waited == TALARIA_SIGNALLED || cancelled()) return;
  if (waited == TALARIA_ABANDONED) throw Fault{TALARIA_INVALID, abandoned_text};
  throw Fault{TALARIA_LOST, "no signal came within " + std::to_string(wait_limit_ms_) + " ms"};
}

void Step::abandon() const {
  for (const Node& node : nodes_) {
    if (node.op != TALARIA_OP_SIGNAL) continue;
    const auto* event = reinterpret_cast<const talaria_event_view*>(as<talaria_event_args>(node.args.data()).event);
    event->abandon(event->event);
  }
}

void Step::run_op(const Node& node, const Batch& batch, float* scratch) {
  const void* args = node.args.data();
  Context context{mode_, pool_, scratch};
  switch (node.op) {
    case TALARIA_OP_EMBED: return embed(as<talaria_embed_args>(args), batch, context);
    case TALARIA_OP_ATTENTION_INPUT: return attention_input(as<talaria_attention_input_args>(args), batch, context);
    case TALARIA_OP_ATTENTION: return attention(as<talaria_attention_args>(args), batch, context);
    case TALARIA_OP_ATTENTION_OUTPUT: return attention_output(as<talaria_attention_output_args>(args), batch, context);
    case TALARIA_OP_ROUTE: return route(as<talaria_route_args>(args), batch, context);
    case TALARIA_OP_EXPERTS: return experts(as<talaria_experts_args>(args), batch, context);
    case TALARIA_OP_ADD_SLOTS: return add_slots(as<talaria_add_slots_args>(args), batch);
    case TALARIA_OP_TOP_LOGITS: return top_logits(as<talaria_top_logits_args>(args), batch, context);
    case TALARIA_OP_COPY: return copy(as<talaria_copy_args>(args), batch);
    case TALARIA_OP_ZERO: return zero(as<talaria_zero_args>(args));
    case TALARIA_OP_WAIT: return wait_for(as<talaria_event_args>(args).event);
    case TALARIA_OP_SIGNAL: {
      const auto* event = reinterpret_cast<const talaria_event_view*>(as<talaria_event_args>(args).event);
      return event->signal(event->event);
    }
  }
}

}  // namespace talaria::cpu
