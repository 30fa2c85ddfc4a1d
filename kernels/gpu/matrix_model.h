// What the emulator's models of matrix instructions share: fragments of all lanes, and sums of products of packed elements.
#pragma once

#include "dialect.h"

namespace matrix_model {

// The words that each lane of a hardware warp holds of A and of B.
template <uint32_t a_words, uint32_t b_words>
class Fragments {
 public:
  Fragments(const uint32_t (&a)[a_words], const uint32_t (&b)[b_words], const char* file, int line) {
    uint32_t mine[a_words + b_words];
    std::memcpy(mine, a, sizeof a);
    std::memcpy(mine + a_words, b, sizeof b);
    ::talaria::simt::exchange(mine, sizeof mine, file, line);
  }
  uint32_t a(uint32_t lane, uint32_t word) const { return word_of(lane, word); }
  uint32_t b(uint32_t lane, uint32_t word) const { return word_of(lane, a_words + word); }

 private:
  static uint32_t word_of(uint32_t lane, uint32_t word) {
    uint32_t value;
    std::memcpy(&value, static_cast<const char*>(::talaria::simt::received(lane)) + 4 * word, sizeof value);
    return value;
  }
};

struct Half {
  static float decode(uint16_t bits) { return half_to_float(bits); }
};
struct Bfloat {
  static float decode(uint16_t bits) { return bits_float(static_cast<uint32_t>(bits) << 16); }
};

// A sum of products of words' elements. Two 16-bit elements a word: products are exact in double, the sum is rounded once.
template <typename Element>
class Sums {
 public:
  explicit Sums(float begin) : sum_(begin) {}
  void add(uint32_t a, uint32_t b) {
    for (int i = 0; i < 2; i++) {
      double product = Element::decode(static_cast<uint16_t>(a >> 16 * i));
      product *= Element::decode(static_cast<uint16_t>(b >> 16 * i));
      sum_ += product;
    }
  }
  float value() const { return static_cast<float>(sum_); }

 private:
  double sum_;
};
// Four 8-bit elements a word: modulo 2^32.
template <>
class Sums<int8_t> {
 public:
  explicit Sums(int32_t begin) : sum_(static_cast<uint32_t>(begin)) {}
  void add(uint32_t a, uint32_t b) { sum_ += static_cast<uint32_t>(dot4(a, b, 0)); }
  int32_t value() const { return static_cast<int32_t>(sum_); }

 private:
  uint32_t sum_;
};

}  // namespace matrix_model
