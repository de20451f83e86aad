// The words of kernels/cuda/language.h for a host compiler; tests/simt/simt.h says what runs them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "kernels/cuda/language.h"
#include "kernels/cuda/stream.h"
#include "tests/simt/device.h"
#include "tests/simt/simt.h"

#define LAMINA_KERNEL void
#define LAMINA_WIDE_KERNEL void
#define LAMINA_DEVICE inline
#define LAMINA_ROLLED
// The type of a lambda tells one declaration from another, in every instance of a template.
#define LAMINA_SHARED(type, name, ...)    \
  using name##_shared = type __VA_ARGS__; \
  name##_shared& name = ::lamina::cuda::shared_of<name##_shared>([] {})

namespace lamina::cuda {

static_assert(kBlock <= simt::kMostThreads);

template <class V, class Declaration>
V& shared_of(Declaration) {
  static_assert(std::is_trivially_copyable_v<V>);  // no constructor runs, as in CUDA
  static char key;
  return *static_cast<V*>(simt::shared(&key, sizeof(V), alignof(V)));
}

inline void barrier(const simt::Site& site = simt::Site::current()) { simt::barrier(site); }

template <class V>
V shuffle_xor(V value, int mask, const simt::Site& site = simt::Site::current()) {
  static_assert(std::is_trivially_copyable_v<V>);
  constexpr int kWords = (sizeof(V) + 7) / 8;
  static_assert(kWords <= simt::kMostWords);
  std::uint64_t words[kWords] = {};
  std::memcpy(words, &value, sizeof value);
  simt::exchange(words, kWords, mask, site);
  std::memcpy(&value, words, sizeof value);
  return value;
}

inline void add_atomic(std::int64_t* p, std::int64_t value) {
  std::atomic_ref(*p).fetch_add(value, std::memory_order_relaxed);
}
inline void add_atomic(std::int32_t* p, std::int32_t value) {
  std::atomic_ref(*p).fetch_add(value, std::memory_order_relaxed);
}
inline void min_atomic(std::int64_t* p, std::int64_t value) {
  std::atomic_ref at(*p);
  std::int64_t now = at.load(std::memory_order_relaxed);
  while (value < now && !at.compare_exchange_weak(now, value, std::memory_order_relaxed)) {
  }
}

// Orders memory as the fences around it do in CUDA: ThreadSanitizer knows no fence by itself.
inline void fence() {}
inline std::uint32_t wrap_atomic(std::uint32_t* p, std::uint32_t most) {
  std::atomic_ref at(*p);
  std::uint32_t now = at.load(std::memory_order_relaxed);
  while (!at.compare_exchange_weak(now, now >= most ? 0 : now + 1, std::memory_order_acq_rel)) {
  }
  return now;
}

inline float as_f32(float value) { return value; }
inline float as_f32(bf16 value) { return to_float(value); }
inline float as_f32(f16 value) { return to_float(value); }

template <class T>
T from_f32(float value);
template <>
inline float from_f32<float>(float value) {
  return value;
}
template <>
inline bf16 from_f32<bf16>(float value) {
  return to_bf16(value);
}
template <>
inline f16 from_f32<f16>(float value) {
  return to_f16(value);
}

template <class... Params, class... Args>
void launch(Context& ctx,
            const char* name,
            const Grid& grid,
            int block,
            void (*kernel)(Params...),
            const Args&... args) {
  static_assert(sizeof...(Params) == sizeof...(Args));
  // The arguments are copied when the launch is made, as CUDA does: it may be replayed later.
  simt::Launch made{name, {grid.x, grid.y, grid.z}, block, {}};
  made.thread = [kernel, values = std::tuple<Params...>(args...)] { std::apply(kernel, values); };
  simt::device_of(ctx).submit([made = std::move(made)] { simt::run(made); });
  after_launch(ctx, name);
}

}  // namespace lamina::cuda
