// A view of device memory: pointer, dtype, shape. Dense NHWC; owns nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace lamina {

struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  explicit operator bool() const { return data != nullptr; }
  std::int64_t numel() const { return shape.numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype); }

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

// A flat vector of `count` elements, for parameters, counters and index lists.
inline Tensor vector_view(void* data, DType dtype, std::int64_t count) {
  return {data, dtype, features(1, count)};
}

}  // namespace lamina
