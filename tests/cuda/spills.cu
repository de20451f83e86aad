// More values at a time than -maxrregcount=24 has registers for.
// SPDX-License-Identifier: Apache-2.0

__global__ void sums_of_many(const float* x, float* y) {
  float value[48];
#pragma unroll
  for (int i = 0; i < 48; ++i) value[i] = x[i * 512 + threadIdx.x];
#pragma unroll
  for (int round = 0; round < 3; ++round) {
#pragma unroll
    for (int i = 0; i < 48; ++i) value[i] += value[(i * 7 + 1) % 48] * value[(i + 5) % 48];
  }
#pragma unroll
  for (int i = 0; i < 48; ++i) y[i * 512 + threadIdx.x] = value[i];
}
