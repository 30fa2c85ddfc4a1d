// Tests of the emulator's runtime, with kernels of its own under the names of real ones.
#include <cstdlib>
#include <functional>
#include <vector>

#include "../../kernels/gpu/dialect.h"
#include "../../native/gpu/runtime.h"
#include "expect.hpp"
#include "faults.h"

using namespace talaria;
using namespace talaria::gpu;

// Writes `value` to the bytes; or, above 255, one byte at value - 1000 from the beginning.
KERNEL(fill, FillArgs, 256) {
  if (a.value < 256) {
    for (int64_t i = thread_index(); i < a.bytes; i += block_threads()) a.target[i] = static_cast<uint8_t>(a.value);
  } else if (thread_index() == 0) {
    a.target[static_cast<int64_t>(a.value) - 1000] = 1;
  }
}

// Each thread numbers itself as it comes; a warp of it that is alone at a barrier ends the launch.
KERNEL(read_bandwidth, ReadArgs, 256) {
  a.sums[thread_index() + 1] = a.sums[0]++;
  if (a.bytes == 1 && thread_index() < 64) barrier();
}

namespace {

Launch fill_launch(void* target, int64_t bytes, uint32_t value) {
  return Launch::of(Kernel::fill, 1, 1, 1, 64, FillArgs{static_cast<uint8_t*>(target), bytes, value, 0});
}

Launch count_launch(void* sums, uint32_t threads, int64_t bytes) {
  return Launch::of(Kernel::read_bandwidth, 1, 1, 1, threads, ReadArgs{nullptr, static_cast<uint32_t*>(sums), bytes});
}

// What `call` throws.
Fault fault_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Fault& fault) {
    return fault;
  }
  return {0, ""};
}

void expect_fault(const std::function<void()>& call, int32_t code, const std::string& part) {
  Fault fault = fault_of(call);
  expect_equal(fault.code, code);
  expect(fault.text.find(part) != std::string::npos, "\"" + fault.text + "\" says \"" + part + "\"");
}

void set(const char* name, const char* value) {
  if (value == nullptr) {
    unsetenv(name);
  } else {
    setenv(name, value, 1);
  }
}

void test_devices() {
  expect_equal(std::string(driver().name()), "simt");
  expect_equal(driver().device_count(), 1);
  set("TALARIA_SIMT_DEVICES", "8");
  expect_equal(driver().device_count(), 8);
  set("TALARIA_SIMT_DEVICES", "9");
  expect_equal(driver().device_count(), 1);
  set("TALARIA_SIMT_DEVICES", nullptr);
  expect_fault([] { driver().open(1); }, TALARIA_INVALID, "no emulated device 1");
  expect_fault([] { driver().properties(-1); }, TALARIA_INVALID, "no emulated device -1");
  Properties p = driver().properties(0);
  expect_equal(p.architecture, simt::lanes == 64 ? "simt64" : "simt32");
  expect_equal(p.lanes, static_cast<int32_t>(simt::lanes));
  expect_equal(p.memory_bytes, int64_t{4} << 30);
  expect_equal(p.needs, EXCHANGE | (simt::lanes == 64 ? MFMA : MMA_INT8 | MMA_F16));
  set("TALARIA_SIMT_NEEDS", "8");
  expect_equal(driver().properties(0).needs, static_cast<uint32_t>(WMMA));
  set("TALARIA_SIMT_NEEDS", "0");
  expect_equal(driver().open(0)->properties().needs, static_cast<uint32_t>(ANY));
  set("TALARIA_SIMT_NEEDS", nullptr);
}

void test_memory() {
  set("TALARIA_SIMT_MEMORY", "100000");
  auto runtime = driver().open(0);
  expect_equal(runtime->free_bytes(), int64_t{100000});
  void* first = runtime->allocate(1000, "the first");
  expect_equal(reinterpret_cast<uintptr_t>(first) % 256, uintptr_t{0});
  expect_equal(runtime->free_bytes(), int64_t{100000 - 1024});
  expect_equal(driver().free_bytes(0), int64_t{100000 - 1024});
  expect_equal(talaria_simt_allocated(), int64_t{1024});
  std::vector<uint8_t> bytes(1000);
  runtime->download(bytes.data(), first, 1000);
  for (uint8_t byte : bytes) expect_equal(byte, 0xFF);
  expect_fault([&] { runtime->allocate(99000, "'gate'"); }, TALARIA_OUT_OF_MEMORY,
               "'gate' needs 99000 bytes, 98976 are free");
  expect_fault([&] { runtime->allocate(INT64_MAX, "much"); }, TALARIA_OUT_OF_MEMORY,
               "much needs 9223372036854775807 bytes");
  void* second = runtime->allocate(98000, "the second");
  runtime->release(second);
  runtime->release(nullptr);
  void* none = runtime->allocate(0, "nothing");
  expect(none != nullptr, "an allocation of no bytes has an address");
  runtime->release(none);
  runtime->release(first);
  expect_equal(runtime->free_bytes(), int64_t{100000});
  runtime->allocate(5000, "left behind");
  runtime.reset();
  expect_equal(talaria_simt_allocated(), int64_t{0});
  expect_equal(driver().free_bytes(0), int64_t{100000});
  set("TALARIA_SIMT_MEMORY", nullptr);
}

void test_copies() {
  auto runtime = driver().open(0);
  auto* a = static_cast<uint8_t*>(runtime->allocate(300, "a"));
  auto* b = static_cast<uint8_t*>(runtime->allocate(300, "b"));
  std::vector<uint8_t> bytes(300);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(i * 3);
  runtime->upload(a, bytes.data(), 300);
  runtime->copy(b + 100, a, 200);
  runtime->fill(b, 7, 100);
  runtime->launch(fill_launch(b + 290, 10, 9));
  std::vector<uint8_t> back(300);
  runtime->download(back.data(), b, 300);
  for (size_t i = 0; i < 300; i++) expect_equal(back[i], i < 100 ? 7 : i < 290 ? bytes[i - 100] : 9);
  auto* host = static_cast<uint8_t*>(runtime->allocate_host(50));
  runtime->download(host, b + 50, 50);
  expect_equal(host[49], 7);
  runtime->release_host(host);
  runtime->synchronize();
  for (int64_t wrong : {1, 300, -1}) {
    for (int which = 0; which < 4; which++) {
      auto fresh = driver().open(0);
      auto* c = static_cast<uint8_t*>(fresh->allocate(300, "c"));
      auto* d = static_cast<uint8_t*>(fresh->allocate(300, "d"));
      std::vector<uint8_t> large(1000);
      expect_fault(
          [&] {
            uint8_t* at = wrong < 0 ? c - 1 : c;
            int64_t count = wrong < 0 ? 10 : 300 + wrong;
            if (which == 0) fresh->upload(at, large.data(), count);
            if (which == 1) fresh->download(large.data(), at, count);
            if (which == 2) fresh->copy(d, at, count);
            if (which == 3) fresh->fill(at, 1, count);
          },
          TALARIA_LOST, "not all in one allocation");
      expect_fault([&] { fresh->synchronize(); }, TALARIA_LOST, "not all in one allocation");
    }
  }
}

void test_replay() {
  auto runtime = driver().open(0);
  auto* a = static_cast<uint8_t*>(runtime->allocate(300, "a"));
  std::vector<Launch> launches = {fill_launch(a, 300, 1), fill_launch(a + 10, 20, 2)};
  auto graph = runtime->capture(launches);
  launches.clear();
  runtime->fill(a, 0, 300);
  auto before = runtime->new_event(), after = runtime->new_event();
  runtime->record(*before);
  for (int i = 0; i < 3; i++) runtime->replay(*graph);
  runtime->record(*after);
  runtime->wait(*after);
  expect(runtime->elapsed_ms(*before, *after) > 0, "time passes");
  std::vector<uint8_t> back(300);
  runtime->download(back.data(), a, 300);
  for (size_t i = 0; i < 300; i++) expect_equal(back[i], i >= 10 && i < 30 ? 2 : 1);
}

std::vector<uint32_t> arrivals(const char* order) {
  set("TALARIA_SIMT_ORDER", order);
  auto runtime = driver().open(0);
  set("TALARIA_SIMT_ORDER", nullptr);
  std::vector<uint32_t> sums(257);
  void* memory = runtime->allocate(257 * 4, "sums");
  runtime->fill(memory, 0, 257 * 4);
  runtime->launch(count_launch(memory, 256, 0));
  runtime->download(sums.data(), memory, 257 * 4);
  return sums;
}

void test_orders() {
  auto forward = arrivals("forward"), reverse = arrivals("reverse");
  for (uint32_t t = 0; t < 256; t++) {
    expect_equal(forward[t + 1], t);
    expect_equal(reverse[t + 1], 255 - t);
  }
  expect(arrivals(nullptr) == forward, "forward is the normal order");
  expect(arrivals("random") != forward, "random differs");
  expect(arrivals("random:5") == arrivals("random:5"), "a seed's order is always the same");
  expect(arrivals("random:5") != arrivals("random:6"), "another seed's is another");
}

#if !defined(__SANITIZE_ADDRESS__)  // which ends the process where we report
void test_guards() {
  for (bool each : {false, true}) {
    set("TALARIA_SIMT_CHECK", each ? "1" : nullptr);
    for (uint32_t place : {1000u + 77, 1000u + 77 + 255, 1000u - 1, 1000u - 256}) {
      auto runtime = driver().open(0);
      void* victim = runtime->allocate(77, "wq of layer 3");
      void* other = runtime->allocate(100, "other");
      std::string where = std::string(place >= 1000 ? "wrote past the end" : "wrote before the beginning") + " of ";
      where += "'wq of layer 3'";
      std::string who = each ? "kernel fill "
                             : "kernel read_bandwidth, or one before it (TALARIA_SIMT_CHECK=1 tells which), ";
      expect_fault(
          [&] {
            runtime->launch(fill_launch(victim, 77, 5));
            runtime->launch(fill_launch(victim, 0, place));
            runtime->launch(count_launch(runtime->allocate(300 * 4, "sums"), 32, 0));
            expect_equal(each, false);
            runtime->synchronize();
          },
          TALARIA_LOST, who + where);
      expect_fault([&] { runtime->launch(fill_launch(other, 100, 1)); }, TALARIA_LOST, where);
      expect_fault([&] { runtime->allocate(1, "more"); }, TALARIA_LOST, where);
    }
    // Found when it is released; whoever calls next is told.
    if (each) continue;
    auto runtime = driver().open(0);
    void* victim = runtime->allocate(77, "victim");
    runtime->launch(fill_launch(victim, 0, 1000 + 80));
    runtime->release(victim);
    expect_fault([&] { runtime->synchronize(); }, TALARIA_LOST, "wrote past the end of 'victim'");
  }
  set("TALARIA_SIMT_CHECK", nullptr);
}
#endif

void test_failures() {
  auto runtime = driver().open(0);
  void* words = runtime->allocate(1000 * 4, "words");
  runtime->fill(words, 0, 4000);
  expect_fault([&] { runtime->launch(count_launch(words, 128, 1)); }, TALARIA_LOST,
               "kernel read_bandwidth, block (0, 0, 0): 64 threads wait at the barrier of runtime.cpp:");
  expect_fault([&] { runtime->wait(*runtime->new_event()); }, TALARIA_LOST, "64 threads have returned");

  runtime = driver().open(0);
  expect_fault([&] { runtime->launch(Launch::of(Kernel::repack, 1, 1, 1, 32, RepackArgs{})); }, TALARIA_LOST,
               "this library has no kernel repack");
  runtime = driver().open(0);
  Launch launch = fill_launch(runtime->allocate(10, "ten"), 10, 1);
  launch.threads = 512;
  expect_fault([&] { runtime->launch(launch); }, TALARIA_LOST, "launch of kernel fill asks for blocks of 512 threads");

  // On demand.
  runtime = driver().open(0);
  int64_t before = talaria_simt_launches();
  talaria_simt_fail(2, 3);
  void* memory = runtime->allocate(10, "one");
  expect_fault([&] { runtime->allocate(10, "two"); }, TALARIA_OUT_OF_MEMORY, "two needs 10 bytes");
  runtime->release(runtime->allocate(10, "three"));
  runtime->launch(fill_launch(memory, 10, 1));
  runtime->launch(fill_launch(memory, 10, 1));
  expect_fault([&] { runtime->launch(fill_launch(memory, 10, 1)); }, TALARIA_LOST, "kernel fill: failed as asked");
  expect_fault([&] { runtime->launch(fill_launch(memory, 10, 1)); }, TALARIA_LOST, "kernel fill: failed as asked");
  expect_equal(talaria_simt_launches() - before, int64_t{3});
  talaria_simt_fail(1, 1);
  talaria_simt_fail(0, 0);
  runtime = driver().open(0);
  runtime->launch(fill_launch(runtime->allocate(10, "one"), 10, 1));
}

}  // namespace

// With "overrun", only writes past an allocation: what the address sanitizer must see.
int main(int count, char** arguments) {
  for (const char* name : {"TALARIA_SIMT_DEVICES", "TALARIA_SIMT_MEMORY", "TALARIA_SIMT_NEEDS", "TALARIA_SIMT_ORDER",
                           "TALARIA_SIMT_CHECK"}) {
    unsetenv(name);
  }
  if (count == 2 && std::string(arguments[1]) == "overrun") {
    auto runtime = driver().open(0);
    runtime->launch(fill_launch(runtime->allocate(77, "victim"), 78, 1));
    expect_fault([&] { runtime->synchronize(); }, TALARIA_LOST, "wrote past the end of 'victim'");
    return 0;
  }
  test_devices();
  test_memory();
  test_copies();
  test_replay();
  test_orders();
#if !defined(__SANITIZE_ADDRESS__)
  test_guards();
#endif
  test_failures();
  return report_expectations("runtime");
}
