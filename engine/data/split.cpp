// SPDX-License-Identifier: Apache-2.0
#include "engine/data/split.h"

#include <limits>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/philox_sequence.h"

namespace lamina {

std::vector<std::int32_t> shuffled_order(std::uint64_t seed,
                                         std::uint32_t stream,
                                         std::uint32_t epoch,
                                         std::span<const std::int32_t> items) {
  PhiloxSequence random(seed, stream, epoch);
  std::vector<std::int32_t> order(items.begin(), items.end());
  for (std::size_t left = order.size(); left > 1; --left)
    std::swap(order[left - 1], order[random.below(static_cast<std::uint32_t>(left))]);
  return order;
}

Split split_train_val(std::int64_t count, double val_fraction, std::uint64_t seed) {
  LAMINA_CHECK(count > 0 && count <= std::numeric_limits<std::int32_t>::max(),
               "a data set of {} samples cannot be split; it takes 1 to {}.",
               count,
               std::numeric_limits<std::int32_t>::max());
  // Written so that a fraction that is not a number fails too.
  LAMINA_CHECK(val_fraction >= 0.0 && val_fraction < 1.0,
               "the validation fraction is {}; choose it from 0 up to, but not, 1.",
               val_fraction);
  const auto train_count =
      static_cast<std::int64_t>((1.0 - val_fraction) * static_cast<double>(count));
  LAMINA_CHECK(train_count > 0,
               "a validation fraction of {} leaves no sample of {} to train on; choose a smaller "
               "one.",
               val_fraction,
               count);
  std::vector<std::int32_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  const std::vector<std::int32_t> order = shuffled_order(seed, stream::kSplit, 0, all);
  const auto middle = order.begin() + train_count;
  return {{order.begin(), middle}, {middle, order.end()}};
}

}  // namespace lamina
