// From the verbs of a step to launches of kernels: the launch logic that all GPU backends share.
//
// Verbs are fused where neighbours allow it: slots are added by the norm that comes next, and a row that will meet int8
// weights is rounded by the kernel that computes it. What has been put off or prepared so is in Composer's fields.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "exchange.hpp"

namespace talaria::gpu {

// How a step computes.
struct Mode {
  bool int8;       // activations meet quantised weights as int8 blocks of 32
  bool invariant;  // a row's bits may not depend on its company
};

// The scratch memory of a device: one step runs at a time, so all share it, and it is as large as the hungriest needs.
class Scratch {
 public:
  explicit Scratch(Runtime& runtime) : runtime_(runtime) {}
  // Memory of at least so many bytes, while nothing runs. Where it moves, all steps have to be composed anew.
  uint8_t* reserve(int64_t bytes);
  int64_t generation() const { return generation_; }  // changes when the memory moves
  int64_t bytes() const { return memory_.bytes(); }
  // RoPE's frequencies, [dims / 2], in 2^64ths of a turn per position (kernels/gpu/maths.h).
  const uint64_t* frequency(int32_t dims, float base);

 private:
  Runtime& runtime_;
  Memory memory_;
  int64_t generation_ = 0;
  std::map<std::pair<int32_t, float>, Memory> frequencies_;
};

// What scratch memory is for. Each purpose has a region of its own, as large as the op that needs most.
enum class Region {
  INPUT_VALUES, INPUT_CODES, INPUT_SCALES,           // rows of a norm, or of rounded activations
  ATTENDED_VALUES, ATTENDED_CODES, ATTENDED_SCALES,  // rows that attention prepared
  H_VALUES, H_CODES, H_SCALES,                       // rows that route prepared
  GATED_VALUES, GATED_CODES, GATED_SCALES,           // [R * K][F]
  GATE, UP,                                          // products of their own where types differ
  TILES, TILE_COUNT, PAIRS,
  K, V,
  ATTENTION, LOGITS, KEYS,
  count
};

class Composer {
 public:
  Composer(const talaria_batch_shape& shape, Mode mode, Runtime& runtime, Scratch& scratch, const int32_t* batch_words,
           HostPages& pages, const MeetingPlace& place);

  // Adds the launches of an op. `next` is the op that follows, or null.
  void add(const Node& node, const Node* next);
  // Adds what was put off.
  void flush();
  // The host is about to change tensors: what was prepared holds no longer.
  void forget() { attended_ = h_ = Prepared{}; }

  // Composing is done twice: first without memory, which only sizes the regions, and then with it.
  int64_t scratch_bytes() const;
  void place(uint8_t* memory);

  const std::vector<Launch>& launches() const { return launches_; }
  std::vector<Launch>& launches() { return launches_; }

  // Whether an op is left to the host: of copies, signals and waits, those that the device does not do by itself.
  bool on_host(const Node& node) const;

 private:
  void flush_slots();
  template <typename Value>
  Value* region(Region which, int64_t count);
  RowsArg rows(Region values, int64_t count, int64_t columns, bool as_values, bool as_codes);
  void push(const Launch& launch);
  bool takes_codes(int32_t type) const;

  // Forms of a tensor's rows that a kernel has prepared.
  struct Prepared {
    talaria_tensor tensor = 0;
    RowsArg rows{};
  };
  RowsArg prepared_for(talaria_tensor field, bool values, bool codes);
  RowsArg norm_rows(talaria_tensor x, talaria_tensor norm, float epsilon, bool values, bool codes, int32_t choice,
                    const BatchArg& batch, int64_t count);

  void embed(const talaria_embed_args& a);
  void attention_input(const talaria_attention_input_args& a);
  void attention(const talaria_attention_args& a, const Node* next);
  void attention_output(const talaria_attention_output_args& a);
  void route(const talaria_route_args& a, const Node* next);
  void experts(const talaria_experts_args& a);
  void add_slots(const talaria_add_slots_args& a);
  void top_logits(const talaria_top_logits_args& a);
  void zero(const talaria_zero_args& a);

  struct PairTiles {
    TilesArg list{};
    uint32_t most = 0;  // tiles that there may be
    bool wide = false;  // for matmul kernels
  };
  PairTiles sort(const talaria_experts_args& a);
  bool tiled(int64_t rows) const;
  bool tiled(int64_t rows, const WeightArg& weight) const;
  void product(const ProductArgs& args, int64_t most_rows) { product(args, most_rows, PairTiles{}); }
  void product(const ProductArgs& args, int64_t most_rows, const PairTiles& pairs);
  void attention_input_tiled(const talaria_attention_input_args& a, const AttentionInputArgs& args);
  void gate_and_up(const talaria_experts_args& a, const PairTiles& tiles, const RowsArg& gated);

  talaria_batch_shape shape_;
  Mode mode_;
  Runtime& runtime_;
  Scratch& scratch_;
  BatchArg batch_{};
  std::vector<Launch> launches_;
  int64_t region_bytes_[static_cast<int>(Region::count)] = {};
  uint8_t* region_at_[static_cast<int>(Region::count)] = {};
  Prepared attended_, h_;
  ExchangeComposer exchanges_;
  const talaria_add_slots_args* pending_slots_ = nullptr;
};

}  // namespace talaria::gpu
