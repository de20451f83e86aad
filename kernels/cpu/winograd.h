// The transforms of Winograd's minimal filtering F(4x4, 3x3), along one axis, on vectors of
// channels.
//
// Four outputs of a filter of three taps take six products instead of twelve:
//   y = A^T ((G g) * (B^T d)),  d six inputs, g three weights
// and in two dimensions, axis after axis, 36 instead of 144. The matrices are those for the points
// 0, 1, -1, 2, -2 and infinity (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural
// Networks, 2015, section 4.1). The gradient of the weights is the adjoint of that:
//   dg = G^T ((A dy) * (B^T d))
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/vec.h"

namespace lamina::cpu::winograd {

inline constexpr int kOut = 4, kTaps = 3, kIn = 6, kProducts = kIn * kIn;

// z = B^T d
LAMINA_INLINE void input(const Vec (&d)[kIn], Vec (&z)[kIn]) {
  const Vec even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
  const Vec even2 = d[4] - d[2], odd2 = 2 * (d[3] - d[1]);
  z[0] = 4 * d[0] - 5 * d[2] + d[4];
  z[1] = even + odd;
  z[2] = even - odd;
  z[3] = even2 + odd2;
  z[4] = even2 - odd2;
  z[5] = 4 * d[1] - 5 * d[3] + d[5];
}

// z = G g
LAMINA_INLINE void weights(const Vec (&g)[kTaps], Vec (&z)[kIn]) {
  const Vec ends = g[0] + g[2], far = g[0] + 4 * g[2];
  z[0] = g[0] * (1.0f / 4);
  z[1] = (ends + g[1]) * (-1.0f / 6);
  z[2] = (ends - g[1]) * (-1.0f / 6);
  z[3] = (far + 2 * g[1]) * (1.0f / 24);
  z[4] = (far - 2 * g[1]) * (1.0f / 24);
  z[5] = g[2];
}

// y = A^T z
LAMINA_INLINE void output(const Vec (&z)[kIn], Vec (&y)[kOut]) {
  const Vec near = z[1] + z[2], near2 = z[1] - z[2], far = z[3] + z[4], far2 = z[3] - z[4];
  y[0] = z[0] + near + far;
  y[1] = near2 + 2 * far2;
  y[2] = near + 4 * far;
  y[3] = near2 + 8 * far2 + z[5];
}

// z = A y
LAMINA_INLINE void output_gradient(const Vec (&y)[kOut], Vec (&z)[kIn]) {
  const Vec even = y[0] + y[2], odd = y[1] + y[3], even2 = y[0] + 4 * y[2],
            odd2 = 2 * y[1] + 8 * y[3];
  z[0] = y[0];
  z[1] = even + odd;
  z[2] = even - odd;
  z[3] = even2 + odd2;
  z[4] = even2 - odd2;
  z[5] = y[3];
}

// g = G^T z
LAMINA_INLINE void weights_gradient(const Vec (&z)[kIn], Vec (&g)[kTaps]) {
  const Vec near = (z[1] + z[2]) * (-1.0f / 6), far = z[3] + z[4];
  g[0] = z[0] * (1.0f / 4) + near + far * (1.0f / 24);
  g[1] = (z[2] - z[1]) * (1.0f / 6) + (z[3] - z[4]) * (1.0f / 12);
  g[2] = near + far * (1.0f / 6) + z[5];
}

// Both axes: from is [n][n], to is [m][m]; `Axis` one of the above.
template <int n, int m, class Axis>
LAMINA_INLINE void both_axes(const Axis& axis, const Vec (&from)[n][n], Vec (&to)[m][m]) {
  Vec half[m][n];
  for (int j = 0; j < n; ++j) {
    Vec column[n], turned[m];
    LAMINA_UNROLL
    for (int i = 0; i < n; ++i) column[i] = from[i][j];
    axis(column, turned);
    LAMINA_UNROLL
    for (int i = 0; i < m; ++i) half[i][j] = turned[i];
  }
  for (int i = 0; i < m; ++i) axis(half[i], to[i]);
}

}  // namespace lamina::cpu::winograd
