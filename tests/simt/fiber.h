// Fibers: functions that can stop in the middle and go on later, all on one thread of the system.
//
//   Fiber fiber;
//   fiber.resume(entry);   // the host runs it until it parks; the first time it starts at entry()
//   Fiber::park();         // within entry(), and within what it calls: back to the host
//
// Only the host resumes and only fibers park, so there is one host and one running fiber. entry()
// never returns: a fiber that has nothing to do parks, and may be resumed for other work on the
// same stack. AddressSanitizer is told of every switch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#if !defined(__x86_64__) || defined(LAMINA_SIMT_UCONTEXT)
#define LAMINA_SIMT_UCONTEXT 1
#include <ucontext.h>
#endif

namespace lamina::simt {

class Fiber {
 public:
  using Entry = void (*)();

  void resume(Entry entry);
  static void park();
  static Fiber* running();  // null on the host

 private:
  static void start();
  static void switch_stacks(Fiber& from, Fiber& to);
  static void arrived(Fiber& fiber);
  void make_stack();

  void* stack_ = nullptr;  // its lowest byte; stays mapped, for the next entry and the next launch
  std::size_t bytes_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  Entry entry_ = nullptr;
#ifdef LAMINA_SIMT_UCONTEXT
  ucontext_t registers_;
#else
  void* stack_pointer_ = nullptr;  // the registers lie on the stack
#endif
};

}  // namespace lamina::simt
