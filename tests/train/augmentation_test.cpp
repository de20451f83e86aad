// The settings of the augmentation, and the images that come of them.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/core/error.h"
#include "engine/data/principal_colours.h"
#include "engine/files/safetensors.h"
#include "engine/train/trainer.h"
#include "kernels/context.h"
#include "nets/registry.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

// Six images of 3x5 pixels.
Dataset drawn_set(std::int64_t channels) {
  Dataset data;
  data.name = "drawn";
  data.count = 6;
  data.h = 3;
  data.w = 5;
  data.c = channels;
  data.classes = 6;
  for (std::int64_t i = 0; i < data.count * 15 * channels; ++i)
    data.images.push_back(static_cast<std::uint8_t>(
        philox_u32(3, stream::kTest, 0, static_cast<std::uint64_t>(i)) >> 24));
  for (int i = 0; i < 6; ++i) data.labels.push_back(i);
  data.mean.assign(static_cast<std::size_t>(channels), 0.25f);
  data.stddev.assign(static_cast<std::size_t>(channels), 0.5f);
  return data;
}

std::string refused(const std::function<void(TrainConfig&)>& change) {
  TrainConfig config;
  try {
    change(config);
    check_augmentation(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request);
    return error.what();
  }
  return "nothing";
}

TEST(Augmentation, SettingsAreChecked) {
  EXPECT_EQ(refused([](TrainConfig& c) {
              for (const char* setting : {"flip=true",
                                          "crop_padding=4",
                                          "pca_shift=0.1",
                                          "cutout=8",
                                          "mixup=0.2",
                                          "permute_pixels=7"})
                set_augmentation(c, setting);
              EXPECT_TRUE(c.flip && c.crop_padding == 4 && c.pca_shift == 0.1 && c.cutout == 8 &&
                          c.mixup == 0.2 && c.permute_pixels == 7);
            }),
            "nothing");
  for (const auto& [setting, said] : std::vector<std::pair<std::string, std::string>>{
           {"crop_padding=-1", "crop_padding is -1"},
           {"random_resized_crop=1.5", "random_resized_crop is 1.5"},
           {"random_resized_crop=nan", "random_resized_crop is nan"},
           {"pca_shift=-1", "pca_shift is -1"},
           {"cutout=70000", "cutout is 70000"},
           {"mixup=-0.1", "mixup is -0.1"},
           {"permute_pixels=-1", "permute_pixels is -1"},
           {"seed=3", "no setting of the augmentation"}}) {
    const std::string text = refused([&](TrainConfig& c) { set_augmentation(c, setting); });
    EXPECT_NE(text.find(said), std::string::npos) << text;
  }
  EXPECT_NE(refused([](TrainConfig& c) {
              c.crop_padding = 1;
              c.random_resized_crop = 0.5;
            }).find("give one of them"),
            std::string::npos);
}

TEST(Augmentation, FillsTheOptions) {
  TrainConfig config;
  config.seed = 9;
  config.random_resized_crop = 0.08;
  config.flip = true;
  config.cutout = 3;
  config.pca_shift = 0.1;
  config.mixup = 0.4;
  const Dataset data = drawn_set(3);
  const PrepareOpts opts = augmented({.mean = {0.5f}}, config, data);
  EXPECT_EQ(opts.mean[0], 0.5f);
  EXPECT_TRUE(opts.augment.window == 0.08 && opts.augment.flip && opts.augment.cutout == 3 &&
              opts.augment.colour == 0.1 && opts.augment.padding == 0 && opts.augment.seed == 9);
  EXPECT_TRUE(opts.mixup.alpha == 0.4 && opts.mixup.seed == 9);
  const PrincipalColours colours = principal_colours(colour_covariance(data));
  EXPECT_FLOAT_EQ(opts.augment.components[2][0],
                  static_cast<float>(colours.values[0] * colours.vectors[0][2]));
  EXPECT_FLOAT_EQ(opts.augment.components[0][1],
                  static_cast<float>(colours.values[1] * colours.vectors[1][0]));
  EXPECT_FALSE(augmented({}, {}, data).augment.active());
  EXPECT_THROW(augmented({}, config, drawn_set(1)), Error);
}

// The same order of the pixels for every data set of a size, and all of them.
TEST(Augmentation, PermutesPixelsAlike) {
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  const auto places = [&](const Dataset& data, std::uint64_t seed) {
    const DeviceDataset resident(ctx, data, seed);
    std::vector<std::int32_t> list(static_cast<std::size_t>(resident.pixels().numel()));
    ctx.copy_out(list.data(), resident.pixels().data, list.size() * sizeof(std::int32_t));
    return list;
  };
  std::vector<std::int32_t> list = places(drawn_set(1), 7);
  EXPECT_EQ(list, places(drawn_set(3), 7));
  EXPECT_NE(list, places(drawn_set(1), 8));
  std::sort(list.begin(), list.end());
  for (int i = 0; i < 15; ++i) EXPECT_EQ(list[static_cast<std::size_t>(i)], i);
  EXPECT_FALSE(DeviceDataset(ctx, drawn_set(1)).pixels());
}

TEST(Augmentation, DrawsImages) {
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  const Dataset data = drawn_set(3);
  const Dataset same = draw_augmented(ctx, data, {}, 0, 1);
  EXPECT_EQ(same.images, data.images);
  EXPECT_EQ(same.labels, data.labels);

  TrainConfig config;
  config.flip = true;
  const Dataset drawn = draw_augmented(ctx, data, config, 0, 2);
  EXPECT_EQ(drawn.count, 12);
  EXPECT_EQ(drawn.labels, (std::vector<std::int32_t>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  int mirrored = 0;
  for (std::size_t i = 0; i < 12; ++i) {
    const auto image = data.images.begin() + static_cast<std::ptrdiff_t>(i / 2 * 45);
    const auto got = drawn.images.begin() + static_cast<std::ptrdiff_t>(i * 45);
    if (std::equal(got, got + 45, image)) continue;
    ++mirrored;
    for (int p = 0; p < 45; ++p)
      ASSERT_EQ(got[p], image[p / 15 * 15 + (4 - p % 15 / 3) * 3 + p % 3]) << i << " " << p;
  }
  EXPECT_TRUE(mirrored > 0 && mirrored < 12);
  int changing = 0;  // from draw to draw
  for (auto i = drawn.images.begin(); i != drawn.images.end(); i += 90)
    changing += !std::equal(i, i + 45, i + 45);
  EXPECT_TRUE(changing > 0 && changing < 6) << changing;

  // What is blank has the mean colour, a quarter.
  TrainConfig blank;
  blank.cutout = 20;
  const Dataset cut = draw_augmented(ctx, data, blank, 7, 1);
  EXPECT_EQ(cut.h, 7);
  EXPECT_EQ(cut.images, std::vector<std::uint8_t>(6 * 7 * 7 * 3, 64));
}

// A whole run, interrupted after `stop_after` steps and resumed when it is not 0.
std::pair<TrainOutcome, TensorFile> trained(const TrainConfig& config,
                                            const Dataset& train,
                                            const Dataset& test,
                                            int stop_after = 0) {
  const TempFolder folder;
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 2});
  for (bool resume : {false, true}) {
    Trainer trainer(ctx, config, build_net(config.net), train, test, folder.path());
    int steps = 0;
    TrainHooks hooks;
    hooks.stop_requested = [&] { return stop_after > 0 && ++steps >= stop_after && !resume; };
    TrainOutcome outcome = trainer.run(hooks, resume);
    if (!outcome.interrupted)
      return {std::move(outcome), read_safetensors(folder / "weights.safetensors")};
  }
  ADD_FAILURE() << "interrupted twice";
  return {};
}

TrainConfig small_run() {
  TrainConfig config;
  config.net = "fc2_mnist";
  config.data = "synthetic-digits";
  config.epochs = 2;
  config.batch_size = 16;
  config.val_split = 0.25;
  return config;
}

// Training and every evaluation see pixels in the order that the settings ask for: the run equals
// one on data whose pixels were moved by hand.
TEST(Augmentation, PermutedPixelsAreThoseOfEveryPart) {
  const Dataset train = load_dataset("synthetic-digits", Part::train, {"", 1, 100});
  const Dataset test = load_dataset("synthetic-digits", Part::test, {"", 1, 50});
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  TrainConfig config = small_run();
  config.permute_pixels = 5;
  const auto [asked, asked_weights] = trained(config, train, test);
  const Dataset moved = draw_augmented(ctx, train, config, 0, 1),
                moved_test = draw_augmented(ctx, test, config, 0, 1);
  EXPECT_NE(moved.images, train.images);
  config.permute_pixels = 0;
  const auto [got, weights] = trained(config, moved, moved_test);
  EXPECT_EQ(asked.test.sums.loss_sum, got.test.sums.loss_sum);
  EXPECT_EQ(asked.epochs.back().val_loss, got.epochs.back().val_loss);
  ASSERT_EQ(asked_weights.tensors.size(), weights.tensors.size());
  for (std::size_t i = 0; i < weights.tensors.size(); ++i)
    EXPECT_EQ(asked_weights.tensors[i].data, weights.tensors[i].data);
}

// The draws belong to the step, wherever the run was interrupted.
TEST(Augmentation, ResumedRunsDrawTheSame) {
  const Dataset train = load_dataset("synthetic-digits", Part::train, {"", 1, 100});
  const Dataset test = load_dataset("synthetic-digits", Part::test, {"", 1, 50});
  TrainConfig config = small_run();
  for (const char* setting :
       {"random_resized_crop=0.3", "flip=true", "cutout=7", "mixup=0.5", "permute_pixels=3"})
    set_augmentation(config, setting);
  const TensorFile whole = trained(config, train, test).second;
  const TensorFile resumed = trained(config, train, test, 7).second;
  config.cutout = 0;
  const TensorFile other = trained(config, train, test).second;
  for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
    EXPECT_EQ(whole.tensors[i].data, resumed.tensors[i].data);
    EXPECT_NE(whole.tensors[i].data, other.tensors[i].data);
  }
}

}  // namespace
}  // namespace lamina
