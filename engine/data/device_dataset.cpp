// SPDX-License-Identifier: Apache-2.0
#include "engine/data/device_dataset.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/data/split.h"

namespace lamina {

DeviceDataset::DeviceDataset(Context& ctx, const Dataset& dataset, std::uint64_t permute_pixels)
    : shape_{dataset.count, dataset.h, dataset.w, dataset.c},
      images_(ctx.allocate(dataset.images.size())),
      labels_(ctx.allocate(dataset.labels.size() * sizeof(std::int32_t))) {
  ctx.copy_in(images_.data(), dataset.images.data(), images_.size());
  ctx.copy_in(labels_.data(), dataset.labels.data(), labels_.size());
  if (permute_pixels == 0) return;
  std::vector<std::int32_t> places(static_cast<std::size_t>(shape_.h * shape_.w));
  std::iota(places.begin(), places.end(), 0);
  const std::vector<std::int32_t> order =
      shuffled_order(permute_pixels, stream::kPixels, 0, places);
  pixels_ = ctx.allocate(order.size() * sizeof(std::int32_t));
  ctx.copy_in(pixels_.data(), order.data(), pixels_.size());
}

Tensor DeviceDataset::pixels() const {
  if (pixels_.size() == 0) return {};
  return vector_view(pixels_.data(), DType::i32, shape_.h * shape_.w);
}

PrepareOpts parse_normalize(const std::string& text, const Dataset& dataset) {
  PrepareOpts opts;
  if (text == "none") return opts;
  if (text == "standard") {
    LAMINA_CHECK(
        dataset.has_constants,
        "normalize standard: data set '{}' has no published mean and deviation; give MEAN,STD.",
        dataset.name);
    std::copy_n(
        dataset.mean.begin(), std::min(dataset.mean.size(), opts.mean.size()), opts.mean.begin());
    std::copy_n(dataset.stddev.begin(),
                std::min(dataset.stddev.size(), opts.stddev.size()),
                opts.stddev.begin());
    return opts;
  }
  float mean = 0, stddev = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, mean);
  const bool comma = first.ec == std::errc() && first.ptr != end && *first.ptr == ',';
  const auto second = comma ? std::from_chars(first.ptr + 1, end, stddev) : first;
  LAMINA_CHECK(comma && second.ec == std::errc() && second.ptr == end && stddev > 0,
               "normalize takes none, standard or MEAN,STD with STD above zero, not '{}'.",
               text);
  opts.mean.fill(mean);
  opts.stddev.fill(stddev);
  return opts;
}

}  // namespace lamina
