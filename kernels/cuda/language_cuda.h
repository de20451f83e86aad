// The words of language.h, in CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "kernels/cuda/language.h"
#include "kernels/cuda/stream.h"

#define LAMINA_KERNEL __global__ void __launch_bounds__(::lamina::cuda::kBlock)
#define LAMINA_WIDE_KERNEL __global__ void __launch_bounds__(::lamina::cuda::kBlock, 2)
#define LAMINA_DEVICE __device__ __forceinline__
#define LAMINA_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
// In front of a loop whose copies would cost more registers than they save instructions.
#define LAMINA_ROLLED _Pragma("unroll 1")

namespace lamina::cuda {

LAMINA_DEVICE void barrier() { __syncthreads(); }
LAMINA_DEVICE void fence() { __threadfence(); }

template <class V>
LAMINA_DEVICE V shuffle_xor(V value, int mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
}

LAMINA_DEVICE void add_atomic(std::int64_t* p, std::int64_t value) {
  atomicAdd(reinterpret_cast<unsigned long long*>(p), static_cast<unsigned long long>(value));
}
LAMINA_DEVICE void add_atomic(std::int32_t* p, std::int32_t value) { atomicAdd(p, value); }
LAMINA_DEVICE void min_atomic(std::int64_t* p, std::int64_t value) {
  atomicMin(reinterpret_cast<long long*>(p), static_cast<long long>(value));
}
// What *p was; it goes up by one, from `most` back to 0.
LAMINA_DEVICE std::uint32_t wrap_atomic(std::uint32_t* p, std::uint32_t most) {
  return atomicInc(p, most);
}

// Numbers are computed in f32 and kept as T, rounded to nearest even.
LAMINA_DEVICE float as_f32(float value) { return value; }
LAMINA_DEVICE float as_f32(bf16 value) {
  return __bfloat162float(__ushort_as_bfloat16(value.bits));
}
LAMINA_DEVICE float as_f32(f16 value) { return __half2float(__ushort_as_half(value.bits)); }

template <class T>
LAMINA_DEVICE T from_f32(float value);
template <>
LAMINA_DEVICE float from_f32<float>(float value) {
  return value;
}
template <>
LAMINA_DEVICE bf16 from_f32<bf16>(float value) {
  return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
}
template <>
LAMINA_DEVICE f16 from_f32<f16>(float value) {
  return {__half_as_ushort(__float2half_rn(value))};
}

template <class... Params, class... Args>
void launch(Context& ctx,
            const char* name,
            const Grid& grid,
            int block,
            void (*kernel)(Params...),
            const Args&... args) {
  kernel<<<dim3(grid.x, grid.y, grid.z), static_cast<unsigned>(block), 0, stream_of(ctx)>>>(
      args...);
  after_launch(ctx, name);
}

}  // namespace lamina::cuda
