// Fewer channels made of many, for layers that are too large for `ref`: see product_layers.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/suite/data.h"

namespace lamina::suite {

// A linear map of the `from` channels of each of `groups` groups onto `to`: either a random sum of
// all of them with the factors +1 and -1, or a choice of single channels. A convolution commutes
// with it: mapping its filters maps its output.
class ChannelMap {
 public:
  // Sums: one result a group, in which a wrong element of any channel shows. In whole numbers the
  // sums are exact, so equality can be demanded (Freivalds' check of a product).
  static ChannelMap sums(std::int64_t groups, std::int64_t from, Draw& draw);
  // At most `count` of the channels of each group, the first and the last among them.
  static ChannelMap choice(std::int64_t groups, std::int64_t from, std::int64_t count, Draw& draw);

  std::int64_t groups() const { return groups_; }
  std::int64_t to() const {  // of a group
    return chosen_.empty() ? 1 : static_cast<std::int64_t>(chosen_.size());
  }
  std::int64_t channels() const { return groups_ * to(); }

  // values: [..., groups * from * inner]; the result [..., groups * to * inner].
  Values apply(const Values& values, std::int64_t inner = 1) const;

 private:
  ChannelMap(std::int64_t groups, std::int64_t from) : groups_(groups), from_(from) {}
  double signed_sum(const double* block) const;

  std::int64_t groups_, from_;
  Values factors_;                   // of the sum, or
  std::vector<std::size_t> chosen_;  // the channels
};

}  // namespace lamina::suite
