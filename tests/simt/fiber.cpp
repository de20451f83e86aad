// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/simt/sanitizers.h"

#ifndef LAMINA_SIMT_UCONTEXT
extern "C" void lamina_simt_switch(void** from, void* to);
// Pushes what a call has to preserve, exchanges the stack pointers, and pops what was pushed there.
asm(R"(
  .text
  .globl lamina_simt_switch
  .type lamina_simt_switch, @function
lamina_simt_switch:
  pushq %rbp
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
  ret
  .size lamina_simt_switch, .-lamina_simt_switch
)");
#endif

namespace lamina::simt {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256} << 10;  // touched pages only take memory
constexpr int kPushed = 6;                                   // registers, by lamina_simt_switch

Fiber host;
Fiber* current = nullptr;

}  // namespace

Fiber* Fiber::running() { return current; }

void Fiber::resume(Entry entry) {
  entry_ = entry;
  if (stack_ == nullptr) make_stack();
  current = this;
  switch_stacks(host, *this);
  current = nullptr;
}

void Fiber::park() { switch_stacks(*current, host); }

void Fiber::start() {
  arrived(*current);
  current->entry_();
  std::abort();
}

// The other side of every switch to `fiber`. Where the host's stack lies is known from here only.
void Fiber::arrived(Fiber& fiber) {
  if (__sanitizer_finish_switch_fiber == nullptr) return;
  const void* stack = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fiber.fake_stack_, &stack, &bytes);
  if (&fiber != &host) {
    host.stack_ = const_cast<void*>(stack);
    host.bytes_ = bytes;
  }
}

void Fiber::switch_stacks(Fiber& from, Fiber& to) {
  if (__sanitizer_start_switch_fiber != nullptr)
    __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.bytes_);
#ifdef LAMINA_SIMT_UCONTEXT
  swapcontext(&from.registers_, &to.registers_);
#else
  lamina_simt_switch(&from.stack_pointer_, to.stack_pointer_);
#endif
  arrived(from);
}

void Fiber::make_stack() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const memory = mmap(nullptr,
                            page + kStackBytes,
                            PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                            -1,
                            0);
  // A stack that overflows runs into the page below it.
  if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) {
    std::perror("simt: no memory for the stack of a thread");
    std::abort();
  }
  stack_ = static_cast<char*>(memory) + page;
  bytes_ = kStackBytes;
#ifdef LAMINA_SIMT_UCONTEXT
  getcontext(&registers_);
  registers_.uc_stack.ss_sp = stack_;
  registers_.uc_stack.ss_size = bytes_;
  registers_.uc_link = nullptr;
  makecontext(&registers_, &Fiber::start, 0);
#else
  // As if start() had been called: its frame begins 8 bytes off a multiple of 16, where a return
  // address would lie. The null there, and in %rbp, ends backtraces.
  auto* const top = reinterpret_cast<std::uintptr_t*>(static_cast<char*>(stack_) + bytes_);
  top[-1] = 0;
  top[-2] = reinterpret_cast<std::uintptr_t>(&Fiber::start);
  for (int i = 0; i < kPushed; ++i) top[-3 - i] = 0;
  stack_pointer_ = top - 2 - kPushed;
#endif
}

}  // namespace lamina::simt
