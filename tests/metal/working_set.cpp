// What a Mac that is too small is told: what raising the limit needs and gains, or that it does not help.
#include "../../native/metal/working_set.hpp"

namespace {

constexpr int64_t gib = int64_t{1} << 30;
int failures = 0;

void expect(const std::string& text, const char* part, bool there) {
  bool ok = (text.find(part) != std::string::npos) == there;
  std::printf("%s \"%s\" %s \"%s\"\n", ok ? "ok    " : "FAILED", text.c_str(), there ? "says" : "does not say", part);
  failures += !ok;
}

}  // namespace

int main() {
  using talaria::gpu::refusal;
  // A Mac of 32 GB, and a model of 26.5 GiB of which 21.5 are there.
  std::string text = refusal({int64_t{21} * gib + 800 * (gib >> 10), 21 * gib + gib / 2, 32 * gib}, "a weight", 5 * gib);
  expect(text, "a weight needs 5368.7 MB", true);
  expect(text, "sudo sysctl iogpu.wired_limit_mb=29696'", true);
  expect(text, "7.75 GB more", true);
  // Of 24 GB: the system needs the rest.
  text = refusal({16 * gib, 15 * gib, 24 * gib}, "a weight", 8 * gib);
  expect(text, "wired_limit_mb", false);
  expect(text, "This Mac's memory, 25.8 GB, is not enough", true);
  // The limit has been raised as far as it goes.
  text = refusal({30 * gib, 29 * gib, 32 * gib}, "the KV cache", 2 * gib);
  expect(text, "wired_limit_mb", false);
  return failures == 0 ? 0 : 1;
}
