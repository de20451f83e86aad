// Where the taps of a window meet a map: lines of outputs, a row of a map or, on small maps, a
// pixel of all images, of which a tap meets a part that lies evenly apart as well.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "kernels/conv2d.h"

namespace lamina::cpu {

// The outputs along one axis whose tap lies inside the image, and the input of the first.
struct Inside {
  std::int64_t begin, end, first;
};
inline Inside inside(std::int64_t outputs,
                     std::int64_t inputs,
                     std::int64_t offset,  // tap * dilation - pad
                     std::int64_t stride) {
  const std::int64_t begin = offset < 0 ? (-offset + stride - 1) / stride : 0;
  const std::int64_t last = inputs - 1 - offset;
  const std::int64_t end = last < 0 ? 0 : std::min(outputs, last / stride + 1);
  return {begin, std::max(begin, end), begin * stride + offset};
}

// The output along one axis that meets input `at` in this tap, or -1.
inline std::int64_t output_at(std::int64_t at,
                              std::int64_t outputs,
                              std::int64_t offset,
                              std::int64_t stride) {
  const std::int64_t from_first = at - offset;
  if (from_first < 0 || from_first % stride != 0) return -1;
  return from_first / stride < outputs ? from_first / stride : -1;
}

// A part of a line, and what a tap meets there: rows of channels, each so many floats apart.
struct Meeting {
  float* to = nullptr;
  std::int64_t to_step = 0;
  const float* from = nullptr;
  std::int64_t from_step = 0, rows = 0;
};

// How a map's pixels are cut into lines, and where those lie, in pixels.
struct Lines {
  bool of_images;  // a pixel of all images each, else a row of an image
  std::int64_t count, outputs, step, width;

  std::int64_t first(std::int64_t line) const { return of_images ? line : line * width; }
  template <class Body>
  void for_each_output(std::int64_t begin, std::int64_t end, const Body& body) const {
    for (std::int64_t line = begin; line < end; ++line)
      for (std::int64_t i = 0; i < outputs; ++i) body(first(line) + i * step);
  }
};
inline Lines lines_of(const Shape& s) {
  const bool of_images = s.n > s.w;
  return {of_images,
          of_images ? s.h * s.w : s.n * s.h,
          of_images ? s.n : s.w,
          of_images ? s.h * s.w : 1,
          s.w};
}

// The window of a convolution on its lines.
struct LineWindow {
  Conv2dDesc desc;
  Shape y;

  // What tap (r, s) meets of a line of y, at `out`. No rows where they do not meet.
  Meeting meet_inputs(const float* x,
                      float* out,
                      const Lines& lines,
                      std::int64_t line,
                      std::int64_t r,
                      std::int64_t s) const {
    const Conv2dDesc& d = desc;
    const std::int64_t down = r * d.dilation_h - d.pad_h, across = s * d.dilation_w - d.pad_w;
    const std::int64_t row = line / (lines.of_images ? y.w : 1);
    const std::int64_t n = lines.of_images ? 0 : row / y.h;
    const std::int64_t h = row % y.h * d.stride_h + down;
    if (h < 0 || h >= d.x.h) return {};
    const float* const from = x + (n * d.x.h + h) * d.x.w * d.x.c;
    float* const to = out + lines.first(line) * d.k;
    if (lines.of_images) {
      const std::int64_t w = line % y.w * d.stride_w + across;
      if (w < 0 || w >= d.x.w) return {};
      return {to, lines.step * d.k, from + w * d.x.c, d.x.per_sample(), y.n};
    }
    const Inside q = inside(y.w, d.x.w, across, d.stride_w);
    return {to + q.begin * d.k, d.k, from + q.first * d.x.c, d.stride_w * d.x.c, q.end - q.begin};
  }

  // The same of a line of dx, which meets outputs.
  Meeting meet_outputs(const float* dy,
                       float* dx,
                       const Lines& lines,
                       std::int64_t line,
                       std::int64_t r,
                       std::int64_t s) const {
    const Conv2dDesc& d = desc;
    const std::int64_t down = r * d.dilation_h - d.pad_h, across = s * d.dilation_w - d.pad_w;
    const std::int64_t row = line / (lines.of_images ? d.x.w : 1);
    const std::int64_t n = lines.of_images ? 0 : row / d.x.h;
    const std::int64_t p = output_at(row % d.x.h, y.h, down, d.stride_h);
    if (p < 0) return {};
    const float* const from = dy + (n * y.h + p) * y.w * d.k;
    float* const to = dx + lines.first(line) * d.x.c;
    if (lines.of_images) {
      const std::int64_t q = output_at(line % d.x.w, y.w, across, d.stride_w);
      if (q < 0) return {};
      return {to, lines.step * d.x.c, from + q * d.k, y.per_sample(), d.x.n};
    }
    const Inside q = inside(y.w, d.x.w, across, d.stride_w);
    return {to + q.first * d.x.c, d.stride_w * d.x.c, from + q.begin * d.k, d.k, q.end - q.begin};
  }
};

}  // namespace lamina::cpu
