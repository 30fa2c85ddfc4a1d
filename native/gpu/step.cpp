#include "step.hpp"

#include <algorithm>
#include <cstring>

#include "../include/batch_layout.hpp"

namespace talaria::gpu {

namespace {

talaria_batch_shape shape_of(const talaria_step_options& options) {
  talaria_batch_shape shape;
  std::memcpy(&shape, options.batch, sizeof shape);
  return shape;
}

}  // namespace

Step::Step(const talaria_step_options& options, Runtime& runtime, Scratch& scratch, int32_t wait_limit_ms,
           const volatile int32_t* cancelled, Meetings* meetings)
    : shape_(shape_of(options)),
      mode_{options.activations == TALARIA_ACTIVATIONS_INT8, options.batch_invariant != 0},
      runtime_(runtime),
      scratch_(scratch),
      wait_limit_ms_(wait_limit_ms),
      cancelled_(cancelled),
      words_(BatchLayout(shape_).end),
      batch_(runtime, (words_ + 1) * 4, "a step's batch"),
      pages_(runtime),
      place_{meetings, reinterpret_cast<uint32_t*>(batch_.data()) + words_, wait_limit_ms} {}

Step::~Step() {
  for (Staged& staged : staged_) {
    if (staged.host != nullptr) runtime_.release_host(staged.host);
  }
}

void Step::append(int32_t op, const void* args) {
  uint32_t size;  // every args struct begins with its size
  std::memcpy(&size, args, sizeof size);
  Node node{op, std::vector<uint64_t>(size / sizeof(uint64_t))};
  std::memcpy(node.args.data(), args, size);
  nodes_.push_back(std::move(node));
}

Fault no_signal(int32_t waited, int32_t limit_ms) {
  if (waited == TALARIA_ABANDONED) return {TALARIA_INVALID, abandoned_text};
  return {TALARIA_LOST, "no signal came within " + std::to_string(limit_ms) + " ms"};
}

// The op that computes next: rows that travel in between do not change what it reads.
const Node* Step::next_op(size_t at) const {
  for (at++; at < nodes_.size(); at++) {
    int32_t op = nodes_[at].op;
    if (op != TALARIA_OP_COPY && op != TALARIA_OP_SIGNAL && op != TALARIA_OP_WAIT) return &nodes_[at];
  }
  return nullptr;
}

// Cuts the step where the host has something to do, and makes launches of the rest.
void Step::compose() {
  Composer composer(shape_, mode_, runtime_, scratch_, reinterpret_cast<const int32_t*>(batch_.data()), pages_, place_);
  auto pass = [&] {
    parts_.clear();
    for (size_t i = 0; i < nodes_.size(); i++) {
      if (!composer.on_host(nodes_[i])) {
        composer.add(nodes_[i], next_op(i));
        continue;
      }
      composer.flush();
      composer.forget();
      size_t first = parts_.empty() ? 0 : parts_.back().end;
      parts_.push_back(Part{first, composer.launches().size(), &nodes_[i], nullptr});
    }
    composer.flush();
    parts_.push_back(Part{parts_.empty() ? 0 : parts_.back().end, composer.launches().size(), nullptr, nullptr});
  };
  pass();
  composer.place(scratch_.reserve(composer.scratch_bytes()));
  generation_ = scratch_.generation();
  pass();
  launches_ = std::move(composer.launches());
}

// All that takes a driver long is done before the step runs: while it runs others may wait for it, and what a driver does on
// the side may wait for them.
void Step::end() {
  compose();
  for (Staged& staged : staged_) {
    if (staged.host == nullptr) staged.host = static_cast<int32_t*>(runtime_.allocate_host((words_ + 1) * 4));
    if (staged.event == nullptr) staged.event = runtime_.new_event();
  }
  for (Part& part : parts_) {
    if (part.end > part.first) part.graph = runtime_.capture(std::span(launches_).subspan(part.first, part.end - part.first));
  }
  needs_host_ = parts_.size() > 1;
}

void Step::refresh() {
  if (generation_ >= 0 && generation_ != scratch_.generation()) end();
}

// A batch goes through pinned memory, as the caller's is reused at once.
void Step::upload(const int32_t* words) {
  Staged& staged = staged_[next_];
  next_ = (next_ + 1) % static_cast<int>(std::size(staged_));
  if (staged.used) runtime_.wait(*staged.event);
  std::memcpy(staged.host, words, static_cast<size_t>(words_) * 4);
  staged.host[words_] = 0;
  runtime_.upload(batch_.data(), staged.host, (words_ + 1) * 4);
  runtime_.record(*staged.event);
  staged.used = true;
}

void Step::run(const int32_t* words) {
  try {
    if (generation_ != scratch_.generation()) {  // a hungrier step has come since, and there was no room to follow it then
      runtime_.synchronize();
      end();
    }
    run_parts(words);
  } catch (...) {
    abandon();
    throw;
  }
}

void Step::abandon() const {
  for (const Node& node : nodes_) {
    if (node.op != TALARIA_OP_SIGNAL) continue;
    const auto* event = reinterpret_cast<const talaria_event_view*>(node.as<talaria_event_args>().event);
    event->abandon(event->event);
  }
}

void Step::run_parts(const int32_t* words) {
  upload(words);
  for (Part& part : parts_) {
    // After a wait that was cancelled the rest would run, and signal, on data that never came.
    if (cancelled()) return abandon();
    if (part.graph != nullptr) runtime_.replay(*part.graph);
    if (part.host_op != nullptr) run_host_op(*part.host_op, words);
  }
}

bool Step::cancelled() const { return __atomic_load_n(cancelled_, __ATOMIC_RELAXED) != 0; }

void Step::run_host_op(const Node& node, const int32_t* words) {
  switch (node.op) {
    case TALARIA_OP_COPY: {
      const auto& a = node.as<talaria_copy_args>();
      const talaria_tensor_view &to = view(a.target), &from = view(a.source);
      int64_t bytes = a.row_bytes * words[0];  // the batch's rows
      if (to.host != nullptr && from.host != nullptr) {
        runtime_.synchronize();  // what is before it may still be waiting, or copying
        std::memcpy(to.host + a.target_offset, from.host + a.source_offset, static_cast<size_t>(bytes));
      } else if (to.host != nullptr) {
        runtime_.download(to.host + a.target_offset, address<uint8_t>(a.source) + a.source_offset, bytes);
        runtime_.synchronize();
      } else if (from.host != nullptr) {
        runtime_.upload(address<uint8_t>(a.target) + a.target_offset, from.host + a.source_offset, bytes);
        runtime_.synchronize();
      } else {
        runtime_.copy(address<uint8_t>(a.target) + a.target_offset, address<uint8_t>(a.source) + a.source_offset, bytes);
      }
      return;
    }
    case TALARIA_OP_ZERO: {
      const talaria_tensor_view& target = view(node.as<talaria_zero_args>().target);
      runtime_.synchronize();
      std::memset(target.host, 0, static_cast<size_t>(target.bytes));
      return;
    }
    case TALARIA_OP_SIGNAL: {
      runtime_.synchronize();
      const auto* event = reinterpret_cast<const talaria_event_view*>(node.as<talaria_event_args>().event);
      return event->signal(event->event);
    }
    case TALARIA_OP_WAIT: {
      const auto* event = reinterpret_cast<const talaria_event_view*>(node.as<talaria_event_args>().event);
      int32_t waited = event->wait(event->event, wait_limit_ms_, cancelled_);
      if (waited != TALARIA_SIGNALLED && !cancelled()) throw no_signal(waited, wait_limit_ms_);
    }
  }
}

}  // namespace talaria::gpu
