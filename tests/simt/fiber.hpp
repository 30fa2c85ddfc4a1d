// Switching between stacks: what a fiber is, for x86-64, aarch64 and, slowly, whatever has ucontext.
#pragma once

#include <cstddef>

#if !defined(TALARIA_SIMT_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define TALARIA_SIMT_UCONTEXT
#endif
#if defined(TALARIA_SIMT_UCONTEXT)
#include <ucontext.h>
#else
// Saves what a called function must keep, and goes on with another stack that was left the same way.
extern "C" void talaria_simt_change(void** from, void* to);
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TALARIA_SIMT_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TALARIA_SIMT_ASAN
#endif
#endif

namespace talaria::simt {

// A stack, and where its owner stopped. The thread of the host is one too, on the stack that it has.
class Fiber {
 public:
  // What runs on it must never return.
  void begin(void* stack, size_t bytes, void (*function)());
  // Goes on with `to`; returns when somebody goes on with `from`.
  static void change(Fiber& from, Fiber& to);

 private:
  static void entry(Fiber* self);
  static void change_slowly(Fiber& from, Fiber& to);
  void arrived();

#if defined(TALARIA_SIMT_UCONTEXT)
  ucontext_t context_;
#else
  void* stack_pointer_ = nullptr;
#endif
  void (*function_)() = nullptr;
#if defined(TALARIA_SIMT_ASAN)
  const void* bottom_ = nullptr;
  size_t bytes_ = 0;
  void* fake_stack_ = nullptr;
#endif
};

inline void Fiber::change(Fiber& from, Fiber& to) {
#if defined(TALARIA_SIMT_UCONTEXT) || defined(TALARIA_SIMT_ASAN)
  change_slowly(from, to);
#else
  talaria_simt_change(&from.stack_pointer_, to.stack_pointer_);
#endif
}

// Memory for stacks, each with a page below it that nobody may touch.
class Stacks {
 public:
#if defined(TALARIA_SIMT_ASAN)
  static constexpr size_t bytes = 256 << 10;
#else
  static constexpr size_t bytes = 64 << 10;
#endif
  Stacks() = default;
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  ~Stacks() { release(); }
  void reserve(size_t count);  // throws std::bad_alloc; the stacks of before are gone
  size_t count() const { return count_; }
  char* operator[](size_t i) const { return memory_ + i * stride_ + page_; }

 private:
  void release();
  char* memory_ = nullptr;
  size_t count_ = 0, stride_ = 0, page_ = 0;
};

}  // namespace talaria::simt
