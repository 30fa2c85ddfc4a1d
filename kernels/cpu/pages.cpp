#include "pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace talaria::cpu {

namespace {

constexpr size_t huge = size_t{2} << 20;

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

size_t page() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

int64_t Pages::taken(int64_t bytes) {
  size_t size = static_cast<size_t>(bytes);
  return static_cast<int64_t>(round_up(size, size < huge ? 64 : page()));
}

Pages::Pages(int64_t bytes) {
  size_t size = static_cast<size_t>(taken(bytes));
  if (size == 0) return;
  if (size < huge) {
    data_ = static_cast<uint8_t*>(std::aligned_alloc(64, size));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_, 0, size);
    return;
  }
  mapped_ = size;
  void* mapping = mmap(nullptr, mapped_ + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  uint8_t* begin = static_cast<uint8_t*>(mapping);
  size_t before = round_up(reinterpret_cast<uintptr_t>(begin), huge) - reinterpret_cast<uintptr_t>(begin);
  data_ = begin + before;
  if (before > 0) munmap(begin, before);
  munmap(data_ + mapped_, huge - before);  // never empty: mappings begin on a page, and so before < huge
#ifdef MADV_HUGEPAGE
  // What does not fill a huge page stays in small ones, so that many tensors take no more memory than their bytes.
  madvise(data_, size / huge * huge, MADV_HUGEPAGE);
#endif
}

Pages::~Pages() { mapped_ > 0 ? static_cast<void>(munmap(data_, mapped_)) : std::free(data_); }

}  // namespace talaria::cpu
