// The CPU's ops: C++, one file per op; float32 activations, and int8 where they meet quantised weights in int8 mode. What
// takes the time is in simd/kernels.inl, behind simd.hpp.
//
// Every op takes its args struct with views in place of handles (talaria_backend.h), the batch, and a context with
// scratch memory of the size that its *_scratch function states in floats for a step's capacity. No op lets the number
// of threads, or the other rows of a batch, change a bit of what it computes for a row.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "../../native/include/talaria_backend.h"
#include "../../native/cpu/pool.hpp"
#include "../common/formats.h"
#include "pages.hpp"

namespace talaria::cpu {

// The memory of one of the CPU's own tensors.
class Memory {
 public:
  // Zeros; throws std::bad_alloc. One that is only counted has no data.
  Memory(const talaria_tensor_desc& desc, int64_t bytes, bool counted_only);
  uint8_t* data() const { return pages_.data(); }
  int32_t kind() const { return kind_; }
  int64_t bytes() const { return pages_bytes_; }  // that it takes, filled panels included
  // Copies bytes in; of a weight, whole rows in the file's layout, which are packed on the way.
  void write(int64_t offset, const uint8_t* source, int64_t bytes, Pool& pool);

 private:
  void write_plane(int64_t plane, int64_t first_row, const uint8_t* rows, int64_t count, Pool& pool);
  void write_panel(uint8_t* plane, int64_t begin, int64_t first_row, const uint8_t* rows, int64_t end_row);

  int32_t kind_, type_;
  bool packed_;
  int64_t plane_rows_, row_bytes_, pages_bytes_;
  Pages pages_;
};

inline const talaria_tensor_view& view(talaria_tensor field) {
  return *reinterpret_cast<const talaria_tensor_view*>(field);
}

// The bytes of a tensor: the CPU's own tensors are plain memory, like host tensors; weights as packed.hpp says.
inline uint8_t* bytes(const talaria_tensor_view& v) {
  return v.host != nullptr ? v.host : static_cast<Memory*>(v.object)->data();
}
inline float* floats(talaria_tensor field) { return reinterpret_cast<float*>(bytes(view(field))); }
inline int32_t* ints(talaria_tensor field) { return reinterpret_cast<int32_t*>(bytes(view(field))); }

// How a step computes.
struct Mode {
  bool int8;  // activations meet quantised weights as int8 blocks of 32
};

// What an op runs with.
struct Context {
  Mode mode;
  Pool& pool;
  float* scratch;
};

// A batch, as pointers into its words (args.h).
struct Batch {
  const talaria_batch_shape* shape;
  int32_t rows, wanted, masked;
  const int32_t *token, *position, *table, *wanted_row, *target, *adjust_begin, *adjust_token;
  const int32_t *adjust_penalty, *adjust_add;  // float32 by their bits
  const int32_t* block;
  const uint32_t* mask;

  Batch(const talaria_batch_shape& shape, const int32_t* words);
};

// A product of sizes, held at 2^56 so that a sum of a few cannot overflow: no memory holds either.
inline int64_t product(std::initializer_list<int64_t> sizes) {
  constexpr int64_t most = int64_t{1} << 56;
  int64_t result = 1;
  for (int64_t size : sizes) {
    if (__builtin_mul_overflow(result, size, &result) || result > most) result = most;
  }
  return result;
}

// --- numbers ----------------------------------------------------------------------------------------------------------

[[gnu::always_inline]] inline float half_to_float(uint16_t h) {
  uint32_t rest = static_cast<uint32_t>(h & 0x7fff) << 13;
  float value;
  if ((h & 0x7c00) == 0x7c00) rest |= 0x7f800000;  // infinities and NaN keep their mantissa
  std::memcpy(&value, &rest, 4);
  if ((h & 0x7c00) != 0x7c00) value *= 0x1p112f;  // moves the exponent, and is exact for subnormals too
  return h & 0x8000 ? -value : value;
}

uint16_t float_to_half(float value);  // to nearest, ties to even

// Decodes `values` values of a GGUF type: whole blocks.
void decode(int32_t type, const uint8_t* source, float* target, int64_t values);

// Encodes a row as the KV cache holds it (F32, F16 or Q8_0), and the bytes of such a row.
void encode_kv(int32_t type, const float* row, uint8_t* target, int64_t columns);
int64_t kv_row_bytes(int32_t type, int64_t columns);

float dot(const float* a, const float* b, int64_t n);
void rms_norm(const float* x, const float* norm, float epsilon, float* out, int64_t columns);

// --- ops --------------------------------------------------------------------------------------------------------------

void embed(const talaria_embed_args& a, const Batch& batch, const Context& context);

int64_t attention_input_scratch(const talaria_attention_input_args& a, const talaria_batch_shape& shape);
void attention_input(const talaria_attention_input_args& a, const Batch& batch, const Context& context);

int64_t attention_scratch(const talaria_attention_args& a, const talaria_batch_shape& shape, int32_t threads);
void attention(const talaria_attention_args& a, const Batch& batch, const Context& context);

int64_t attention_output_scratch(const talaria_attention_output_args& a, const talaria_batch_shape& shape);
void attention_output(const talaria_attention_output_args& a, const Batch& batch, const Context& context);

int64_t route_scratch(const talaria_route_args& a, const talaria_batch_shape& shape);
void route(const talaria_route_args& a, const Batch& batch, const Context& context);

int64_t experts_scratch(const talaria_experts_args& a, const talaria_batch_shape& shape, const Mode& mode);
void experts(const talaria_experts_args& a, const Batch& batch, const Context& context);

void add_slots(const talaria_add_slots_args& a, const Batch& batch);

int64_t top_logits_scratch(const talaria_top_logits_args& a, const talaria_batch_shape& shape);
void top_logits(const talaria_top_logits_args& a, const Batch& batch, const Context& context);

}  // namespace talaria::cpu
