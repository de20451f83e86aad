// SPDX-License-Identifier: Apache-2.0
#include "engine/data/synthetic_images.h"

#include <fmt/format.h>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/data/registry.h"

namespace lamina {
namespace {

// Beyond the six of the synthetic digits.
constexpr std::uint32_t kPixels = stream::kSynthetic + 6, kLabels = stream::kSynthetic + 7;
constexpr std::uint32_t kTestStreams = 2;

}  // namespace

Dataset draw_synthetic_images(const DatasetInfo& info, Part part, const DataOpts& opts) {
  LAMINA_CHECK(opts.image_size > 0 && opts.image_size <= 4096,
               "images cannot be squares of {} pixels; choose an image size of 1 to 4096.",
               opts.image_size);
  Dataset data;
  data.origin = fmt::format("generated, seed {}", opts.seed);
  data.count = opts.limit > 0        ? opts.limit
               : part == Part::train ? info.train_count
                                     : info.test_count;
  data.h = data.w = opts.image_size;
  data.c = 3;
  data.class_names = info.class_names;
  data.classes = std::ssize(info.class_names);
  data.mean = info.mean;
  data.stddev = info.stddev;
  const std::uint32_t streams = part == Part::train ? 0 : kTestStreams;
  const auto size = static_cast<std::size_t>(data.h * data.w * data.c);
  data.images.resize(static_cast<std::size_t>(data.count) * size);
  std::uint8_t* pixel = data.images.data();
  for (std::int64_t i = 0; i < data.count; ++i) {
    const auto sample = static_cast<std::uint32_t>(i);
    const std::uint32_t bits = philox_u32(opts.seed, kLabels + streams, 0, sample);
    data.labels.push_back(
        static_cast<std::int32_t>(bits % static_cast<std::uint32_t>(data.classes)));
    Philox4 words{};
    for (std::size_t at = 0; at < size; ++at) {
      if (at % 16 == 0) words = philox(opts.seed, kPixels + streams, sample, at / 16);
      *pixel++ = static_cast<std::uint8_t>(words.v[at / 4 % 4] >> (8 * (at % 4)));
    }
  }
  return data;
}

}  // namespace lamina
