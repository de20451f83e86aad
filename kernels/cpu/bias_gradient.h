// The gradient of a convolution's bias, in the f64 sums of channel_blocks.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "kernels/cpu/channel_blocks.h"

namespace lamina::cpu {

// db[k] = sum over n, p and q of dy[n,p,q,k].
class BiasGradient {
 public:
  explicit BiasGradient(const Shape& y) : layout_(y) {}

  std::size_t scratch_bytes() const {
    return static_cast<std::size_t>(2 * layout_.channels + layout_.chunks * 2 * layout_.block) *
           sizeof(double);
  }

  void run(Context& ctx, const Tensor& dy, const Tensor& db, void* scratch) const {
    auto* const sums = static_cast<double*>(scratch);
    const std::int64_t block = layout_.block, k = layout_.channels;
    visit_storage(dy.dtype, [&]<class T>(T) {
      const T* const from = dy.as<T>();
      sum_channels(ctx, layout_, sums + 2 * k, sums, [=](std::int64_t i, auto lane, auto count) {
        const Vec v = load_some(from + i * block + lane, count);
        return Terms{v, {}};
      });
      std::transform(sums, sums + k, db.as<T>(), [](double sum) {
        return stored<T>(static_cast<float>(sum));
      });
    });
  }

 private:
  Layout layout_;
};

}  // namespace lamina::cpu
