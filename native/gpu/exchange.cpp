#include "exchange.hpp"

#include <algorithm>

namespace talaria::gpu {

HostPages::~HostPages() {
  for (const auto& [memory, address] : mapped_) runtime_.unmap_host(memory);
}

uint8_t* HostPages::map(void* memory, int64_t bytes) {
  auto found = mapped_.find(memory);
  if (found == mapped_.end()) found = mapped_.emplace(memory, runtime_.map_host(memory, bytes)).first;
  return static_cast<uint8_t*>(found->second);
}

ExchangeComposer::ExchangeComposer(Runtime& runtime, HostPages& pages, const MeetingPlace& place, const int32_t* header,
                                   int32_t rows)
    : runtime_(runtime), pages_(pages), place_(place), rows_(rows) {
  nothing_.header = header;
  nothing_.meetings = place.meetings, nothing_.failed = place.failed, nothing_.limit_ms = place.limit_ms;
  next_ = nothing_;
}

bool ExchangeComposer::takes(const Node& node) const {
  if ((runtime_.properties().needs & EXCHANGE) == 0) return false;
  if (node.op != TALARIA_OP_COPY) return node.op == TALARIA_OP_SIGNAL || node.op == TALARIA_OP_WAIT;
  const auto& a = node.as<talaria_copy_args>();
  return view(a.target).host == nullptr || view(a.source).host == nullptr;
}

uint8_t* ExchangeComposer::address_of(talaria_tensor field) {
  const talaria_tensor_view& tensor = view(field);
  return tensor.host != nullptr ? pages_.map(tensor.host, tensor.bytes) : address<uint8_t>(field);
}

talaria_event_cell* ExchangeComposer::cell_of(const Node& node) {
  talaria_event_cell* cell =
      reinterpret_cast<const talaria_event_view*>(node.as<talaria_event_args>().event)->cell;
  return reinterpret_cast<talaria_event_cell*>(pages_.map(cell, sizeof *cell));
}

void ExchangeComposer::add(const Node& node, std::vector<Launch>& launches) {
  bool full = next_.signal != nullptr;  // which comes last
  if (node.op == TALARIA_OP_WAIT) full |= next_.wait != nullptr || next_.copies > 0;
  if (node.op != TALARIA_OP_COPY) {
    if (full) flush(launches);
    (node.op == TALARIA_OP_WAIT ? next_.wait : next_.signal) = cell_of(node);
    return;
  }
  const auto& a = node.as<talaria_copy_args>();
  RowsOnTheWay rows;
  rows.target = reinterpret_cast<uint32_t*>(address_of(a.target) + a.target_offset);
  rows.source = reinterpret_cast<const uint32_t*>(address_of(a.source) + a.source_offset);
  rows.row_words = a.row_bytes / 4;
  full |= next_.copies == static_cast<int32_t>(std::size(next_.copy)) || depends(rows);
  if (full) flush(launches);
  next_.copy[next_.copies++] = rows;
}

// Whether rows are read or written that a copy before, which has not become a launch yet, writes; or written that it reads.
bool ExchangeComposer::depends(const RowsOnTheWay& rows) const {
  auto overlap = [&](const uint32_t* a, int64_t a_words, const uint32_t* b, int64_t b_words) {
    return a < b + b_words * rows_ && b < a + a_words * rows_;
  };
  for (int32_t i = 0; i < next_.copies; i++) {
    const RowsOnTheWay& before = next_.copy[i];
    if (overlap(rows.source, rows.row_words, before.target, before.row_words) ||
        overlap(rows.target, rows.row_words, before.target, before.row_words) ||
        overlap(rows.target, rows.row_words, before.source, before.row_words)) {
      return true;
    }
  }
  return false;
}

// A block alone has its words on their way at once up to some tens of kilobytes, a row or a few. For more, many blocks
// copy, and one before and one behind them wait and signal.
void ExchangeComposer::flush(std::vector<Launch>& launches) {
  constexpr int64_t words_of_a_block = 16384;
  ExchangeArgs all = next_;
  next_ = nothing_;
  if (all.wait == nullptr && all.copies == 0 && all.signal == nullptr) return;
  auto push = [&](int64_t blocks, const ExchangeArgs& args) {
    launches.push_back(Launch::of(Kernel::exchange, static_cast<uint32_t>(blocks), 1, 1, 1024, args));
    launches.back().dependent = true;
  };
  int64_t words = 0;
  for (int32_t i = 0; i < all.copies; i++) words = std::max(words, all.copy[i].row_words * rows_);
  if (words <= words_of_a_block) return push(1, all);
  if (all.wait != nullptr) {
    ExchangeArgs wait = nothing_;
    wait.wait = all.wait;
    push(1, wait);
  }
  ExchangeArgs copies = all;
  copies.wait = copies.signal = nullptr;
  push(std::min<int64_t>((words + words_of_a_block - 1) / words_of_a_block, runtime_.properties().copy_blocks), copies);
  if (all.signal != nullptr) {
    ExchangeArgs signal = nothing_;
    signal.signal = all.signal;
    push(1, signal);
  }
}

}  // namespace talaria::gpu
