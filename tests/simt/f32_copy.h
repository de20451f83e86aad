// A copy of a tensor in f32 on the host: what the doubles of the library ops compute with.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/core/tensor.h"

namespace lamina::simt {

template <class Body>
void visit_training(DType dtype, Body&& body) {
  if (dtype == DType::bf16) return body([](float value) { return to_bf16(value); });
  if (dtype == DType::f16) return body([](float value) { return to_f16(value); });
  LAMINA_CHECK(dtype == DType::f32, "the cuda backend does not compute in {}.", name_of(dtype));
  body([](float value) { return value; });
}

inline float widen(float value) { return value; }
inline float widen(bf16 value) { return to_float(value); }
inline float widen(f16 value) { return to_float(value); }

// Of the empty tensor: the empty tensor.
class F32Copy {
 public:
  explicit F32Copy(const Tensor& like)
      : like_(like), values_(like ? static_cast<std::size_t>(like.numel()) : 0) {}

  static F32Copy of(const Tensor& tensor) {
    F32Copy copy(tensor);
    if (tensor) {
      visit_training(tensor.dtype, [&](auto round) {
        const auto* const from = tensor.as<decltype(round(0.0f))>();
        for (std::size_t i = 0; i < copy.values_.size(); ++i) copy.values_[i] = widen(from[i]);
      });
    }
    return copy;
  }

  Tensor tensor() { return like_ ? Tensor{values_.data(), DType::f32, like_.shape} : Tensor{}; }

  // Rounded to the dtype of the tensor it was made like, and into that.
  void store() const {
    if (!like_) return;
    visit_training(like_.dtype, [&](auto round) {
      auto* const to = like_.as<decltype(round(0.0f))>();
      for (std::size_t i = 0; i < values_.size(); ++i) to[i] = round(values_[i]);
    });
  }

 private:
  Tensor like_;
  std::vector<float> values_;
};

}  // namespace lamina::simt
