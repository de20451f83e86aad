// What the sanitizers' runtimes offer, when one is linked: weak symbols, null without it. A file
// that is compiled without ThreadSanitizer can thus speak to it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack,
                                                  const void* stack,
                                                  std::size_t bytes);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack,
                                                   const void** old_stack,
                                                   std::size_t* old_bytes);
[[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());
[[gnu::weak]] void __asan_poison_memory_region(const volatile void* data, std::size_t bytes);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* data, std::size_t bytes);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace lamina::simt {

inline bool has_asan() { return __asan_poison_memory_region != nullptr; }
inline bool has_tsan() { return __tsan_create_fiber != nullptr; }

inline void poison(void* data, std::size_t bytes) {
  if (has_asan()) __asan_poison_memory_region(data, bytes);
}
inline void unpoison(void* data, std::size_t bytes) {
  if (has_asan()) __asan_unpoison_memory_region(data, bytes);
}

// Without the order that a switch would otherwise stand for: what follows is another thread's.
inline void become(void* tsan_fiber) {
  if (has_tsan()) __tsan_switch_to_fiber(tsan_fiber, 1);
}
inline void acquire(void* address) {
  if (has_tsan()) __tsan_acquire(address);
}
inline void release(void* address) {
  if (has_tsan()) __tsan_release(address);
}

}  // namespace lamina::simt
