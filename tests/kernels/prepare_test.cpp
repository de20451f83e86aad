// The draws of augmentation, and what prepare() makes of them against the same done by hand.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

constexpr int kDraws = 4000;

// Drawn by hand: the mirror first, then the shift; what comes from outside is black.
TEST(Augment, PlacesPixels) {
  const Placement moved{.down = 1, .right = -2, .height = 4, .width = 5},
      mirrored{.right = 1, .height = 4, .width = 5, .mirrored = true};
  EXPECT_EQ(moved.column(0), -2);
  EXPECT_EQ(mirrored.column(0), 5);
  EXPECT_EQ(mirrored.column(4), 1);
  int flips = 0, furthest = 0;
  bool same = true;
  for (int n = 0; n < 1000; ++n) {
    const Placement place = draw_placement({3, true, 7}, 9, 8, 2, n);
    flips += place.mirrored;
    furthest = std::max({furthest, std::abs(place.down), std::abs(place.right)});
    same = same && place.down == place.right;
    EXPECT_EQ(place.height, 9);
    EXPECT_EQ(place.width, 8);
  }
  EXPECT_NEAR(flips, 500, 80);  // five standard deviations
  EXPECT_EQ(furthest, 3);
  EXPECT_FALSE(same);
  EXPECT_FALSE(draw_placement({3, false, 7}, 9, 8, 2, 0).mirrored);
}

// In an image so large that nearly every attempt fits when the least share is small.
TEST(Augment, DrawsWindows) {
  const AugmentOpts opts{.flip = true, .seed = 3, .window = 0.08};
  const int height = 3000, width = 4000;
  double share = 0, square = 0, log_ratio = 0, top = 0, left = 0;
  int flips = 0;
  for (int n = 0; n < kDraws; ++n) {
    const Placement w = draw_placement(opts, height, width, 5, n);
    EXPECT_TRUE(w.down >= 0 && w.right >= 0 && w.down + w.height <= height &&
                w.right + w.width <= width);
    const double area = static_cast<double>(w.height) * w.width / height / width;
    const double ratio = static_cast<double>(w.width) / w.height;
    EXPECT_TRUE(area > 0.0799 && area <= 1 && ratio > 0.749 && ratio < 1.335) << area << ratio;
    share += area / kDraws;
    square += area * area / kDraws;
    log_ratio += std::log(ratio) / kDraws;
    if (w.height < height) top += static_cast<double>(w.down) / (height - w.height) / kDraws;
    if (w.width < width) left += static_cast<double>(w.right) / (width - w.width) / kDraws;
    flips += w.mirrored;
  }
  // Large parts of other shapes are drawn anew, so that the means lie a little off 0.54 and 0:
  // torchvision's get_params gives 0.432, 0.0467 and 0.031 over many draws.
  EXPECT_NEAR(share, 0.432, 0.017);
  EXPECT_NEAR(square - share * share, 0.0467, 0.005);
  EXPECT_NEAR(log_ratio, 0.031, 0.013);
  EXPECT_NEAR(top, 0.5, 0.025);
  EXPECT_NEAR(left, 0.5, 0.025);
  EXPECT_NEAR(flips, kDraws / 2, 160);
}

// What no ratio fits into: all of its short side, and the middle of the long one.
TEST(Augment, FallsBackToTheMiddle) {
  const AugmentOpts opts{.seed = 3, .window = 1};
  for (int n = 0; n < 50; ++n) {
    const Placement wide = draw_placement(opts, 30, 100, 0, n);
    EXPECT_EQ(wide.height, 30);
    EXPECT_EQ(wide.width, 40);
    EXPECT_EQ(wide.down, 0);
    EXPECT_EQ(wide.right, 30);
    const Placement high = draw_placement(opts, 101, 30, 0, n);
    EXPECT_EQ(high.height, 40);
    EXPECT_EQ(high.down, 30);
    EXPECT_EQ(high.width, 30);
    const Placement one = draw_placement({.window = 0.08}, 1, 1, 0, n);
    EXPECT_EQ(one.height, 1);
    EXPECT_EQ(one.width, 1);
  }
}

TEST(Augment, CutsAroundEveryPixelAlike) {
  const AugmentOpts opts{.seed = 5, .cutout = 4};
  std::vector<int> rows(7), columns(10);
  double product = 0;
  for (int n = 0; n < 7000; ++n) {
    const Square hole = draw_cutout(opts, 7, 10, 1, n);
    EXPECT_EQ(hole.size, 4);
    ++rows.at(static_cast<std::size_t>(hole.top + 2));
    ++columns.at(static_cast<std::size_t>(hole.left + 2));
    product += (hole.top - 1.0) * (hole.left - 2.5) / 7000;
  }
  EXPECT_NEAR(product, 0, 0.35);  // of deviations 2 and 2.9
  for (int count : rows) EXPECT_NEAR(count, 1000, 150);
  for (int count : columns) EXPECT_NEAR(count, 700, 125);
  const Square hole{.top = -1, .left = 2, .size = 3};
  EXPECT_TRUE(hole.covers(0, 2) && hole.covers(1, 4));
  EXPECT_FALSE(hole.covers(2, 2) || hole.covers(0, 1) || hole.covers(0, 5));
}

// Components of one axis each, so that the shifts are the draws themselves.
TEST(Augment, ShiftsColoursByNormalDraws) {
  AugmentOpts opts{.seed = 9, .colour = 0.5};
  for (int i = 0; i < 3; ++i) opts.components[i][i] = 2;
  double mean[3] = {}, square[3] = {}, fourth = 0, product = 0;
  for (int n = 0; n < kDraws; ++n) {
    const Colour colour = draw_colour(opts, 4, n);
    for (int c = 0; c < 3; ++c) {
      const double shift = static_cast<double>(colour.shift[c]);
      EXPECT_EQ(shift, std::round(shift * 4096) / 4096);
      mean[c] += shift / kDraws;
      square[c] += shift * shift / kDraws;
      fourth += shift * shift * shift * shift / kDraws / 3;
    }
    product += static_cast<double>(colour.shift[0] * colour.shift[1]) / kDraws;
  }
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(mean[c], 0, 0.08);
    EXPECT_NEAR(square[c], 1, 0.11);
  }
  EXPECT_NEAR(fourth, 3, 0.45);
  EXPECT_NEAR(product, 0, 0.08);
  // Row c takes the c-th entry of every component.
  AugmentOpts one = opts;
  one.components[0][0] = one.components[1][1] = 0;
  const Colour blue = draw_colour(one, 4, 11), all = draw_colour(opts, 4, 11);
  EXPECT_EQ(blue.shift[0], 0);
  EXPECT_EQ(blue.shift[2], all.shift[2]);
  one.components[1][2] = -1;
  EXPECT_EQ(draw_colour(one, 4, 11).shift[1], -all.shift[2] / 2);
}

// Beta(alpha, alpha): mean 1/2, variance 1 / (4 (2 alpha + 1)).
TEST(Augment, MixesByBetaWeights) {
  for (double alpha : {0.2, 1.0}) {
    double mean = 0, square = 0;
    for (int step = 0; step < kDraws; ++step) {
      const double weight = static_cast<double>(draw_mixup_weight({alpha, 3}, step));
      EXPECT_TRUE(weight >= 0 && weight <= 1 && weight * 65536 == std::floor(weight * 65536));
      mean += weight / kDraws;
      square += weight * weight / kDraws;
    }
    EXPECT_NEAR(mean, 0.5, 0.035) << alpha;
    EXPECT_NEAR(square - mean * mean, 1 / (4 * (2 * alpha + 1)), 0.012) << alpha;
  }
}

// --- prepare() -----------------------------------------------------------------------------------

class PrepareKernel : public KernelTest {
 protected:
  static constexpr std::int64_t kSamples = 9;
  static constexpr std::int64_t kStep = 6;

  struct Batch {
    Shape image, x;
    PrepareOpts opts;
    std::vector<std::int32_t> pixels = {};
    int threads = 2;
    std::vector<std::uint8_t> bytes = {};  // of one sample; empty: drawn
  };

  static std::vector<std::uint8_t> drawn_images(const Shape& image) {
    Draw draw("prepare/by_hand");
    std::vector<std::uint8_t> bytes;
    for (double value : draw.whole(image.with_n(kSamples), 0, 255))
      bytes.push_back(static_cast<std::uint8_t>(value));
    return bytes;
  }

  // Sample n of the batch is sample n of the set.
  static std::vector<float> prepared(const Batch& b) {
    Context ctx = make_context({.backend = GetParam(), .threads = b.threads});
    const std::vector<std::uint8_t> bytes = b.bytes.empty() ? drawn_images(b.image) : b.bytes;
    const std::int64_t samples = static_cast<std::int64_t>(bytes.size()) / b.image.per_sample();
    std::vector<std::int32_t> order(static_cast<std::size_t>(samples));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
    const StepState now{.step = kStep};
    const Buffer images = ctx.allocate(bytes.size()), numbers = ctx.allocate(order.size() * 4),
                 x = ctx.allocate(static_cast<std::size_t>(b.x.numel()) * 4),
                 y = ctx.allocate(static_cast<std::size_t>(b.x.n) * 4),
                 state = ctx.allocate(sizeof now), pixels = ctx.allocate(b.pixels.size() * 4 + 4);
    ctx.copy_in(images.data(), bytes.data(), bytes.size());
    ctx.copy_in(numbers.data(), order.data(), order.size() * 4);
    ctx.copy_in(state.data(), &now, sizeof now);
    if (!b.pixels.empty()) ctx.copy_in(pixels.data(), b.pixels.data(), b.pixels.size() * 4);
    const Tensor list = vector_view(numbers.data(), DType::i32, samples);
    prepare(
        ctx,
        b.opts,
        static_cast<const StepState*>(state.data()),
        {images.data(), DType::u8, b.image.with_n(samples)},
        list,
        list,
        {x.data(), DType::f32, b.x},
        vector_view(y.data(), DType::i32, b.x.n),
        b.pixels.empty()
            ? Tensor{}
            : vector_view(pixels.data(), DType::i32, static_cast<std::int64_t>(b.pixels.size())));
    std::vector<float> values(static_cast<std::size_t>(b.x.numel()));
    ctx.copy_out(values.data(), x.data(), values.size() * 4);
    return values;
  }
};
LAMINA_OVER_BACKENDS(PrepareKernel);

constexpr PrepareOpts kThree{.mean = {0.1f, 0.4f, -0.3f, 0}, .stddev = {0.2f, 1.5f, 0.5f, 1}};

PrepareOpts with(AugmentOpts augment) {
  PrepareOpts opts = kThree;
  opts.augment = augment;
  opts.augment.seed = 21;
  return opts;
}

// The part of each image as an image of its own, mirrored by hand and resized by itself.
TEST_P(PrepareKernel, CutsTheWindowOut) {
  const Shape image{1, 13, 17, 3}, x{kSamples, 10, 9, 3};
  const PrepareOpts opts = with({.flip = true, .window = 0.1});
  const std::vector<float> got = prepared({image, x, opts});
  const std::vector<std::uint8_t> images = drawn_images(image);
  int mirrored = 0;
  for (std::int64_t n = 0; n < kSamples; ++n) {
    const Placement w = draw_placement(opts.augment, 13, 17, kStep, n);
    mirrored += w.mirrored;
    std::vector<std::uint8_t> part;
    for (int h = 0; h < w.height; ++h)
      for (int i = 0; i < w.width; ++i)
        for (int c = 0; c < 3; ++c) {
          const int column = w.right + (w.mirrored ? w.width - 1 - i : i);
          part.push_back(
              images[static_cast<std::size_t>(((n * 13 + w.down + h) * 17 + column) * 3 + c)]);
        }
    const std::vector<float> alone =
        prepared({{1, w.height, w.width, 3}, x.with_n(1), kThree, {}, 1, part});
    for (std::size_t i = 0; i < alone.size(); ++i)
      ASSERT_NEAR(got[static_cast<std::size_t>(n) * alone.size() + i], alone[i], 1e-5f)
          << n << " " << i;
  }
  EXPECT_TRUE(mirrored > 0 && mirrored < kSamples);
}

TEST_P(PrepareKernel, CutsSquaresOutOfTheResizedImage) {
  const Shape image{1, 6, 5, 3}, x{kSamples, 11, 8, 4};
  const PrepareOpts opts = with({.cutout = 5});
  const std::vector<float> got = prepared({image, x, opts}), whole = prepared({image, x, kThree});
  std::size_t i = 0;
  for (std::int64_t n = 0; n < kSamples; ++n) {
    const Square hole = draw_cutout(opts.augment, 11, 8, kStep, n);
    for (int p = 0; p < 11; ++p)
      for (int q = 0; q < 8; ++q)
        for (int c = 0; c < 4; ++c, ++i) {
          const bool inside =
              p >= hole.top && p < hole.top + 5 && q >= hole.left && q < hole.left + 5;
          ASSERT_NEAR(got[i], inside ? 0.0f : whole[i], 1e-6f) << n << " " << p << " " << q;
        }
  }
}

TEST_P(PrepareKernel, ShiftsColoursBeforeNormalising) {
  const Shape image{1, 6, 5, 3}, x{kSamples, 6, 5, 3};
  PrepareOpts opts = with({.padding = 2, .colour = 0.1});
  float column = 0.1f;
  for (auto& row : opts.augment.components)
    for (float& entry : row) entry = column += 0.17f;
  PrepareOpts still = opts;
  still.augment.colour = 0;
  const std::vector<float> got = prepared({image, x, opts}), plain = prepared({image, x, still});
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Colour colour = draw_colour(opts.augment, kStep, static_cast<std::int64_t>(i / 90));
    const std::size_t c = i % 3;
    ASSERT_NEAR(got[i] - plain[i], colour.shift[c] / kThree.stddev[c], 1e-5f) << i;
  }
}

TEST_P(PrepareKernel, MixesWithTheOtherEnd) {
  for (const std::int64_t count : {std::int64_t{1}, kSamples}) {
    const Shape image{1, 6, 5, 3}, x{count, 7, 5, 4};
    PrepareOpts opts = with({.padding = 1, .flip = true, .cutout = 3});
    const std::vector<float> alone = prepared({image, x, opts});
    opts.mixup = {.alpha = 1, .seed = 5};
    const std::vector<float> got = prepared({image, x, opts});
    const float weight = draw_mixup_weight(opts.mixup, kStep);
    EXPECT_TRUE(weight > 0.1f && weight < 0.9f) << weight;
    const std::size_t size = 7 * 5 * 4;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const float other = alone[(static_cast<std::size_t>(count) - 1 - i / size) * size + i % size];
      ASSERT_NEAR(got[i], weight * alone[i] + (1 - weight) * other, 2e-6f) << i;
    }
  }
}

// The permutation comes first: it is that of the data set's images.
TEST_P(PrepareKernel, PermutesPixelsFirst) {
  const Shape image{1, 4, 5, 3}, x{kSamples, 8, 7, 3};
  std::vector<std::int32_t> places;
  Draw draw("prepare/places");
  for (double place : draw.permutation(20)) places.push_back(static_cast<std::int32_t>(place));
  const std::vector<std::uint8_t> images = drawn_images(image);
  std::vector<std::uint8_t> moved;
  for (std::size_t i = 0; i < images.size(); ++i)
    moved.push_back(images[i / 60 * 60 + static_cast<std::size_t>(places[i % 60 / 3]) * 3 + i % 3]);
  for (const PrepareOpts& opts :
       {kThree, with({.padding = 1, .flip = true}), with({.window = 0.3})}) {
    const std::vector<float> got = prepared({image, x, opts, places});
    const std::vector<float> want = prepared({image, x, opts, {}, 2, moved});
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6f) << i;
    EXPECT_NE(got, prepared({image, x, opts}));
  }
}

// Everything at once: the same bits whatever the threads.
TEST_P(PrepareKernel, DoesNotDependOnTheThreads) {
  const Shape image{1, 13, 17, 3}, x{kSamples, 40, 30, 4};
  PrepareOpts opts = with({.flip = true, .window = 0.1, .cutout = 9, .colour = 0.1});
  for (int c = 0; c < 3; ++c) opts.augment.components[c][c] = 0.5f;
  opts.mixup = {.alpha = 0.5, .seed = 5};
  const std::vector<float> one = prepared({image, x, opts, {}, 1});
  for (int threads : {2, 5}) EXPECT_EQ(one, prepared({image, x, opts, {}, threads})) << threads;
}

}  // namespace
}  // namespace lamina::test
