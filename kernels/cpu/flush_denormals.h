// Denormal floats are flushed to zero while one of these lives, on the thread that made it.
//
// The moments of a weight whose gradient has died away shrink by a fixed factor a step until they
// are denormal, and stay at the smallest ones for good because rounding brings them back: each
// costs the processor a hundred cycles or more, every step.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace lamina::cpu {

#ifdef __SSE__
class FlushDenormals {
 public:
  FlushDenormals() : saved_(_mm_getcsr()) {
    constexpr unsigned kFlushResults = 0x8000, kDenormalsAreZero = 0x0040;
    _mm_setcsr(saved_ | kFlushResults | kDenormalsAreZero);
  }
  ~FlushDenormals() { _mm_setcsr(saved_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_;
};
#else
struct FlushDenormals {
  FlushDenormals() {}  // other processors have no such penalty worth the code
};
#endif

}  // namespace lamina::cpu
