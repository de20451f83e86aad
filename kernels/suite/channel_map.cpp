// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/channel_map.h"

#include <algorithm>
#include <array>

namespace lamina::suite {

ChannelMap ChannelMap::sums(std::int64_t groups, std::int64_t from, Draw& draw) {
  ChannelMap map(groups, from);
  map.factors_.resize(static_cast<std::size_t>(from));
  for (double& factor : map.factors_) factor = draw.roll(0, 1) == 0 ? -1 : 1;
  return map;
}

ChannelMap ChannelMap::choice(std::int64_t groups,
                              std::int64_t from,
                              std::int64_t count,
                              Draw& draw) {
  ChannelMap map(groups, from);
  auto& chosen = map.chosen_;
  if (count >= from) {
    for (std::int64_t c = 0; c < from; ++c) chosen.push_back(static_cast<std::size_t>(c));
    return map;
  }
  chosen = {0, static_cast<std::size_t>(from - 1)};
  while (static_cast<std::int64_t>(chosen.size()) < count)
    chosen.push_back(static_cast<std::size_t>(draw.roll(0, from - 1)));
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return map;
}

Values ChannelMap::apply(const Values& values, std::int64_t inner) const {
  const auto width = static_cast<std::size_t>(inner), from = static_cast<std::size_t>(from_);
  const std::size_t blocks = values.size() / (from * width);
  Values result(blocks * static_cast<std::size_t>(to()) * width);
  double* to = result.data();
  for (std::size_t b = 0; b < blocks; ++b) {
    const double* const block = &values[b * from * width];
    for (std::size_t channel : chosen_) to = std::copy_n(block + channel * width, width, to);
    if (!chosen_.empty()) continue;
    if (width == 1) {
      *to++ = signed_sum(block);
      continue;
    }
    for (std::size_t c = 0; c < from; ++c)
      for (std::size_t i = 0; i < width; ++i) to[i] += factors_[c] * block[c * width + i];
    to += width;
  }
  return result;
}

// Four sums at a time; of whole numbers the order does not matter.
double ChannelMap::signed_sum(const double* block) const {
  std::array<double, 4> sums{};
  std::size_t c = 0;
  for (; c + 4 <= factors_.size(); c += 4)
    for (std::size_t i = 0; i < 4; ++i) sums[i] += factors_[c + i] * block[c + i];
  for (; c < factors_.size(); ++c) sums[0] += factors_[c] * block[c];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace lamina::suite
