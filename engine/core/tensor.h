// A view of device memory: pointer, dtype, shape. NHWC; owns nothing.
//
// It is dense, or a slice of the channels of a wider map: then `pitch` is how many channels that
// map has. Ops take slices only where their contract says so.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace lamina {

struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t pitch = 0;  // elements from a pixel to the next; 0: dense, as many as channels

  explicit operator bool() const { return data != nullptr; }
  std::int64_t numel() const { return shape.numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype); }

  bool is_slice() const { return pitch != 0; }
  std::int64_t row() const { return pitch != 0 ? pitch : shape.c; }  // from a pixel to the next
  std::int64_t rows() const { return numel() / shape.c; }            // pixels

  // The elements as T; throws when T is not the tensor's dtype.
  template <class T>
  T* as() const {
    LAMINA_CHECK(dtype == dtype_of<T>::value,
                 "a {} tensor was read as {}.",
                 name_of(dtype),
                 name_of(dtype_of<T>::value));
    return static_cast<T*>(data);
  }
};

// What the channels of a slice, its first channel and those of its map are multiples of: sixteen
// floats are a vector on the CPU, and 16 bytes an access on a GPU in every dtype.
inline constexpr std::int64_t kSliceChannels = 16;

// Channels [first, first + c) of a map, dense or itself a slice.
inline Tensor slice_channels(const Tensor& map, std::int64_t first, std::int64_t c) {
  Shape shape = map.shape;
  shape.c = c;
  std::byte* const start = static_cast<std::byte*>(map.data);
  return {
      start + static_cast<std::size_t>(first) * size_of(map.dtype), map.dtype, shape, map.row()};
}

// A flat vector of `count` elements, for parameters, counters and index lists.
inline Tensor vector_view(void* data, DType dtype, std::int64_t count) {
  return {data, dtype, features(1, count)};
}

}  // namespace lamina
