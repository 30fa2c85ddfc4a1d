// Waits, copies and signals as launches: what a device does by itself of meeting others, without the host between.
#pragma once

#include <map>
#include <vector>

#include "tensor.hpp"

namespace talaria::gpu {

// An op with a copy of its args, views in place of handles.
struct Node {
  int32_t op;
  std::vector<uint64_t> args;
  template <typename Args>
  const Args& as() const {
    return *reinterpret_cast<const Args*>(args.data());
  }
};

// Pages of the host that a step's kernels reach: those of its host tensors and events, which it keeps alive.
class HostPages {
 public:
  explicit HostPages(Runtime& runtime) : runtime_(runtime) {}
  HostPages(const HostPages&) = delete;
  HostPages& operator=(const HostPages&) = delete;
  ~HostPages();
  // The device's address of memory that begins with a page; mapped once.
  uint8_t* map(void* memory, int64_t bytes);

 private:
  Runtime& runtime_;
  std::map<void*, void*> mapped_;
};

// What a device's steps share of meeting others, and what is a step's own.
struct MeetingPlace {
  Meetings* meetings = nullptr;  // in pinned memory
  uint32_t* failed = nullptr;    // on the device
  int32_t limit_ms = 0;
};

// Puts waits, copies and signals that follow one another into one launch where that is as fast as several.
class ExchangeComposer {
 public:
  ExchangeComposer(Runtime& runtime, HostPages& pages, const MeetingPlace& place, const int32_t* header, int32_t rows);

  // Whether the device can do an op by itself.
  bool takes(const Node& node) const;
  void add(const Node& node, std::vector<Launch>& launches);
  void flush(std::vector<Launch>& launches);

 private:
  uint8_t* address_of(talaria_tensor field);
  talaria_event_cell* cell_of(const Node& node);
  bool depends(const RowsOnTheWay& rows) const;

  Runtime& runtime_;
  HostPages& pages_;
  MeetingPlace place_;
  int32_t rows_;
  ExchangeArgs next_{};  // what has not become a launch yet
  ExchangeArgs nothing_{};
};

}  // namespace talaria::gpu
