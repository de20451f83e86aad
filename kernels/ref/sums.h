// f64 sums beside a tensor, rounded to its dtype once at the end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/core/tensor.h"

namespace lamina::ref {

inline std::vector<double> zeros(const Tensor& like) {
  return std::vector<double>(static_cast<std::size_t>(like.numel()), 0.0);
}

template <class T>
void store(const std::vector<double>& sums, const Tensor& to) {
  T* const data = to.as<T>();
  for (std::size_t i = 0; i < sums.size(); ++i) data[i] = static_cast<T>(sums[i]);
}

}  // namespace lamina::ref
