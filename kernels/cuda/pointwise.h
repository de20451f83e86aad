// y[i] = f(x[i]...), with loads and stores of 16 bytes where every tensor is aligned for them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/cuda/language.h"

namespace lamina::cuda {

template <class T, int width>
struct alignas(sizeof(T) * width) Pack {
  T v[width];
};

// Elements that fit the widest load.
template <class T>
inline constexpr int kPackWidth = 16 / static_cast<int>(sizeof(T));

template <class... P>
bool aligned_for_packs(const P*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

// f: a struct with `LAMINA_DEVICE float operator()(float...) const`. y may be any of the x.
template <int width, class T, class F>
LAMINA_KERNEL map_one(const T* x, T* y, std::int64_t count, F f) {
  using P = Pack<T, width>;
  const std::int64_t packs = count / width;
  for (std::int64_t i = first_thread(); i < packs; i += all_threads()) {
    P p = reinterpret_cast<const P*>(x)[i];
    for (int j = 0; j < width; ++j) p.v[j] = from_f32<T>(f(as_f32(p.v[j])));
    reinterpret_cast<P*>(y)[i] = p;
  }
  for (std::int64_t i = packs * width + first_thread(); i < count; i += all_threads())
    y[i] = from_f32<T>(f(as_f32(x[i])));
}

template <int width, class T, class F>
LAMINA_KERNEL map_two(const T* x1, const T* x2, T* y, std::int64_t count, F f) {
  using P = Pack<T, width>;
  const std::int64_t packs = count / width;
  for (std::int64_t i = first_thread(); i < packs; i += all_threads()) {
    const P p1 = reinterpret_cast<const P*>(x1)[i];
    P p2 = reinterpret_cast<const P*>(x2)[i];
    for (int j = 0; j < width; ++j) p2.v[j] = from_f32<T>(f(as_f32(p1.v[j]), as_f32(p2.v[j])));
    reinterpret_cast<P*>(y)[i] = p2;
  }
  for (std::int64_t i = packs * width + first_thread(); i < count; i += all_threads())
    y[i] = from_f32<T>(f(as_f32(x1[i]), as_f32(x2[i])));
}

template <class T, class F>
void map(Context& ctx, const char* name, const T* x, T* y, std::int64_t count, const F& f) {
  constexpr int kWidth = kPackWidth<T>;
  if (aligned_for_packs(x, y))
    launch(ctx, name, blocks_for(count, kWidth), kBlock, map_one<kWidth, T, F>, x, y, count, f);
  else
    launch(ctx, name, blocks_for(count), kBlock, map_one<1, T, F>, x, y, count, f);
}

template <class T, class F>
void map(Context& ctx,
         const char* name,
         const T* x1,
         const T* x2,
         T* y,
         std::int64_t count,
         const F& f) {
  constexpr int kWidth = kPackWidth<T>;
  if (aligned_for_packs(x1, x2, y))
    launch(
        ctx, name, blocks_for(count, kWidth), kBlock, map_two<kWidth, T, F>, x1, x2, y, count, f);
  else
    launch(ctx, name, blocks_for(count), kBlock, map_two<1, T, F>, x1, x2, y, count, f);
}

}  // namespace lamina::cuda
