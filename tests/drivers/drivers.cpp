// runtime_cuda.cpp and runtime_hip.cpp over fake_driver.cpp. Usage: drivers SCENARIO, each in a process of its own, as a
// driver's library is opened once.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

#include "../../native/gpu/images.hpp"
#include "../../native/gpu/runtime.h"

#ifdef FAKE_HIP
#define KIND "hip"
#define LIBRARY "libamdhip64.so.7"
#else
#define KIND "cuda"
#define LIBRARY "libcuda.so.1"
#endif

using namespace talaria;
using namespace talaria::gpu;

namespace talaria::gpu {
// Images that the fake driver takes by their text.
static const unsigned char fat[] = "fat", text[] = "text";
#ifdef FAKE_HIP
static const Image all[] = {{"a", "gfx90a", fat, 3}, {"b", "gfx1100", text, 4}, {"exchange", "gfx90a", fat, 3}};
#else
static const Image all[] = {{"a", "75 86 90a ptx90", fat, 3},
                            {"a", "sm_70", text, 4},
                            {"a_hmma", "sm_70", text, 4},
                            {"exchange", "90a", fat, 3}};
#endif
const Image* const images = all;
const size_t image_count = std::size(all);
const char* const images_compiler = "a test";
}  // namespace talaria::gpu

namespace {

int failures = 0;

void expect(bool true_, const char* what) {
  if (!true_) {
    printf("FAILED: %s\n", what);
    failures++;
  }
}

// The body throws a fault of this code whose text has these words.
void expect_fault(int32_t code, const char* words, const std::function<void()>& body) {
  try {
    body();
    printf("FAILED: there was no fault \"%s\"\n", words);
    failures++;
  } catch (const Fault& fault) {
    printf("%d: %s\n", fault.code, fault.text.c_str());
    expect(fault.code == code, "the fault's code");
    expect(fault.text.find(words) != std::string::npos, words);
  }
}

template <typename Function>
Function* of_fake(const char* name) {
  return reinterpret_cast<Function*>(dlsym(dlopen(LIBRARY, RTLD_NOW), name));
}
std::string log_text() { return of_fake<const char*()>("fake_log")(); }
int live() { return of_fake<int()>("fake_live")(); }

void fake(const char* settings) { setenv("FAKE_GPU", settings, 1); }

Launch a_launch(int number, uint32_t shared = 0) {
  struct Args {
    int32_t number, pad;
  };
  Launch launch = Launch::of(Kernel::fill, 3, 2, 1, 64, Args{number, 0});
  launch.shared_bytes = shared;
  launch.dependent = true;
  return launch;
}

// How a launch is written down: early where launches may begin before the one before them has ended.
std::string written(const char* before, int number, int shared = 0) {
  const char* early = std::strcmp(KIND, "cuda") == 0 ? "early: " : "";
  return std::string(before) + early + "talaria_fill 3,2,1 64,1,1 " + std::to_string(shared) + " " + std::to_string(number) + "\n";
}

// Memory that kernels of another device may write to stays while somebody holds it, whoever has gone.
void reaches_the_other(Runtime& runtime) {
  const char* said = "device 1 reaches 0\n";
  auto count = [&] {
    std::string log = log_text();
    return log.find(said) == std::string::npos ? 0 : log.find(said) == log.rfind(said) ? 1 : 2;
  };
  auto other = driver().open(0);
  expect(runtime.reaches(0) && runtime.reaches(0) && runtime.reaches(1), "devices that reach each other");
  expect(count() == 1, "peer access is enabled once");
  expect(!runtime.reaches(2) && !runtime.reaches(-1), "devices that are not there");
  auto second = driver().open(1);
  expect(second->reaches(0) && count() == 1, "peer access that another queue of the device has enabled");
  second.reset();
  std::shared_ptr<void> peer = other->allocate_peer(100, "a test");
  expect(static_cast<uint8_t*>(peer.get())[99] == 0, "peer memory is zeros");
  other.reset();
  int held = live();
  std::thread([&] { peer.reset(); }).join();  // where no device is current
  expect(live() == held - 1, "peer memory is freed");
  fake("count=2 peers=0");
  other = driver().open(0);
  expect(!other->reaches(1) && other->reaches(0), "devices without peer access");
  fake("count=2 fail=enable_peer:217");
  second = driver().open(0);
  expect(!second->reaches(1), "peer access that is refused");
  fake("count=2 arrive=0");
  second = driver().open(0);
  expect(!second->reaches(1) && second->reaches(0), "peer access that does not bring what is sent");
  fake("count=2");
  setenv("TALARIA_PEERS", "0", 1);
  second = driver().open(0);
  expect(!second->reaches(1) && second->reaches(0), "peer access that nobody wants");
  unsetenv("TALARIA_PEERS");
#ifdef FAKE_HIP
  fake("count=2 link=2");
  second = driver().open(0);
  expect(!second->reaches(1) && second->allocate_peer(100, "a test") != nullptr, "no link but PCIe");
#endif
  fake("count=2");
  expect_fault(TALARIA_OUT_OF_MEMORY, KIND ":0 has no room for 2.00 GB (rows)", [&] { other->allocate_peer(2000000000, "rows"); });
}

void works() {
  fake("count=2");
  expect(driver().device_count() == 2, "two devices");
  expect(std::strcmp(driver().name(), KIND) == 0, "the driver's name");
  expect(driver().free_bytes(1) == 1 << 30, "free bytes without opening");
  {
    auto runtime = driver().open(1);
    const Properties& properties = runtime->properties();
    expect(properties.name == "Fake 1" && properties.processors == 132, "name and size");
    auto* memory = static_cast<uint8_t*>(runtime->allocate(1000, "a test"));
    auto* host = static_cast<uint8_t*>(runtime->allocate_host(1000));
    expect(runtime->free_bytes() == (1 << 30) - 2000, "free bytes");
    runtime->fill(memory, 7, 1000);
    // From another thread, where no device is current yet.
    std::thread([&] { runtime->download(host, memory, 1000); }).join();
    expect(host[0] == 7 && host[999] == 7, "fill and download");
    host[5] = 9;
    runtime->upload(memory, host, 500);
    runtime->copy(memory + 500, memory, 500);
    expect(memory[505] == 9, "upload and copy");

    auto from = runtime->new_event(), to = runtime->new_event();
    runtime->record(*from);
    runtime->launch(a_launch(1));
    runtime->record(*to);
    runtime->wait(*to);
    expect(runtime->elapsed_ms(*from, *to) == 1.5, "elapsed");
    expect(runtime->resident_blocks(Kernel::fill, 256) == 132 * 8 && runtime->resident_blocks(Kernel::fill, 64) == 132 * 32,
           "blocks that run at once");
    expect(log_text() == written("", 1), "a launch");
    const Launch launches[] = {a_launch(2), a_launch(3, 100000)};
    auto graph = runtime->capture(launches);
    std::string extra = std::strcmp(KIND, "cuda") == 0 ? "talaria_fill may have 100000\n" : "";
    expect(log_text() == written("", 1) + extra, "capturing launches nothing");
    runtime->replay(*graph);
    runtime->synchronize();
    expect(log_text() == written("", 1) + extra + written("graph: ", 2) + written("graph: ", 3, 100000), "a replay");

    // Pages that two devices share are pinned once, and until the second one is done with them.
    auto other = driver().open(0);
    void* pages = std::aligned_alloc(4096, 8192);
    expect(other->map_host(pages, 5000) == pages && runtime->map_host(pages, 5000) == pages, "shared pages");
    int before = live();
    other->unmap_host(pages);
    expect(live() == before, "still pinned");
    other.reset();
    before = live();
    runtime->unmap_host(pages);
    expect(live() < before, "no longer pinned");
    std::free(pages);

    reaches_the_other(*runtime);
    expect_fault(TALARIA_OUT_OF_MEMORY, KIND ":1 has no room for 2.00 GB (weight w): of its 1.07 GB only 1.07 GB are free",
                 [&] { runtime->allocate(2000000000, "weight w"); });
    runtime->release(memory);
    runtime->release_host(host);
  }
  expect(live() == 0, "nothing is left behind");
}

// A queue that only copies loads one kernel, goes first, and leaves the processors to others.
void copies_beside() {
  fake("");
  auto copier = driver().open(0, true);
  int of_copier = live();
  auto priorities = [] { return std::string(of_fake<const char*()>("fake_priorities")()); };
  std::string own = std::strcmp(KIND, "cuda") == 0 ? "-1 0 " : "0 0 ";  // and that of the second stream of the trial
  expect(priorities() == own, "its stream goes first");
  expect(copier->properties().copy_blocks == 8, "few blocks copy");
  Launch launch = a_launch(1);
  launch.kernel = Kernel::exchange;
  copier->launch(launch);
  expect(log_text().find("talaria_exchange") != std::string::npos, "the kernel that copies");
  expect_fault(TALARIA_UNSUPPORTED, "the kernel fill does not run on", [&] { copier->launch(a_launch(1)); });
  copier.reset();
  fake("overlap=0");
  expect_fault(TALARIA_UNSUPPORTED, "runs no two kernels at the same time", [] { driver().open(0, true); });
  fake("");
  auto all = driver().open(0);
  expect(priorities() == own + own + "0 " && all->properties().copy_blocks == 64, "one that computes");
  expect(live() == of_copier + 1, "the copier loads one module of two");
  all.reset();
  expect(live() == 0, "nothing is left behind");
}

void lost() {
  fake("");
  auto runtime = driver().open(0);
  void* memory = runtime->allocate(10, "a test");
  fake("fail=synchronize:700");
  expect_fault(TALARIA_LOST, "the device is lost: a fake error (error 700, while waiting for the device)",
               [&] { runtime->synchronize(); });
  expect_fault(TALARIA_LOST, "error 700", [&] { runtime->allocate(1, "a test"); });
  runtime->release(memory);  // does not throw
}

void failing_calls() {
  fake("");
  {
    auto runtime = driver().open(0);
    fake("fail=launch:1");
    expect_fault(TALARIA_INVALID, "a fake error (error 1, while launching fill, 3 x 2 x 1 blocks of 64 threads, 0 bytes",
                 [&] { runtime->launch(a_launch(1)); });
    const Launch launches[] = {a_launch(2)};
    expect_fault(TALARIA_INVALID, "launching fill", [&] { runtime->capture(launches); });
    fake("");
    runtime->synchronize();  // the capture has ended
    fake("fail=instantiate:801");
    expect_fault(TALARIA_INVALID, "preparing a captured step", [&] { runtime->capture(launches); });
    void* pages = std::aligned_alloc(4096, 4096);
    fake("fail=pin_host:2");
    expect_fault(TALARIA_OUT_OF_MEMORY, "memory that can be pinned for " KIND ":0", [&] { runtime->map_host(pages, 10); });
    fake("fail=host_address:1");
    expect_fault(TALARIA_INVALID, "sharing host memory", [&] { runtime->map_host(pages, 10); });
    fake("");
    std::free(pages);
  }
  expect(live() == 0, "nothing is left behind");
  fake("fail=create_stream:2");
  expect_fault(TALARIA_OUT_OF_MEMORY, "creating a stream", [&] { driver().open(0); });
  fake("lacks=talaria_route");
  expect_fault(TALARIA_UNSUPPORTED, "the kernel route is not there for ", [&] { driver().open(0); });
  fake("");
  expect(live() == 0, "nothing is left behind");
}

void no_device() {
  fake(std::getenv("FAKE_GPU"));
  expect_fault(TALARIA_UNSUPPORTED, std::getenv("EXPECTED"), [] { driver().device_count(); });
}

#ifndef FAKE_HIP
// A fat binary that the driver refuses: the text for older GPUs does, without early launches, and without matrix units but
// those of Volta.
void older_driver() {
  fake("refuse=fat built=70");
  auto runtime = driver().open(0);
  expect(runtime->properties().needs == EXCHANGE && !runtime->properties().dependent_launch, "the least of kernels");
  runtime->launch(a_launch(1));
  expect(log_text().find("early") == std::string::npos, "no early launch");
  runtime.reset();
  fake("refuse=fat built=70 compute=75");
  expect(driver().properties(0).needs == (EXCHANGE | MMA_INT8 | MMA_F16), "the matrix units of sm_75");
  runtime = driver().open(0);
  int loaded = live();
  expect(runtime->properties().needs == EXCHANGE, "which code for sm_70 does not use");
  for (const char* volta : {"built=70 compute=70", "built=70 compute=72"}) {
    runtime.reset();
    fake(volta);
    runtime = driver().open(0);
    expect(runtime->properties().needs == (EXCHANGE | HMMA), "the matrix units of Volta");
    expect(live() == loaded + 1, "whose kernels no other GPU loads");
  }
  runtime.reset();
  fake("timeout=1");
  expect((driver().properties(0).needs & EXCHANGE) == 0, "kernels that wait, where those that take long are ended");
  fake("refuse=fat lacks=talaria_norm");
  expect_fault(TALARIA_UNSUPPORTED, "(a: a fake error: no such ISA). The kernels were built by a test, the driver supports CUDA 12.4",
               [] { driver().open(0); });
}
#endif

}  // namespace

int main(int count, char** arguments) {
  const std::string scenario = count == 2 ? arguments[1] : "";
  if (scenario == "works") {
    works();
  } else if (scenario == "copies_beside") {
    copies_beside();
  } else if (scenario == "lost") {
    lost();
  } else if (scenario == "failing_calls") {
    failing_calls();
  } else if (scenario == "no_device") {
    no_device();
#ifndef FAKE_HIP
  } else if (scenario == "older_driver") {
    older_driver();
#endif
  } else {
    printf("there is no scenario \"%s\"\n", scenario.c_str());
    return 2;
  }
  return failures == 0 ? 0 : 1;
}
