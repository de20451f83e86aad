// The batch from the resident data set: gather, normalise, resize.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  std::int64_t samples;  // in the data set
  Shape image;           // of one sample, n is 1
  Shape x;
  PrepareOpts opts = {};
  std::int64_t cursor = 0;
  std::int64_t ordered = 0;  // length of the order; 0: all samples
  bool permuted = false;     // the pixels of every image
};

constexpr PrepareOpts kMnist{.mean = {0.1307f, 0, 0, 0}, .stddev = {0.3081f, 1, 1, 1}};
constexpr PrepareOpts kFourChannels{.mean = {0.1f, 0.4f, -0.3f, 0.5f},
                                    .stddev = {0.2f, 1.5f, 0.5f, 0.7f}};

Problem make_problem(const Case& c, const std::string& regime, DType dtype) {
  const bool black_and_white = regime == "exact";
  Problem problem{.name = "prepare/" + c.name + "/" + regime, .pass = "forward", .dtype = dtype};
  Draw draw(problem.name);
  const Shape images = c.image.with_n(c.samples);
  const std::int64_t ordered = c.ordered > 0 ? c.ordered : c.samples;
  Values pixels = draw.whole(images, 0, black_and_white ? 1 : 255);
  if (black_and_white) {
    for (double& pixel : pixels) pixel *= 255;
  }
  Values order = draw.permutation(c.samples);
  order.resize(static_cast<std::size_t>(ordered));
  problem.slots = {in("images", DType::u8, images, pixels),
                   in("labels",
                      DType::i32,
                      features(1, c.samples),
                      draw.whole(features(1, c.samples), 0, 99999)),
                   in("order", DType::i32, features(1, ordered), order),
                   state_slot({.cursor = c.cursor}),
                   out("x", c.x, exactly()),
                   out("y", DType::i32, features(1, c.x.n))};
  if (c.permuted) {
    const std::int64_t places = c.image.h * c.image.w;
    problem.slots.push_back(
        in("pixels", DType::i32, features(1, places), draw.permutation(places)));
  }
  problem.slot("x").sparse = c.x.c > c.image.c || c.opts.augment.cutout > 0;
  PrepareOpts opts = c.opts;
  if (black_and_white)  // 0 and 255 become 0 and 1
    opts = {.augment = opts.augment, .mixup = opts.mixup};
  problem.body = [opts](Call& call) {
    prepare(call.ctx(),
            opts,
            call.state(),
            call["images"],
            call["labels"],
            call["order"],
            call["x"],
            call["y"],
            call["pixels"]);
  };
  return problem;
}

Problem real_problem(const Case& c, DType dtype) {
  Problem problem = make_problem(c, "real", dtype);
  const AugmentOpts& augment = c.opts.augment;
  double size = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(c.image.c); ++i) {
    double colour = 0;  // the largest shift: no draw of these is beyond five deviations
    if (augment.colour > 0)
      for (float entry : augment.components[i]) colour += 5 * augment.colour * std::abs(entry);
    size = std::max(size, (1.0 + std::abs(c.opts.mean[i]) + colour) / c.opts.stddev[i]);
  }
  const bool resized = c.x.h != c.image.h || c.x.w != c.image.w || augment.window > 0;
  const double coordinates = static_cast<double>(std::max(c.image.h, c.image.w));
  // The shift of the colours is one more addition, mixup two products and an addition.
  const double more = (augment.colour > 0 ? 2 : 0) + (c.opts.mixup.active() ? 3 : 0);
  problem.slot("x").budget = {(resized ? 8 + 2 * coordinates : 4) + more, {size}};
  return problem;
}

std::vector<Case> same_size_cases() {
  std::vector<Case> cases{
      {"one_pixel", 1, {1, 1, 1, 1}, {1, 1, 1, 1}, kMnist},
      {"whole_set", 11, {1, 5, 7, 1}, {11, 5, 7, 1}, kMnist},
      {"middle_of_the_order", 23, {1, 3, 5, 1}, {7, 3, 5, 1}, kMnist, 9},
      {"end_of_the_order", 23, {1, 3, 5, 2}, {7, 3, 5, 2}, kFourChannels, 16},
      {"order_of_a_part", 31, {1, 5, 3, 3}, {4, 5, 3, 3}, kFourChannels, 5, 9},
      {"four_channels", 9, {1, 3, 7, 4}, {5, 3, 7, 4}, kFourChannels, 2},
      {"mnist@7", 100, {1, 28, 28, 1}, {7, 28, 28, 1}, kMnist, 35},
      {"mnist@64", 200, {1, 28, 28, 1}, {64, 28, 28, 1}, kMnist, 128},
      {"cifar@7", 50, {1, 32, 32, 3}, {7, 32, 32, 3}, kFourChannels, 14},
  };
  for (int i = 0; i < 15; ++i) {
    const std::string name = fmt::format("random/{}", i);
    Draw draw("prepare/" + name);
    const std::int64_t samples = draw.roll(1, 40), batch = draw.roll(1, samples);
    const Shape image{1, draw.roll(1, 12), draw.roll(1, 12), draw.roll(1, 4)};
    cases.push_back(
        {name, samples, image, image.with_n(batch), kFourChannels, draw.roll(0, samples - batch)});
  }
  return cases;
}

void gathers(Table& table) {
  for (const Case& c : same_size_cases()) {
    table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

void resizes(Table& table) {
  for (const Case& c : std::vector<Case>{
           {"28_to_32@7", 20, {1, 28, 28, 1}, {7, 32, 32, 1}, kMnist, 3},
           {"28_to_224@11", 20, {1, 28, 28, 1}, {11, 224, 224, 1}, kMnist, 7},  // more than a grid
           {"28_to_224", 5, {1, 28, 28, 1}, {2, 224, 224, 1}, kMnist, 1},
           {"28_to_96", 5, {1, 28, 28, 1}, {2, 96, 96, 1}, kMnist, 1},
           {"down_uneven", 9, {1, 13, 17, 3}, {5, 7, 5, 3}, kFourChannels, 2},
           {"up_uneven", 9, {1, 3, 5, 4}, {5, 11, 6, 4}, kFourChannels, 4},
           {"one_way_only", 9, {1, 6, 5, 2}, {3, 6, 10, 2}, kFourChannels},
       })
    table.check(real_problem, c);
}

// More channels than the images have: zeros, in every byte of what was garbage.
void pads_channels(Table& table) {
  for (const Case& c : std::vector<Case>{
           {"1_to_8", 9, {1, 3, 5, 1}, {4, 3, 5, 8}, kMnist, 2},
           {"3_to_4", 9, {1, 5, 3, 3}, {5, 5, 3, 4}, kFourChannels, 4},
           {"3_to_8", 7, {1, 9, 2, 3}, {3, 9, 2, 8}, kFourChannels},
           {"resized", 9, {1, 6, 5, 3}, {4, 9, 11, 8}, kFourChannels, 3},
           {"resized_down", 5, {1, 13, 17, 2}, {2, 7, 5, 3}, kFourChannels, 1},
       }) {
    if (c.x.h == c.image.h) table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

// Crops and mirrors, with and without the other steps; a step of which some samples are mirrored.
void augments(Table& table) {
  const auto augmented = [](PrepareOpts opts, int padding, bool flip) {
    opts.augment = {padding, flip, 11};
    return opts;
  };
  for (const Case& c : std::vector<Case>{
           {"crop", 9, {1, 6, 5, 1}, {7, 6, 5, 1}, augmented(kMnist, 2, false), 1},
           {"flip", 9, {1, 4, 7, 3}, {8, 4, 7, 3}, augmented(kFourChannels, 0, true)},
           {"crop_beyond", 9, {1, 2, 3, 2}, {9, 2, 3, 2}, augmented(kFourChannels, 5, true)},
           {"cifar@16", 20, {1, 32, 32, 3}, {16, 32, 32, 3}, augmented(kFourChannels, 4, true), 3},
           {"resized", 9, {1, 5, 6, 3}, {6, 9, 11, 3}, augmented(kFourChannels, 2, true), 2},
           {"channels_padded", 9, {1, 5, 6, 3}, {6, 5, 6, 8}, augmented(kFourChannels, 1, true)},
       })
    table.check(real_problem, c);
}

PrepareOpts changed(PrepareOpts opts, AugmentOpts augment, double mixup = 0) {
  opts.augment = augment;
  opts.augment.seed = 17;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      opts.augment.components[i][j] = 0.3f * static_cast<float>(1 + (2 * i + j) % 4) - 0.5f;
  opts.mixup = {.alpha = mixup, .seed = 17};
  return opts;
}

// Parts of random size, also of images that no part of a usual shape fits into, and of one pixel.
void windows(Table& table) {
  const AugmentOpts small{.window = 0.08}, mirrored{.flip = true, .window = 0.3};
  for (const Case& c : std::vector<Case>{
           {"window/same_size", 9, {1, 12, 12, 1}, {8, 12, 12, 1}, changed(kMnist, small), 1},
           {"window/odd", 9, {1, 11, 17, 3}, {7, 9, 13, 3}, changed(kFourChannels, mirrored), 2},
           {"window/up", 9, {1, 5, 6, 4}, {8, 15, 13, 4}, changed(kFourChannels, mirrored)},
           {"window/down", 9, {1, 23, 19, 3}, {6, 5, 7, 4}, changed(kFourChannels, small), 3},
           {"window/wide", 9, {1, 3, 40, 1}, {9, 8, 8, 1}, changed(kMnist, {.window = 1})},
           {"window/one_pixel", 9, {1, 1, 1, 2}, {9, 2, 3, 2}, changed(kFourChannels, small)},
           {"window/28_to_96@5", 9, {1, 28, 28, 1}, {5, 96, 96, 1}, changed(kMnist, small), 4},
       })
    table.check(real_problem, c);
}

// A shift of the colours alone, with what is black, and resized.
void shifts_colours(Table& table) {
  const AugmentOpts shift{.colour = 0.1}, far{.padding = 2, .flip = true, .colour = 1};
  for (const Case& c : std::vector<Case>{
           {"colour/alone", 9, {1, 5, 7, 3}, {8, 5, 7, 3}, changed(kFourChannels, shift), 1},
           {"colour/padded", 9, {1, 5, 6, 3}, {9, 5, 6, 8}, changed(kFourChannels, far)},
           {"colour/resized", 9, {1, 6, 5, 3}, {5, 11, 9, 3}, changed(kFourChannels, shift), 3},
       })
    table.check(real_problem, c);
}

// What moves whole pixels, blanks them or weighs them with a short fraction is exact.
void moves_pixels(Table& table) {
  const AugmentOpts cut{.cutout = 3}, odd{.flip = true, .cutout = 5}, all{.cutout = 99};
  for (const Case& c : std::vector<Case>{
           {"moved/cutout", 9, {1, 7, 9, 1}, {8, 7, 9, 1}, changed(kMnist, cut), 1},
           {"moved/cutout_odd", 9, {1, 6, 11, 3}, {9, 6, 11, 4}, changed(kFourChannels, odd)},
           {"moved/cutout_even",
            9,
            {1, 6, 5, 2},
            {9, 6, 5, 2},
            changed(kFourChannels, {.cutout = 2})},
           {"moved/cutout_of_all", 9, {1, 6, 5, 1}, {9, 6, 5, 1}, changed(kMnist, all)},
           {"moved/mixup", 9, {1, 5, 7, 1}, {8, 5, 7, 1}, changed(kMnist, {}, 1), 1},
           {"moved/mixup_of_three",
            9,
            {1, 5, 7, 3},
            {3, 5, 7, 4},
            changed(kFourChannels, {}, 0.4),
            2},
           {"moved/mixup_of_one", 9, {1, 5, 7, 1}, {1, 5, 7, 1}, changed(kMnist, {}, 0.4)},
           {"moved/mixup_cut", 9, {1, 7, 6, 3}, {7, 7, 6, 3}, changed(kFourChannels, odd, 1)},
           {"moved/pixels", 9, {1, 5, 7, 1}, {7, 5, 7, 1}, kMnist, 1, 0, true},
           {"moved/pixels_padded", 9, {1, 6, 3, 3}, {9, 6, 3, 8}, kFourChannels, 0, 0, true},
           {"moved/pixels_too",
            9,
            {1, 6, 5, 3},
            {9, 6, 5, 3},
            changed(kFourChannels, {.padding = 2, .flip = true}, 1),
            0,
            0,
            true},
       }) {
    table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

// Everything that can go together.
void augments_at_once(Table& table) {
  const AugmentOpts window{.flip = true, .window = 0.2, .cutout = 4, .colour = 0.1};
  const AugmentOpts crop{.padding = 3, .flip = true, .cutout = 6, .colour = 0.1};
  for (const Case& c : std::vector<Case>{
           {"at_once/window",
            9,
            {1, 13, 17, 3},
            {9, 11, 10, 4},
            changed(kFourChannels, window, 0.6)},
           {"at_once/crop", 9, {1, 9, 7, 3}, {7, 9, 7, 3}, changed(kFourChannels, crop, 0.6), 2},
           {"at_once/resized",
            9,
            {1, 9, 7, 3},
            {6, 17, 20, 3},
            changed(kFourChannels, crop, 0.6),
            1},
           {"at_once/grey",
            9,
            {1, 14, 15, 1},
            {8, 20, 21, 1},
            changed(kMnist, {0, true, 0, 0.2, 5}, 0.6)},
           {"at_once/cifar@32",
            40,
            {1, 32, 32, 3},
            {32, 32, 32, 4},
            changed(kFourChannels, window, 0.6)},
       })
    for (const bool permuted : {false, true}) {
      Case both = c;
      both.permuted = permuted;
      if (permuted) both.name += "_permuted";
      table.check(real_problem, both);
    }
}

// Every pixel value through the same arithmetic, at an offset no power of two away.
void all_pixel_values(Table& table) {
  table.check([](DType dtype) {
    Problem problem =
        real_problem({"all_values", 1, {1, 16, 16, 1}, {1, 16, 16, 1}, kMnist}, dtype);
    Values& pixels = problem.slot("images").values;
    for (std::size_t i = 0; i < 256; ++i) pixels[i] = static_cast<double>(i);
    return problem;
  });
}

}  // namespace

void add_prepare(Suite& suite) {
  suite.add("Gathers", gathers);
  suite.add("Resizes", resizes);
  suite.add("PadsChannels", pads_channels);
  suite.add("Augments", augments);
  suite.add("Windows", windows);
  suite.add("ShiftsColours", shifts_colours);
  suite.add("MovesPixels", moves_pixels);
  suite.add("AugmentsAtOnce", augments_at_once);
  suite.add("AllPixelValues", all_pixel_values);
}

}  // namespace lamina::suite
