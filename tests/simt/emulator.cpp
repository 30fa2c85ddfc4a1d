// Tests of the emulator: small kernels, right ones in every order and wrong ones that it must catch.
#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../kernels/gpu/dialect.h"
#include "expect.hpp"

using namespace talaria;
using simt::Order;

namespace {

constexpr Order orders[] = {Order::FORWARD, Order::REVERSE, Order::RANDOM};

struct TestArgs {
  uint32_t* out;
  uint32_t choice;
};

void expect_says(const std::string& text, const std::string& part) {
  expect(text.find(part) != std::string::npos, "\"" + text + "\" says \"" + part + "\"");
}

}  // namespace

KERNEL(numbers, TestArgs, 256) {
  uint64_t block = (uint64_t{block_z()} * ::talaria::simt::grid(1) + block_y()) * grid_x() + block_x();
  a.out[block * block_threads() + thread_index()]++;
}

KERNEL(shuffles, TestArgs, 256) {
  uint32_t t = thread_index();
  uint32_t sum = t;
  for (uint32_t step = 16; step > 0; step /= 2) sum += shuffle_xor(sum, step);
  uint32_t next = shuffle(t, lane_index() + 1);
  float third = shuffle(static_cast<float>(t), 3);
  a.out[t] = sum + 10000 * next + (third == static_cast<float>(t / 32 * 32 + 3) ? 0 : 1u << 31);
}

// What every lane of the hardware warp gives, after exchanges of other sizes, and across a barrier.
KERNEL(exchanges, TestArgs, 256) {
  uint64_t wide[8];
  for (uint32_t i = 0; i < 8; i++) wide[i] = thread_index() * 8 + i;
  simt::exchange(wide, sizeof wide);
  barrier();
  uint32_t wrong = 0;
  uint32_t first = thread_index() / LANES * LANES;
  for (uint32_t lane = 0; lane < LANES && first + lane < block_threads(); lane++) {
    uint64_t given[8];
    std::memcpy(given, simt::received(lane), sizeof given);
    for (uint32_t i = 0; i < 8; i++) wrong += given[i] != (first + lane) * 8 + i;
  }
  auto byte = static_cast<uint8_t>(thread_index() ^ 0x55);
  simt::exchange(&byte, 1);
  for (uint32_t lane = 0; lane < LANES && first + lane < block_threads(); lane++) {
    wrong += *static_cast<const uint8_t*>(simt::received(lane)) != static_cast<uint8_t>((first + lane) ^ 0x55);
  }
  a.out[thread_index()] = wrong;
}

namespace {
struct Rotation {
  uint32_t value[256];
};
}  // namespace

KERNEL(rotate, TestArgs, 256) {
  SHARED(Rotation, shared);
  uint32_t n = block_threads(), t = thread_index();
  for (uint32_t round = 0; round < 5; round++) {
    shared.value[t] = t + round;
    barrier();
    a.out[block_x() * n + t] = shared.value[(t + 37) % n];
    barrier();
  }
}

KERNEL(missing_barrier, TestArgs, 256) {
  SHARED(Rotation, shared);
  shared.value[thread_index()] = thread_index();
  if (a.choice == 1) barrier();
  a.out[thread_index()] = shared.value[(thread_index() + a.choice / 2 + 1) % block_threads()];
}

KERNEL(fresh_memory, TestArgs, 256) {
  SHARED(Rotation, shared);
  SHARED(Rotation, again);
  a.out[block_x() * block_threads() + thread_index()] = shared.value[thread_index()] + (&shared != &again);
  barrier();
  shared.value[thread_index()] = 1;
}

KERNEL(wrong, TestArgs, 256) {
  SHARED(Rotation, shared);
  uint32_t t = thread_index();
  switch (a.choice) {
    case 1:
      if (t < 48) barrier();
      break;
    case 2:
      if (t % 2 == 0) a.out[t] = shuffle_xor(t, 1);
      break;
    case 3:
      if (t / LANES == 1) warp_barrier();
      if (t / LANES == 1 && t % 4 != 0) barrier();
      if (t / LANES == 1 && t % 4 == 0) warp_barrier();
      barrier();
      break;
    case 4:
      if (t % 2 == 0) {
        a.out[t] = shuffle_xor(t, 2);
      } else {
        a.out[t] = shuffle_xor(t, 4);
      }
      break;
    case 5: {
      Words4 words = load_once<Words4>(reinterpret_cast<const char*>(a.out) + 8 + (t == 5 ? 4 : 8));
      a.out[t] = words.x;
      break;
    }
    case 6:
      barrier();
      if (t == 9) throw std::runtime_error("a long text that does not fit into the string itself");
      barrier();
      break;
    case 7: shared.value[t < 8 ? 256 + t : t] = 3; break;
    case 8: simt::shared(12); break;
    case 10:
      if (t < 64) barrier();
      break;
    case 11:
      if (t < 64) {
        barrier();
      } else {
        barrier();
      }
      break;
    case 9: {
      char much[129] = {};
      simt::exchange(much, sizeof much);
      break;
    }
  }
}

namespace {
struct Large {
  uint8_t bytes[simt::most_shared_bytes + 1];
};
struct Dynamic {
  uint8_t bytes[1000];
};
}  // namespace

KERNEL(too_large, TestArgs, 64) {
  SHARED(Large, shared);
  a.out[0] = shared.bytes[0];
}

KERNEL(dynamic, TestArgs, 64) {
  DYNAMIC_SHARED(Dynamic, shared);
  shared.bytes[999] = 1;
  shared.bytes[a.choice] = 2;
}

namespace {

void test_numbers() {
  for (Order order : orders) {
    for (uint32_t threads : {1u, 31u, 32u, 33u, 64u, 96u, 200u, 256u}) {
      std::vector<uint32_t> out(uint64_t{threads} * 7 * 3 * 2 + 1);
      expect_equal(complaint("numbers", {{7, 3, 2}, threads, 0}, TestArgs{out.data(), 0}, order), "");
      for (size_t i = 0; i + 1 < out.size(); i++) expect_equal(out[i], 1u);
      expect_equal(out.back(), 0u);
    }
  }
}

void test_shuffles() {
  for (Order order : orders) {
    for (uint32_t threads : {32u, 64u, 96u, 256u}) {
      std::vector<uint32_t> out(threads);
      expect_equal(complaint("shuffles", {{1, 1, 1}, threads, 0}, TestArgs{out.data(), 0}, order), "");
      for (uint32_t t = 0; t < threads; t++) {
        uint32_t first = t / 32 * 32;
        expect_equal(out[t], 32 * first + 31 * 16 + 10000 * (first + (t + 1) % 32));
      }
    }
    for (uint32_t threads : {1u, 40u, 64u, 100u, 256u}) {
      std::vector<uint32_t> out(threads, 9);
      expect_equal(complaint("exchanges", {{1, 1, 1}, threads, 0}, TestArgs{out.data(), 0}, order), "");
      for (uint32_t wrong : out) expect_equal(wrong, 0u);
    }
  }
}

void test_barriers() {
  for (Order order : orders) {
    for (uint32_t threads : {1u, 50u, 64u, 256u}) {
      std::vector<uint32_t> out(threads * 9);
      expect_equal(complaint("rotate", {{9, 1, 1}, threads, 0}, TestArgs{out.data(), 0}, order), "");
      for (uint32_t i = 0; i < out.size(); i++) expect_equal(out[i], (i % threads + 37) % threads + 4);
    }
  }
}

// Without the barrier some order shows it; with it none differs.
void test_orders() {
  for (uint32_t choice : {0u, 1u, 400u}) {
    std::vector<std::vector<uint32_t>> results;
    for (Order order : orders) {
      results.emplace_back(256);
      TestArgs args{results.back().data(), choice};
      expect_equal(complaint("missing_barrier", {{1, 1, 1}, 256, 0}, args, order), "");
    }
    bool same = results[0] == results[1] && results[0] == results[2];
    expect((results[0] == results[1]) == (choice == 1), "opposite orders agree exactly where the barrier is");
    expect(same == (choice == 1), "orders agree exactly where the barrier is");
  }
}

void test_shared_memory() {
  std::vector<uint32_t> out(256 * 20);
  expect_equal(complaint("fresh_memory", {{20, 1, 1}, 256, 0}, TestArgs{out.data(), 0}), "");
  for (uint32_t word : out) expect_equal(word, ~0u);
  expect_says(complaint("too_large", {{1, 1, 1}, 32, 0}, TestArgs{out.data(), 0}), "more than there are");
  expect_says(complaint("dynamic", {{1, 1, 1}, 32, 999}, TestArgs{out.data(), 0}), "its launch gives 999");
  expect_equal(complaint("dynamic", {{1, 1, 1}, 32, 1000}, TestArgs{out.data(), 0}), "");
  expect_equal(complaint("dynamic", {{1, 1, 1}, 32, 0}, TestArgs{out.data(), 0}), "");
#if !defined(__SANITIZE_ADDRESS__)
  std::string outside = "outside of the block's shared memory";
  expect_says(complaint("dynamic", {{1, 1, 1}, 32, 0}, TestArgs{out.data(), 1000}), outside);
  expect_says(complaint("wrong", {{1, 1, 1}, 256, 0}, TestArgs{out.data(), 7}), outside);
#endif
}

void test_mistakes() {
  alignas(16) static uint32_t out[1024];
  auto wrong = [&](uint32_t choice, Order order) {
    std::string text = complaint("wrong", {{2, 1, 1}, 128, 0}, TestArgs{out, choice}, order);
    std::vector<uint32_t> after(256);  // and the next run is none the worse for it
    expect_equal(complaint("rotate", {{1, 1, 1}, 256, 0}, TestArgs{after.data(), 0}, order), "");
    for (uint32_t t = 0; t < 256; t++) expect_equal(after[t], (t + 37) % 256 + 4);
    return text;
  };
  for (Order order : orders) {
    expect_equal(wrong(0, order), "");
    std::string barriers = wrong(1, order);
    expect_says(barriers, "kernel wrong, block (");
    expect_says(barriers, simt::lanes == 32 ? "16 threads wait at the barrier of emulator.cpp:"
                                            : "48 threads wait at the barrier of emulator.cpp:");
    expect_says(barriers, "16 threads have returned");
    std::string lost = wrong(2, order);
    expect_says(lost, std::to_string(simt::lanes / 2) + " threads wait at the exchange of 4 bytes of emulator.cpp:");
    expect_says(lost, std::to_string(simt::lanes / 2) + " threads have returned");
    std::string mixed = wrong(3, order);
    expect_says(mixed, std::to_string(simt::lanes / 4 * 3) + " threads wait at the barrier of emulator.cpp:");
    expect_says(mixed, std::to_string(simt::lanes / 4) + " threads wait at the warp's barrier of emulator.cpp:");
    std::string returned = wrong(10, order);
    expect_says(returned, "64 threads wait at the barrier of emulator.cpp:");
    expect_says(returned, "64 threads have returned");
    std::string apart = wrong(11, order);
    expect(apart.find("64 threads wait at") != apart.rfind("64 threads wait at"), apart);
    expect_says(wrong(4, order), "in hardware warp ");
    expect_says(wrong(5, order), "thread 5 reads from the misaligned address");
    expect_says(wrong(6, order), "a thread threw an exception: a long text that does not");
    expect_says(wrong(8, order), "declares shared memory twice");
    expect_says(wrong(9, order), "an exchange of more than 128 bytes");
  }
  expect_equal(wrong(1, Order::FORWARD).find("block (0, 0, 0)") != std::string::npos, true);
  expect_equal(wrong(1, Order::REVERSE).find("block (1, 0, 0)") != std::string::npos, true);
}

// Several devices run at once, a wrong kernel among them.
void test_runs_at_once() {
  std::atomic<uint32_t> wrong_words = 0, said = 0;
  std::vector<std::thread> threads;
  for (uint32_t number = 0; number < 4; number++) {
    threads.emplace_back([&, number] {
      for (uint32_t round = 0; round < 100; round++) {
        std::vector<uint32_t> out(128 * 16);
        if (number == 3) {
          std::string text = complaint("wrong", {{16, 1, 1}, 128, 0}, TestArgs{out.data(), 10});
          said += text.find("block (0, 0, 0)") != std::string::npos;
          continue;
        }
        said += complaint("rotate", {{16, 1, 1}, 128, 0}, TestArgs{out.data(), 0}, orders[number]).empty();
        for (uint32_t i = 0; i < out.size(); i++) wrong_words += out[i] != (i % 128 + 37) % 128 + 4;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_equal(said.load(), 400u);
  expect_equal(wrong_words.load(), 0u);
}

void test_launches() {
  uint32_t out[512] = {};
  TestArgs args{out, 0};
  expect_says(complaint("numbers", {{1, 1, 1}, 257, 0}, args), "blocks of 257 threads, it runs with 1 to 256");
  expect_says(complaint("numbers", {{1, 1, 1}, 0, 0}, args), "blocks of 0 threads");
  expect_says(complaint("numbers", {{1, 0, 1}, 32, 0}, args), "has no blocks");
  expect_says(complaint("numbers", {{1, 1, 65536}, 32, 0}, args), "too many");
  expect_says(complaint("numbers", {{1, 1, 1}, 32, simt::most_shared_bytes + 1}, args), "memory, there are");
  expect_says(complaint("numbers", {{1, 1, 1}, 32, 0}, uint64_t{0}), "passes 8 bytes of arguments, it takes 16");
  expect(simt::find("no_such_kernel") == nullptr, "there is no kernel of that name");
}

#if defined(__aarch64__)
using CompilersHalf = __fp16;
#else
using CompilersHalf = _Float16;
#endif

// Every half is what the compiler makes of it, and every float rounds to the nearest half, to the even one of two.
void test_halves() {
  auto compiled = [](float f) {
    auto half = static_cast<CompilersHalf>(f);
    uint16_t bits;
    std::memcpy(&bits, &half, 2);
    return bits;
  };
  for (uint32_t h = 0; h < 0x10000; h++) {
    auto bits = static_cast<uint16_t>(h);
    CompilersHalf half;
    std::memcpy(&half, &bits, 2);
    float value = half_to_float(bits);
    bool nan = (h & 0x7fff) > 0x7c00;
    bool right = nan ? value != value : float_bits(value) == float_bits(static_cast<float>(half));
    expect(right, "half " + std::to_string(h));
    if (nan) continue;
    for (int32_t step = -0x1001; step <= 0x1001; step += 0x1001 / 7) {
      float near = bits_float(float_bits(value) + static_cast<uint32_t>(step));
      if (near == near) expect_equal(float_to_half(near), compiled(near));
    }
    float middle = bits_float(float_bits(value) + 0x1000);
    if (middle == middle) expect_equal(float_to_half(middle), compiled(middle));
  }
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 65521) {
    float f = bits_float(static_cast<uint32_t>(bits));
    if (f == f) expect_equal(float_to_half(f), compiled(f));
  }
  expect((float_to_half(bits_float(0x7fc00000)) & 0x7fff) > 0x7c00, "NaN stays NaN");
  expect((float_to_half(bits_float(0xff800001)) & 0x7fff) > 0x7c00, "NaN stays NaN");
}

}  // namespace

// With "overrun", only writes past a block's memory: what the address sanitizer must see.
int main(int count, char** arguments) {
  if (count == 2 && std::string(arguments[1]) == "overrun") {
    uint32_t out = 0;
    std::puts(complaint("wrong", {{1, 1, 1}, 128, 0}, TestArgs{&out, 7}).c_str());
    return 0;
  }
  test_numbers();
  test_shuffles();
  test_barriers();
  test_orders();
  test_shared_memory();
  test_mistakes();
  test_runs_at_once();
  test_launches();
  test_halves();
  return report_expectations("emulator");
}
