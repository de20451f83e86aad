// SPDX-License-Identifier: Apache-2.0
#include "engine/data/device_dataset.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/core/words.h"
#include "engine/data/split.h"

namespace lamina {

namespace {

bool is_streamed(Context& ctx, const Dataset& dataset) {
  const std::optional<std::size_t> free = ctx.device().free_bytes();
  return dataset.source || (free && dataset.images.size() > *free / 2);
}

}  // namespace

DeviceDataset::DeviceDataset(Context& ctx, const Dataset& dataset, std::uint64_t permute_pixels)
    : host_(&dataset), shape_{dataset.count, dataset.h, dataset.w, dataset.c} {
  if (!is_streamed(ctx, dataset)) {
    images_ = ctx.allocate(dataset.images.size());
    labels_ = ctx.allocate(dataset.labels.size() * sizeof(std::int32_t));
    ctx.copy_in(images_.data(), dataset.images.data(), images_.size());
    ctx.copy_in(labels_.data(), dataset.labels.data(), labels_.size());
  }
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

namespace {

std::array<float, 4> parse_channels(const char* what,
                                    const std::string& text,
                                    float missing,
                                    std::int64_t channels) {
  std::array<float, 4> values{};
  values.fill(missing);
  if (text.empty()) return values;
  std::vector<float> list;
  for (const std::string_view word : words_of(text)) {
    float value = 0;
    const char* const end = word.data() + word.size();
    const auto read = std::from_chars(word.data(), end, value);
    LAMINA_CHECK(read.ec == std::errc() && read.ptr == end,
                 "{} takes numbers with commas between them, not '{}'.",
                 what,
                 text);
    list.push_back(value);
  }
  const auto count = static_cast<std::int64_t>(list.size());
  LAMINA_CHECK(count == 1 || count == channels,
               "{} has {} numbers; give one, or one for each of the {} channels.",
               what,
               count,
               channels);
  for (std::size_t c = 0; c < values.size(); ++c)
    values[c] = count == 1 ? list[0] : c < list.size() ? list[c] : missing;
  return values;
}

}  // namespace

PrepareOpts parse_scaling(const std::string& mean,
                          const std::string& stddev,
                          double scale,
                          const Dataset& dataset) {
  LAMINA_CHECK(scale > 0, "a scale of {} is not positive; 1/255 is 0.00392156862745098.", scale);
  PrepareOpts opts;
  opts.mean = parse_channels("mean", mean, 0.0f, dataset.c);
  opts.stddev = parse_channels("std", stddev, 1.0f, dataset.c);
  for (std::size_t c = 0; c < opts.mean.size(); ++c) {
    LAMINA_CHECK(opts.stddev[c] > 0, "std is {}; it must be positive.", opts.stddev[c]);
    opts.mean[c] = static_cast<float>(opts.mean[c] / (255.0 * scale));
    opts.stddev[c] = static_cast<float>(opts.stddev[c] / (255.0 * scale));
  }
  return opts;
}

}  // namespace lamina
