// SPDX-License-Identifier: Apache-2.0
#include "engine/train/augmentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "engine/core/error.h"
#include "engine/data/principal_colours.h"

namespace lamina {

void set_augmentation(TrainConfig& config, const std::string& setting) {
  static constexpr const char* kKeys[] = {"crop_padding",
                                          "flip",
                                          "random_resized_crop",
                                          "pca_shift",
                                          "cutout",
                                          "mixup",
                                          "permute_pixels"};
  const std::size_t equals = setting.find('=');
  const std::string key = setting.substr(0, equals);
  LAMINA_CHECK(equals != std::string::npos &&
                   std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys),
               "'{}' is no setting of the augmentation; give KEY=VALUE with one of {}.",
               setting,
               fmt::join(kKeys, ", "));
  config.set(key, setting.substr(equals + 1));
}

// Written so that what is not a number fails too.
void check_augmentation(const TrainConfig& config) {
  constexpr std::int64_t kMost = 65535;
  LAMINA_CHECK(config.crop_padding >= 0 && config.crop_padding <= kMost,
               "crop_padding is {}; it must be zero or more, and less than 65536.",
               config.crop_padding);
  LAMINA_CHECK(config.random_resized_crop >= 0 && config.random_resized_crop <= 1,
               "random_resized_crop is {}; it must be a share of the image in (0, 1], or 0.",
               config.random_resized_crop);
  LAMINA_CHECK(config.crop_padding == 0 || config.random_resized_crop == 0,
               "crop_padding and random_resized_crop are two ways to crop; give one of them.");
  LAMINA_CHECK(config.pca_shift >= 0 && config.pca_shift <= 100,
               "pca_shift is {}; it must be zero or more, and at most 100.",
               config.pca_shift);
  LAMINA_CHECK(config.cutout >= 0 && config.cutout <= kMost,
               "cutout is {}; it must be zero or more, and less than 65536.",
               config.cutout);
  LAMINA_CHECK(config.mixup >= 0 && config.mixup <= 1,
               "mixup is {}; it must be an alpha in (0, 1], or 0.",
               config.mixup);
  LAMINA_CHECK(config.permute_pixels >= 0,
               "permute_pixels is {}; it must be a seed of 1 or more, or 0.",
               config.permute_pixels);
}

PrepareOpts augmented(PrepareOpts scaling, const TrainConfig& config, const Dataset& train) {
  AugmentOpts& augment = scaling.augment;
  augment.padding = static_cast<int>(config.crop_padding);
  augment.flip = config.flip;
  augment.seed = static_cast<std::uint64_t>(config.seed);
  augment.window = config.random_resized_crop;
  augment.cutout = static_cast<int>(config.cutout);
  augment.colour = config.pca_shift;
  scaling.mixup = mixup_of(config);
  if (config.pca_shift == 0) return scaling;
  LAMINA_CHECK(train.c == 3,
               "pca_shift shifts the colours of images of 3 channels; those of data set {} have "
               "{}. Leave it out.",
               train.name,
               train.c);
  const PrincipalColours colours = principal_colours(colour_covariance(train));
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t j = 0; j < 3; ++j)
      augment.components[c][j] = static_cast<float>(colours.values[j] * colours.vectors[j][c]);
  return scaling;
}

MixupOpts mixup_of(const TrainConfig& config) {
  return {.alpha = config.mixup, .seed = static_cast<std::uint64_t>(config.seed)};
}

Dataset draw_augmented(Context& ctx,
                       const Dataset& data,
                       const TrainConfig& config,
                       std::int64_t size,
                       std::int64_t draws) {
  check_augmentation(config);
  // Normalised, so that what is blank after normalising has the mean colour.
  PrepareOpts opts;
  std::copy_n(data.mean.begin(), std::min(data.mean.size(), opts.mean.size()), opts.mean.begin());
  std::copy_n(
      data.stddev.begin(), std::min(data.stddev.size(), opts.stddev.size()), opts.stddev.begin());
  opts = augmented(opts, config, data);

  Dataset drawn = data;
  if (size > 0) drawn.h = drawn.w = size;
  drawn.count = data.count * draws;
  const Shape batch{data.count, drawn.h, drawn.w, data.c};
  const auto per_sample = static_cast<std::size_t>(batch.per_sample());
  drawn.images.resize(static_cast<std::size_t>(drawn.count) * per_sample);
  drawn.labels.clear();
  for (std::int32_t label : data.labels)
    drawn.labels.insert(drawn.labels.end(), static_cast<std::size_t>(draws), label);

  const DeviceDataset resident(ctx, data, static_cast<std::uint64_t>(config.permute_pixels));
  std::vector<std::int32_t> order(static_cast<std::size_t>(data.count));
  std::iota(order.begin(), order.end(), 0);
  std::vector<float> values(static_cast<std::size_t>(batch.numel()));
  const Buffer x = ctx.allocate(values.size() * sizeof(float)),
               y = ctx.allocate(order.size() * sizeof(std::int32_t)),
               numbers = ctx.allocate(y.size()), state = ctx.allocate(sizeof(StepState));
  ctx.copy_in(numbers.data(), order.data(), numbers.size());
  for (std::int64_t draw = 0; draw < draws; ++draw) {
    const StepState now{.step = draw};
    ctx.copy_in(state.data(), &now, sizeof now);
    prepare(ctx,
            opts,
            static_cast<const StepState*>(state.data()),
            resident.images(),
            resident.labels(),
            vector_view(numbers.data(), DType::i32, data.count),
            {x.data(), DType::f32, batch},
            vector_view(y.data(), DType::i32, data.count),
            resident.pixels());
    ctx.copy_out(values.data(), x.data(), x.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t n = i / per_sample, c = i % static_cast<std::size_t>(data.c);
      const float pixel = 255.0f * (values[i] * opts.stddev[c] + opts.mean[c]);
      const std::size_t image =
          n * static_cast<std::size_t>(draws) + static_cast<std::size_t>(draw);
      drawn.images[image * per_sample + i % per_sample] =
          static_cast<std::uint8_t>(std::lround(std::clamp(pixel, 0.0f, 255.0f)));
    }
  }
  return drawn;
}

}  // namespace lamina
