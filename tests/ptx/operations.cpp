// What each instruction of PTX does to the lanes that run it, as the PTX ISA describes it. Names are whole, with all that is
// appended to them: what kernels do not use is not here, and a text with it is refused.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <thread>
#include <type_traits>
#include <unordered_map>

#include "machine.hpp"
#include "matrix.hpp"

namespace ptx {
namespace {

// --- registers as values ------------------------------------------------------------------------------------------------

template <typename T>
using Row = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <typename T>
Row<T>* row(Warp& warp, Operand o) {
  if constexpr (sizeof(T) == 8) {
    return warp.wide(o);
  } else {
    return warp.narrow(o);
  }
}

template <typename T>
T value(Row<T> bits) {
  if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<float>(bits);
  } else {
    return static_cast<T>(bits);
  }
}

// Narrow integers leave zeros above them, which nobody reads; of NaNs there is one.
template <typename T>
Row<T> bits(T v) {
  if constexpr (std::is_same_v<T, float>) {
    return float_bits(v);
  } else {
    return static_cast<Row<T>>(static_cast<std::make_unsigned_t<T>>(v));
  }
}

template <typename T>
struct Unsigned {
  using type = std::make_unsigned_t<T>;
};
template <>
struct Unsigned<float> {
  using type = float;
};

// --- arithmetic ---------------------------------------------------------------------------------------------------------

template <typename T, typename F>
void unary(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>* a = row<T>(w, i.from[0]);
  Row<T>* d = row<T>(w, i.to[0]);
  each(mask, [&](int l) { d[l] = bits<T>(F()(value<T>(a[l]))); });
}

template <typename T, typename F>
void binary(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>*a = row<T>(w, i.from[0]), *b = row<T>(w, i.from[1]);
  Row<T>* d = row<T>(w, i.to[0]);
  each(mask, [&](int l) { d[l] = bits<T>(static_cast<T>(F()(value<T>(a[l]), value<T>(b[l])))); });
}

template <typename T, typename F>
void ternary(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>*a = row<T>(w, i.from[0]), *b = row<T>(w, i.from[1]), *c = row<T>(w, i.from[2]);
  Row<T>* d = row<T>(w, i.to[0]);
  each(mask, [&](int l) { d[l] = bits<T>(static_cast<T>(F()(value<T>(a[l]), value<T>(b[l]), value<T>(c[l])))); });
}

// Integers wrap.
#define TALARIA_WRAPPING(name, op)                                                                   \
  struct name {                                                                                      \
    template <typename T>                                                                            \
    T operator()(T a, T b) const {                                                                   \
      using U = typename Unsigned<T>::type;                                                          \
      using W = std::conditional_t<(sizeof(U) < 4), uint32_t, U>;                                    \
      return static_cast<T>(static_cast<W>(static_cast<U>(a)) op static_cast<W>(static_cast<U>(b))); \
    }                                                                                                \
  };
TALARIA_WRAPPING(Add, +)
TALARIA_WRAPPING(Sub, -)
TALARIA_WRAPPING(Mul, *)
TALARIA_WRAPPING(And, &)
TALARIA_WRAPPING(Or, |)
TALARIA_WRAPPING(Xor, ^)
#undef TALARIA_WRAPPING
struct FloatAdd {
  float operator()(float a, float b) const { return a + b; }
};
struct FloatSub {
  float operator()(float a, float b) const { return a - b; }
};
struct FloatMul {
  float operator()(float a, float b) const { return a * b; }
};
struct FloatDiv {
  float operator()(float a, float b) const { return a / b; }
};
struct FloatFma {
  float operator()(float a, float b, float c) const { return std::fma(a, b, c); }
};
struct FloatNeg {
  float operator()(float a) const { return std::bit_cast<float>(std::bit_cast<uint32_t>(a) ^ 0x80000000u); }
};
struct FloatAbs {
  float operator()(float a) const { return std::fabs(a); }
};
struct FloatSqrt {
  float operator()(float a) const { return std::sqrt(a); }
};
struct FloatRcp {
  float operator()(float a) const { return 1.0f / a; }
};
struct FloatRound {
  float operator()(float a) const { return std::nearbyint(a); }
};
// Of a number and a NaN, the number; -0 is less than +0.
struct FloatMin {
  float operator()(float a, float b) const { return std::isnan(a) || b < a || (a == b && std::signbit(b)) ? b : a; }
};
struct FloatMax {
  float operator()(float a, float b) const { return std::isnan(a) || b > a || (a == b && std::signbit(a)) ? b : a; }
};

// A kernel that divides by zero is wrong, though a GPU goes on.
struct Div {
  template <typename T>
  T operator()(T a, T b) const {
    if (b == 0) throw Fault("a division by zero");
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return static_cast<T>(Sub()(T{0}, a));
    }
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <typename T>
  T operator()(T a, T b) const {
    if (b == 0) throw Fault("a division by zero");
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <typename T>
  T operator()(T a, T b) const {
    return std::min(a, b);
  }
};
struct Max {
  template <typename T>
  T operator()(T a, T b) const {
    return std::max(a, b);
  }
};
struct Neg {
  template <typename T>
  T operator()(T a) const {
    return Sub()(T{0}, a);
  }
};
struct Abs {
  template <typename T>
  T operator()(T a) const {
    return a < 0 ? Sub()(T{0}, a) : a;
  }
};
struct Not {
  template <typename T>
  T operator()(T a) const {
    return static_cast<T>(~a);
  }
};
struct MulAdd {
  template <typename T>
  T operator()(T a, T b, T c) const {
    return Add()(Mul()(a, b), c);
  }
};

// Products twice as wide as their factors.
template <typename T, typename D>
void multiply_wide(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>*a = row<T>(w, i.from[0]), *b = row<T>(w, i.from[1]);
  Row<D>* d = row<D>(w, i.to[0]);
  each(mask,
       [&](int l) { d[l] = bits<D>(static_cast<D>(static_cast<D>(value<T>(a[l])) * static_cast<D>(value<T>(b[l])))); });
}

template <typename T, typename D>
void multiply_wide_add(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>*a = row<T>(w, i.from[0]), *b = row<T>(w, i.from[1]);
  const Row<D>* c = row<D>(w, i.from[2]);
  Row<D>* d = row<D>(w, i.to[0]);
  each(mask, [&](int l) {
    const D product = static_cast<D>(static_cast<D>(value<T>(a[l])) * static_cast<D>(value<T>(b[l])));
    d[l] = bits<D>(Add()(product, value<D>(c[l])));
  });
}

// Amounts are of 32 bits; those beyond the width shift everything out.
template <typename T, bool left>
void shift(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>* a = row<T>(w, i.from[0]);
  const uint32_t* n = w.narrow(i.from[1]);
  Row<T>* d = row<T>(w, i.to[0]);
  each(mask, [&](int l) {
    const T v = value<T>(a[l]);
    const uint32_t by = std::min<uint32_t>(n[l], sizeof(T) * 8);
    if (by == sizeof(T) * 8) {
      d[l] = bits<T>(!left && std::is_signed_v<T> && v < 0 ? static_cast<T>(-1) : T{0});
    } else {
      d[l] = bits<T>(left ? static_cast<T>(v << by) : static_cast<T>(v >> by));
    }
  });
}

template <typename T>
void extract_bits(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t *a = w.narrow(i.from[0]), *at = w.narrow(i.from[1]), *count = w.narrow(i.from[2]);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) {
    const uint32_t n = std::min(count[l] & 255, 32u), beyond = 64 - n;
    // Above its bits a number goes on with its sign, and so does the field.
    using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    const Wide part = static_cast<Wide>(value<T>(a[l])) >> std::min(at[l] & 255, 63u);
    d[l] = n == 0 ? 0 : static_cast<uint32_t>(part << beyond >> beyond);
  });
}

template <typename T>
void insert_bits(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>*a = row<T>(w, i.from[0]), *b = row<T>(w, i.from[1]);
  const uint32_t *at = w.narrow(i.from[2]), *count = w.narrow(i.from[3]);
  Row<T>* d = row<T>(w, i.to[0]);
  each(mask, [&](int l) {
    const uint32_t from = at[l] & 255, n = count[l] & 255;
    T result = value<T>(b[l]);
    for (uint32_t k = 0; k < n && from + k < sizeof(T) * 8; k++) {
      const T bit = static_cast<T>(T{1} << (from + k));
      result = static_cast<T>((a[l] >> k & 1) != 0 ? result | bit : result & ~bit);
    }
    d[l] = bits<T>(result);
  });
}

void permute_bytes(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t *a = w.narrow(i.from[0]), *b = w.narrow(i.from[1]), *which = w.narrow(i.from[2]);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) {
    const uint64_t bytes = static_cast<uint64_t>(b[l]) << 32 | a[l];
    uint32_t result = 0;
    for (int k = 0; k < 4; k++) {
      const uint32_t choice = which[l] >> (4 * k) & 15;
      auto byte = static_cast<uint32_t>(bytes >> (8 * (choice & 7)) & 255);
      if ((choice & 8) != 0) byte = (byte & 128) != 0 ? 255 : 0;
      result |= byte << (8 * k);
    }
    d[l] = result;
  });
}

void dot_of_four(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t *a = w.narrow(i.from[0]), *b = w.narrow(i.from[1]), *c = w.narrow(i.from[2]);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) {
    int32_t sum = 0;
    for (int k = 0; k < 32; k += 8) sum += static_cast<int8_t>(a[l] >> k) * static_cast<int8_t>(b[l] >> k);
    d[l] = c[l] + static_cast<uint32_t>(sum);
  });
}

void subtract_halves(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t *a = w.narrow(i.from[0]), *b = w.narrow(i.from[1]);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) {
    uint32_t result = 0;
    for (int k = 0; k < 32; k += 16) {
      const float x = half_value(a[l] >> k), y = half_value(b[l] >> k);
      result |= half_bits(x - y) << k;  // a float has digits enough that to round twice is to round once
    }
    d[l] = result;
  });
}

// --- comparisons and choices ------------------------------------------------------------------------------------------------

template <typename T, typename F>
void compare(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>*a = row<T>(w, i.from[0]), *b = row<T>(w, i.from[1]);
  uint32_t result = 0;
  each(mask, [&](int l) { result |= static_cast<uint32_t>(F()(value<T>(a[l]), value<T>(b[l]))) << l; });
  uint32_t& p = w.predicate(i.to[0]);
  p = (p & ~mask) | result;
}

#define TALARIA_UNORDERED(name, op)                                                              \
  struct name {                                                                                  \
    bool operator()(float a, float b) const { return std::isnan(a) || std::isnan(b) || a op b; } \
  };
TALARIA_UNORDERED(EqualOrNan, ==)
TALARIA_UNORDERED(NotEqualOrNan, !=)
TALARIA_UNORDERED(LessOrNan, <)
TALARIA_UNORDERED(LessEqualOrNan, <=)
TALARIA_UNORDERED(GreaterOrNan, >)
TALARIA_UNORDERED(GreaterEqualOrNan, >=)
#undef TALARIA_UNORDERED
struct BothNumbers {
  bool operator()(float a, float b) const { return !std::isnan(a) && !std::isnan(b); }
};
struct EitherNan {
  bool operator()(float a, float b) const { return std::isnan(a) || std::isnan(b); }
};
struct NotEqualNumbers {
  bool operator()(float a, float b) const { return BothNumbers()(a, b) && a != b; }
};

template <typename T>
void select(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>*a = row<T>(w, i.from[0]), *b = row<T>(w, i.from[1]);
  Row<T>* d = row<T>(w, i.to[0]);
  const uint32_t p = w.predicate(i.from[2]);
  each(mask, [&](int l) { d[l] = (p >> l & 1) != 0 ? a[l] : b[l]; });
}

template <typename F>
void predicates(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t result = F()(w.predicate(i.from[0]), w.predicate(i.from[i.from[1].row < 0 ? 0 : 1]));
  uint32_t& p = w.predicate(i.to[0]);
  p = (p & ~mask) | (result & mask);
}
template <bool value>
void set_predicate(Warp& w, const Instruction& i, uint32_t mask) {
  uint32_t& p = w.predicate(i.to[0]);
  p = value ? p | mask : p & ~mask;
}
struct First {
  uint32_t operator()(uint32_t a, uint32_t) const { return a; }
};
struct NotFirst {
  uint32_t operator()(uint32_t a, uint32_t) const { return ~a; }
};

// --- moves ------------------------------------------------------------------------------------------------------------------

template <typename T>
void move(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<T>* a = row<T>(w, i.from[0]);
  Row<T>* d = row<T>(w, i.to[0]);
  each(mask, [&](int l) { d[l] = a[l]; });
}

// From two parts, or into them.
template <typename Whole, typename Part>
void pack(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<Part>*low = row<Part>(w, i.from[0]), *high = row<Part>(w, i.from[1]);
  Row<Whole>* d = row<Whole>(w, i.to[0]);
  each(mask, [&](int l) {
    d[l] = static_cast<Whole>(static_cast<Whole>(static_cast<Part>(high[l])) << (sizeof(Part) * 8) |
                              static_cast<Part>(low[l]));
  });
}
template <typename Whole, typename Part>
void unpack(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<Whole>* a = row<Whole>(w, i.from[0]);
  Row<Part>*low = row<Part>(w, i.to[0]), *high = row<Part>(w, i.to[1]);
  each(mask, [&](int l) {
    low[l] = static_cast<Part>(a[l]);
    high[l] = static_cast<Part>(a[l] >> (sizeof(Part) * 8));
  });
}

uint64_t base_of(Warp& w, Space space) {
  const std::vector<uint8_t>& memory = space == Space::BLOCK ? w.block().shared : w.block().local;
  return reinterpret_cast<uint64_t>(memory.data());
}

template <Space space, bool to_generic>
void change_space(Warp& w, const Instruction& i, uint32_t mask) {
  const uint64_t* a = w.wide(i.from[0]);
  uint64_t* d = w.wide(i.to[0]);
  each(mask, [&](int l) {
    uint64_t base = base_of(w, space);
    if (space == Space::THREAD)
      base += static_cast<uint64_t>(w.first_thread() + static_cast<uint32_t>(l)) * w.block().kernel.local_bytes;
    d[l] = to_generic ? a[l] + base : a[l] - base;
  });
}

// --- conversions --------------------------------------------------------------------------------------------------------------

// A narrow integer in a register of 16 or 32 bits keeps its sign there.
template <typename D, typename S>
void convert(Warp& w, const Instruction& i, uint32_t mask) {
  const Row<S>* a = row<S>(w, i.from[0]);
  Row<D>* d = row<D>(w, i.to[0]);
  each(mask, [&](int l) {
    const S v = value<S>(a[l]);
    if constexpr (std::is_same_v<D, float>) {
      d[l] = bits<float>(static_cast<float>(v));
    } else {
      d[l] = static_cast<Row<D>>(static_cast<D>(v));
    }
  });
}

// To the next integer by `round`; what is too large becomes the largest, and a NaN becomes 0.
template <typename D, float (*round)(float)>
void to_integer(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t* a = w.narrow(i.from[0]);
  Row<D>* d = row<D>(w, i.to[0]);
  each(mask, [&](int l) {
    const float v = round(value<float>(a[l]));
    constexpr double least = static_cast<double>(std::numeric_limits<D>::min()),
                     most = static_cast<double>(std::numeric_limits<D>::max());
    D result = 0;
    if (!std::isnan(v))
      result = v <= least  ? std::numeric_limits<D>::min()
               : v >= most ? std::numeric_limits<D>::max()
                           : static_cast<D>(v);
    d[l] = static_cast<Row<D>>(result);
  });
}
float towards_zero(float v) { return std::trunc(v); }
float to_nearest(float v) { return std::nearbyint(v); }

void from_half(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t* a = w.narrow(i.from[0]);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) { d[l] = bits<float>(half_value(a[l])); });
}
void to_half(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t* a = w.narrow(i.from[0]);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) { d[l] = half_bits(value<float>(a[l])); });
}

// --- memory -------------------------------------------------------------------------------------------------------------------

template <typename T>
void load(Warp& w, const Instruction& i, uint32_t mask) {
  uint8_t* where[lanes];
  w.locate(i, mask, i.from[0], false, where);
  for (int k = 0; k < i.vector; k++) {
    const Operand to = i.to[k];
    each(mask, [&](int l) {
      T v;
      std::memcpy(&v, where[l] + static_cast<size_t>(k) * sizeof(T), sizeof(T));
      if (to.wide) {
        w.wide(to)[l] =
            static_cast<uint64_t>(static_cast<std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>(v));
      } else {
        w.narrow(to)[l] =
            static_cast<uint32_t>(static_cast<std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>>(v));
      }
    });
  }
}

template <typename T>
void store(Warp& w, const Instruction& i, uint32_t mask) {
  uint8_t* where[lanes];
  w.locate(i, mask, i.from[0], true, where);
  for (int k = 0; k < i.vector; k++) {
    const Operand from = i.from[k + 1];
    each(mask, [&](int l) {
      const T v = static_cast<T>(from.wide ? w.wide(from)[l] : w.narrow(from)[l]);
      uint8_t* at = where[l] + static_cast<size_t>(k) * sizeof(T);
      if (i.space == Space::BLOCK) w.check_rewrite(i, l, at, &v, sizeof(T));
      std::memcpy(at, &v, sizeof(T));
    });
  }
}

// What meets others' accesses: words of 32 bits.
void load_relaxed(Warp& w, const Instruction& i, uint32_t mask) {
  uint8_t* where[lanes];
  w.locate(i, mask, i.from[0], false, where);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) { d[l] = __atomic_load_n(reinterpret_cast<uint32_t*>(where[l]), __ATOMIC_SEQ_CST); });
}
void store_relaxed(Warp& w, const Instruction& i, uint32_t mask) {
  uint8_t* where[lanes];
  w.locate(i, mask, i.from[0], true, where);
  const uint32_t* a = w.narrow(i.from[1]);
  each(mask, [&](int l) { __atomic_store_n(reinterpret_cast<uint32_t*>(where[l]), a[l], __ATOMIC_SEQ_CST); });
}
// A hint, but of memory that is there.
void prefetch_bulk(Warp& w, const Instruction& i, uint32_t mask) {
  const uint64_t* address = w.wide(i.from[0]);
  const uint32_t* bytes = w.narrow(i.from[1]);
  each(mask, [&](int l) {
    const uint64_t at = address[l] + static_cast<uint64_t>(i.offset);
    if (at % 16 != 0 || bytes[l] % 16 != 0) throw Fault("a bulk access of other than multiples of 16 bytes");
    if (bytes[l] == 0 || Memory::all().find(at, bytes[l]) == nullptr) {
      throw Fault("lane " + std::to_string(l) + " asks for " + std::to_string(bytes[l]) +
                  " bytes that nobody allocated");
    }
  });
}
void atomic_add(Warp& w, const Instruction& i, uint32_t mask) {
  uint8_t* where[lanes];
  w.locate(i, mask, i.from[0], true, where);
  const uint32_t* a = w.narrow(i.from[1]);
  uint32_t* d = w.narrow(i.to[0]);
  each(mask, [&](int l) { d[l] = __atomic_fetch_add(reinterpret_cast<uint32_t*>(where[l]), a[l], __ATOMIC_SEQ_CST); });
}

// --- lanes together -------------------------------------------------------------------------------------------------------------

template <bool exclusive_or>
void shuffle(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t *a = w.narrow(i.from[0]), *which = w.narrow(i.from[1]), *clamp = w.narrow(i.from[2]),
                 *members = w.narrow(i.from[3]);
  uint32_t* d = w.narrow(i.to[0]);
  uint32_t result[lanes];
  each(mask, [&](int l) {
    const auto lane = static_cast<uint32_t>(l);
    if (clamp[l] != 0x1f || members[l] != ~0u) throw Fault("a shuffle within a part of a warp");
    const uint32_t source = exclusive_or ? lane ^ (which[l] & 31) : which[l] & 31;
    if ((mask >> source & 1) == 0) throw Fault("a shuffle takes from a lane that has ended");
    result[l] = a[source];
  });
  each(mask, [&](int l) { d[l] = result[l]; });
}

void warp_barrier(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t* members = w.narrow(i.from[0]);
  each(mask, [&](int l) {
    if (members[l] != ~0u) throw Fault("a barrier of a part of a warp");
  });
  w.meet();
}
void nothing(Warp&, const Instruction&, uint32_t) {}
void wait_for_earlier(Warp& w, const Instruction&, uint32_t mask) { w.wait_for_earlier(mask); }
void full_fence(Warp&, const Instruction&, uint32_t) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void pause(Warp&, const Instruction&, uint32_t) { std::this_thread::yield(); }
void read_timer(Warp& w, const Instruction& i, uint32_t mask) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto time = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  uint64_t* d = w.wide(i.to[0]);
  each(mask, [&](int l) { d[l] = time; });
}

// --- the list ---------------------------------------------------------------------------------------------------------------------

using Table = std::unordered_map<std::string, Instruction>;

struct Adder {
  Table& table;

  void operator()(const std::string& name, Run run, Class kind = Class::INTEGER, Flow flow = Flow::NEXT) const {
    Instruction i;
    i.run = run, i.kind = kind, i.flow = flow;
    table[name] = i;
  }
  void memory(const std::string& name, Run run, Space space, size_t bytes, int vector = 1, bool exempt = false) const {
    Instruction i;
    i.run = run, i.kind = Class::MEMORY, i.space = space, i.bytes = static_cast<uint8_t>(bytes),
    i.vector = static_cast<uint8_t>(vector);
    i.exempt = exempt;
    table[name] = i;
  }
};

template <typename T>
void add_integers(const Adder& add, const std::string& type) {
  add("add." + type, binary<T, Add>);
  add("sub." + type, binary<T, Sub>);
  add("mul.lo." + type, binary<T, Mul>);
  add("mad.lo." + type, ternary<T, MulAdd>);
  add("div." + type, binary<T, Div>);
  add("rem." + type, binary<T, Rem>);
  add("min." + type, binary<T, Min>);
  add("max." + type, binary<T, Max>);
  add("shr." + type, shift<T, false>);
  add("setp.eq." + type, compare<T, std::equal_to<T>>);
  add("setp.ne." + type, compare<T, std::not_equal_to<T>>);
  add("setp.lt." + type, compare<T, std::less<T>>);
  add("setp.le." + type, compare<T, std::less_equal<T>>);
  add("setp.gt." + type, compare<T, std::greater<T>>);
  add("setp.ge." + type, compare<T, std::greater_equal<T>>);
  add("selp." + type, select<T>);
  add("mov." + type, move<T>, Class::MOVE);
}

template <typename T>
void add_signed(const Adder& add, const std::string& type) {
  add("neg." + type, unary<T, Neg>);
  add("abs." + type, unary<T, Abs>);
}

template <typename T>
void add_bits(const Adder& add, const std::string& type) {
  add("and." + type, binary<T, And>);
  add("or." + type, binary<T, Or>);
  add("xor." + type, binary<T, Xor>);
  add("not." + type, unary<T, Not>);
  add("shl." + type, shift<T, true>);
  add("shr." + type, shift<T, false>);
  add("setp.eq." + type, compare<T, std::equal_to<T>>);
  add("setp.ne." + type, compare<T, std::not_equal_to<T>>);
  add("selp." + type, select<T>);
  add("mov." + type, move<T>, Class::MOVE);
}

template <typename D>
void add_conversions_to(const Adder& add, const std::string& type) {
  add("cvt." + type + ".s8", convert<D, int8_t>);
  add("cvt." + type + ".u8", convert<D, uint8_t>);
  add("cvt." + type + ".s16", convert<D, int16_t>);
  add("cvt." + type + ".u16", convert<D, uint16_t>);
  add("cvt." + type + ".s32", convert<D, int32_t>);
  add("cvt." + type + ".u32", convert<D, uint32_t>);
  add("cvt." + type + ".s64", convert<D, int64_t>);
  add("cvt." + type + ".u64", convert<D, uint64_t>);
}

void add_floats(const Adder& add) {
  add("add.rn.f32", binary<float, FloatAdd>, Class::FLOAT);
  add("sub.rn.f32", binary<float, FloatSub>, Class::FLOAT);
  add("mul.rn.f32", binary<float, FloatMul>, Class::FLOAT);
  add("div.rn.f32", binary<float, FloatDiv>, Class::FLOAT);
  add("fma.rn.f32", ternary<float, FloatFma>, Class::FLOAT);
  add("neg.f32", unary<float, FloatNeg>, Class::FLOAT);
  add("abs.f32", unary<float, FloatAbs>, Class::FLOAT);
  add("sqrt.rn.f32", unary<float, FloatSqrt>, Class::FLOAT);
  add("rcp.rn.f32", unary<float, FloatRcp>, Class::FLOAT);
  add("min.f32", binary<float, FloatMin>, Class::FLOAT);
  add("max.f32", binary<float, FloatMax>, Class::FLOAT);
  add("cvt.rni.f32.f32", unary<float, FloatRound>, Class::FLOAT);
  add("setp.eq.f32", compare<float, std::equal_to<float>>);
  add("setp.ne.f32", compare<float, NotEqualNumbers>);
  add("setp.lt.f32", compare<float, std::less<float>>);
  add("setp.le.f32", compare<float, std::less_equal<float>>);
  add("setp.gt.f32", compare<float, std::greater<float>>);
  add("setp.ge.f32", compare<float, std::greater_equal<float>>);
  add("setp.equ.f32", compare<float, EqualOrNan>);
  add("setp.neu.f32", compare<float, NotEqualOrNan>);
  add("setp.ltu.f32", compare<float, LessOrNan>);
  add("setp.leu.f32", compare<float, LessEqualOrNan>);
  add("setp.gtu.f32", compare<float, GreaterOrNan>);
  add("setp.geu.f32", compare<float, GreaterEqualOrNan>);
  add("setp.num.f32", compare<float, BothNumbers>);
  add("setp.nan.f32", compare<float, EitherNan>);
  add("selp.f32", select<float>);
  add("mov.f32", move<float>, Class::MOVE);
  add("cvt.f32.f16", from_half);
  add("cvt.rn.f16.f32", to_half);
  add("cvt.rzi.s32.f32", to_integer<int32_t, towards_zero>);
  add("cvt.rzi.s16.f32", to_integer<int16_t, towards_zero>);
  add("cvt.rni.s32.f32", to_integer<int32_t, to_nearest>);
  add("sub.rn.f16x2", subtract_halves, Class::FLOAT);
}

// Who touched block memory is known by words: there are no accesses to parts of one.
template <typename T>
void add_accesses(const Adder& add, const std::string& type) {
  for (int vector : {1, 2, 4}) {
    const std::string form = (vector == 1 ? "." : ".v" + std::to_string(vector) + ".") + type;
    const std::pair<const char*, Space> spaces[] = {
        {".global", Space::GRID}, {".shared", Space::BLOCK}, {".local", Space::THREAD}, {"", Space::GENERIC}};
    for (auto& [name, space] : spaces) {
      if (space == Space::BLOCK && sizeof(T) < 4) continue;
      add.memory("ld" + (name + form), load<T>, space, sizeof(T), vector);
      add.memory("st" + (name + form), store<T>, space, sizeof(T), vector);
    }
    add.memory("ld.param" + form, load<T>, Space::PARAMETER, sizeof(T), vector);
    for (const char* name : {"ld.global.nc", "ld.global.nc.L1::no_allocate"}) {
      add.memory(name + form, load<T>, Space::GRID, sizeof(T), vector);
      add.table[name + form].unchanging = true;
    }
  }
}

Table make_table() {
  Table table;
  const Adder add{table};
  add_integers<int16_t>(add, "s16"), add_integers<uint16_t>(add, "u16"), add_integers<int32_t>(add, "s32");
  add_integers<uint32_t>(add, "u32"), add_integers<int64_t>(add, "s64"), add_integers<uint64_t>(add, "u64");
  add_signed<int16_t>(add, "s16"), add_signed<int32_t>(add, "s32"), add_signed<int64_t>(add, "s64");
  add_bits<uint16_t>(add, "b16"), add_bits<uint32_t>(add, "b32"), add_bits<uint64_t>(add, "b64");
  add("mul.wide.s16", multiply_wide<int16_t, int32_t>);
  add("mul.wide.u16", multiply_wide<uint16_t, uint32_t>);
  add("mul.wide.s32", multiply_wide<int32_t, int64_t>);
  add("mul.wide.u32", multiply_wide<uint32_t, uint64_t>);
  add("mad.wide.s32", multiply_wide_add<int32_t, int64_t>);
  add("mad.wide.u32", multiply_wide_add<uint32_t, uint64_t>);
  add("bfe.s32", extract_bits<int32_t>);
  add("bfe.u32", extract_bits<uint32_t>);
  add("bfi.b32", insert_bits<uint32_t>);
  add("bfi.b64", insert_bits<uint64_t>);
  add("prmt.b32", permute_bytes);
  add("dp4a.s32.s32", dot_of_four, Class::DOT);
  add_floats(add);
  add("and.pred", predicates<std::bit_and<uint32_t>>);
  add("or.pred", predicates<std::bit_or<uint32_t>>);
  add("xor.pred", predicates<std::bit_xor<uint32_t>>);
  add("not.pred", predicates<NotFirst>);
  add("mov.pred", predicates<First>, Class::MOVE);
  add("mov.pred.true", set_predicate<true>, Class::MOVE);
  add("mov.pred.false", set_predicate<false>, Class::MOVE);
  add("mov.b64.pack", pack<uint64_t, uint32_t>, Class::MOVE);
  add("mov.b64.unpack", unpack<uint64_t, uint32_t>, Class::MOVE);
  add("mov.b32.pack", pack<uint32_t, uint16_t>, Class::MOVE);
  add("mov.b32.unpack", unpack<uint32_t, uint16_t>, Class::MOVE);
  add_conversions_to<int8_t>(add, "s8"), add_conversions_to<uint8_t>(add, "u8"),
      add_conversions_to<int16_t>(add, "s16");
  add_conversions_to<uint16_t>(add, "u16"), add_conversions_to<int32_t>(add, "s32"),
      add_conversions_to<uint32_t>(add, "u32");
  add_conversions_to<int64_t>(add, "s64"), add_conversions_to<uint64_t>(add, "u64"),
      add_conversions_to<float>(add, "rn.f32");
  add("cvta.to.global.u64", move<uint64_t>, Class::MOVE);
  add("cvta.global.u64", move<uint64_t>, Class::MOVE);
  add("cvta.shared.u64", change_space<Space::BLOCK, true>);
  add("cvta.to.shared.u64", change_space<Space::BLOCK, false>);
  add("cvta.local.u64", change_space<Space::THREAD, true>);
  add("cvta.to.local.u64", change_space<Space::THREAD, false>);
  add_accesses<int8_t>(add, "s8"), add_accesses<uint8_t>(add, "u8"), add_accesses<uint8_t>(add, "b8");
  add_accesses<int16_t>(add, "s16"), add_accesses<uint16_t>(add, "u16"), add_accesses<uint16_t>(add, "b16");
  add_accesses<int32_t>(add, "s32"), add_accesses<uint32_t>(add, "u32"), add_accesses<uint32_t>(add, "b32"),
      add_accesses<uint32_t>(add, "f32");
  add_accesses<int64_t>(add, "s64"), add_accesses<uint64_t>(add, "u64"), add_accesses<uint64_t>(add, "b64");
  add.memory("ld.relaxed.sys.global.u32", load_relaxed, Space::GRID, 4, 1, true);
  add.memory("st.relaxed.sys.global.u32", store_relaxed, Space::GRID, 4, 1, true);
  add.memory("cp.async.bulk.prefetch.L2.global", prefetch_bulk, Space::GRID, 16, 1, true);
  add.memory("atom.add.u32", atomic_add, Space::GENERIC, 4, 1, true);
  add("shfl.sync.bfly.b32", shuffle<true>, Class::OTHER, Flow::WARP);
  add("shfl.sync.idx.b32", shuffle<false>, Class::OTHER, Flow::WARP);
  add("bar.warp.sync", warp_barrier, Class::CONTROL, Flow::WARP);
  add("barrier.sync", nothing, Class::CONTROL, Flow::BLOCK_BARRIER);
  add("bra", nothing, Class::CONTROL, Flow::BRANCH);
  add("bra.uni", nothing, Class::CONTROL, Flow::BRANCH);
  add("ret", nothing, Class::CONTROL, Flow::EXIT);
  add("exit", nothing, Class::CONTROL, Flow::EXIT);
  add("griddepcontrol.wait", wait_for_earlier, Class::CONTROL);
  add("griddepcontrol.launch_dependents", nothing, Class::CONTROL);
  add("fence.sc.sys", full_fence, Class::CONTROL);
  add("nanosleep.u32", pause, Class::CONTROL);
  add("mov.u64.globaltimer", read_timer);
  for (const MatrixOperation& m : matrix_operations()) {
    add(m.name, m.run, Class::MATRIX, Flow::WARP);
    if (m.loads) table[m.name].space = Space::BLOCK, table[m.name].bytes = 16, table[m.name].kind = Class::MEMORY;
  }
  return table;
}

}  // namespace

bool find_operation(const std::string& name, Instruction& instruction) {
  static const Table& table = *new Table(make_table());
  auto found = table.find(name);
  if (found == table.end()) return false;
  Instruction with = found->second;
  with.guard = instruction.guard, with.guard_negated = instruction.guard_negated, with.text = instruction.text;
  instruction = with;
  return true;
}

bool writes_wide(const std::string& name) {
  auto ends_with = [&](const char* end) { return name.size() >= 2 && name.compare(name.size() - 2, 2, end) == 0; };
  if (name == "mov.b64.pack" || name == "mov.u64.globaltimer") return true;
  if (name.rfind("mul.wide", 0) == 0 || name.rfind("mad.wide", 0) == 0) return ends_with("32");
  if (name.rfind("cvt.", 0) == 0) return name.find("64") < name.rfind('.');
  return ends_with("64");
}

bool reads_wide(const std::string& name, int index) {
  if (name == "mov.b64.pack") return false;
  if (name.rfind("mad.wide", 0) == 0) return index == 2;
  if (name.rfind("mul.wide", 0) == 0) return false;
  if (name.rfind("shl.", 0) == 0 || name.rfind("shr.", 0) == 0) {
    if (index == 1) return false;
  }
  if (name.rfind("bfi.", 0) == 0 && index >= 2) return false;
  std::string full = name.substr(0, name.find(".unpack"));
  return full.size() >= 2 && full.compare(full.size() - 2, 2, "64") == 0;
}

}  // namespace ptx
