#include "fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>

#if defined(TALARIA_SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__APPLE__)
#define SYMBOL(name) "_" #name
#define FUNCTION(name) ".globl _" #name "\n.private_extern _" #name "\n_" #name ":\n"
#else
#define SYMBOL(name) #name
#define FUNCTION(name) ".globl " #name "\n.hidden " #name "\n.type " #name ",%function\n" #name ":\n"
#endif

#if !defined(TALARIA_SIMT_UCONTEXT)
extern "C" void talaria_simt_first();  // where a new stack begins: calls a function with the fiber
#endif

#if defined(TALARIA_SIMT_UCONTEXT)
// Nothing of our own.
#elif defined(__x86_64__)
// It ends with a jump: a return would always be predicted to go where the stack that is left was called from.
asm(".text\n" FUNCTION(talaria_simt_change)
    R"(  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
)" FUNCTION(talaria_simt_first)
    R"(  xorl %ebp, %ebp
  pushq $0
  movq %r12, %rdi
  jmp *%rbx
)");
static constexpr size_t saved_words = 6, function_word = 4, self_word = 3;  // rbx, r12
#else
asm(".text\n.p2align 2\n" FUNCTION(talaria_simt_change)
    R"(  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  br x30
)" FUNCTION(talaria_simt_first)
    R"(  mov x29, #0
  mov x30, #0
  mov x0, x20
  br x19
)");
static constexpr size_t saved_words = 20, function_word = 0, self_word = 1;  // x19, x20
static constexpr size_t return_word = 11;                                    // x30
#endif

namespace talaria::simt {

#if defined(TALARIA_SIMT_ASAN)
static thread_local Fiber* leaving = nullptr;
#endif
#if defined(TALARIA_SIMT_UCONTEXT)
static thread_local Fiber* entering = nullptr;
#endif

void Fiber::entry(Fiber* self) {
  self->arrived();
  self->function_();
  __builtin_trap();
}

// First thing on a stack that is gone on with: the sanitizer learns where it is, and where the last one was.
inline void Fiber::arrived() {
#if defined(TALARIA_SIMT_ASAN)
  const void* bottom = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &bytes);
  leaving->bottom_ = bottom, leaving->bytes_ = bytes;
#endif
}

void Fiber::begin(void* stack, size_t bytes, void (*function)()) {
  function_ = function;
#if defined(TALARIA_SIMT_ASAN)
  __asan_unpoison_memory_region(stack, bytes);  // of who was left behind on it
  bottom_ = stack, bytes_ = bytes, fake_stack_ = nullptr;
#endif
#if defined(TALARIA_SIMT_UCONTEXT)
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, [] { entry(entering); }, 0);
#else
  auto top = (reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t{15};
  auto first = reinterpret_cast<uintptr_t>(&talaria_simt_first);
#if defined(__x86_64__)
  auto* words = reinterpret_cast<uintptr_t*>(top) - saved_words - 1;
  std::memset(words, 0, saved_words * sizeof *words);
  words[saved_words] = first;  // where it goes: the stack is then aligned, as before a call
#else
  auto* words = reinterpret_cast<uintptr_t*>(top) - saved_words;
  std::memset(words, 0, saved_words * sizeof *words);
  words[return_word] = first;
#endif
  words[function_word] = reinterpret_cast<uintptr_t>(&Fiber::entry);
  words[self_word] = reinterpret_cast<uintptr_t>(this);
  stack_pointer_ = words;
#endif
}

void Fiber::change_slowly(Fiber& from, Fiber& to) {
#if defined(TALARIA_SIMT_ASAN)
  leaving = &from;
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.bytes_);
#endif
#if defined(TALARIA_SIMT_UCONTEXT)
  entering = &to;
  swapcontext(&from.context_, &to.context_);
#else
  talaria_simt_change(&from.stack_pointer_, to.stack_pointer_);
#endif
  from.arrived();
}

void Stacks::release() {
  if (memory_ == nullptr) return;
#if defined(TALARIA_SIMT_ASAN)
  __asan_unpoison_memory_region(memory_, count_ * stride_);  // whoever is given these addresses next
#endif
  munmap(memory_, count_ * stride_);
  memory_ = nullptr, count_ = 0;
}

void Stacks::reserve(size_t count) {
  release();
  page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  stride_ = bytes + page_;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;
#endif
  void* memory = mmap(nullptr, count * stride_, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory), count_ = count;
  // Where the system has too few mappings left for it, we go on without.
  for (size_t i = 0; i < count; i++) mprotect(memory_ + i * stride_, page_, PROT_NONE);
}

}  // namespace talaria::simt
