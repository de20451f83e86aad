// Settings, recipes and early stopping.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/train/early_stopping.h"
#include "engine/train/recipes.h"
#include "nets/registry.h"

namespace lamina {
namespace {

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request);
    return error.what();
  }
  return "no error";
}

TEST(Config, SettingsAreCheckedAndNamed) {
  TrainConfig config;
  config.set("lr", "3e-4");
  config.set("batch-size", "32");
  config.set("wd", "0.1");
  config.set("nesterov", "true");
  EXPECT_EQ(config.lr, 3e-4);
  EXPECT_EQ(config.batch_size, 32);
  EXPECT_EQ(config.weight_decay, 0.1);
  EXPECT_TRUE(config.nesterov);
  EXPECT_NE(error_of([&] { config.set("lr", "fast"); }).find("'fast'"), std::string::npos);
  EXPECT_NE(error_of([&] { config.set("epochs", "2.5"); }).find("whole number"), std::string::npos);
  EXPECT_NE(error_of([&] { config.set("epochs", ""); }).find("epochs"), std::string::npos);
  EXPECT_NE(error_of([&] { config.set("epochs", "99999999999999999999"); }).find("epochs"),
            std::string::npos);
  const std::string unknown = error_of([&] { config.set("batchsize", "1"); });
  EXPECT_NE(unknown.find("batch_size"), std::string::npos) << unknown;
}

TEST(Config, ImpossibleValuesAreRefused) {
  TrainConfig good;
  good.net = "lenet5";
  good.data = "mnist";
  good.check();
  const auto refused = [&](auto change) {
    TrainConfig config = good;
    change(config);
    return error_of([&] { config.check(); });
  };
  EXPECT_NE(refused([](TrainConfig& c) { c.net.clear(); }).find("--net"), std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.batch_size = 0; }).find("batch_size"),
            std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.lr = -1; }).find("lr"), std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.val_split = 1; }).find("val_split"), std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.crop_padding = 65536; }).find("crop_padding"),
            std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.mixup = 1.1; }).find("mixup"), std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.optimizer = "adamm"; }).find("adamw"),
            std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.early_stop = 3; }).find("--val-split"),
            std::string::npos);
  EXPECT_NE(refused([](TrainConfig& c) { c.precision = "fp64"; }).find("bf16"), std::string::npos);
}

TEST(Config, JsonRoundTripsEveryField) {
  TrainConfig config = recipe_config("mnist-000/lenet_bn-30");
  config.lr = 0.1 + 0.2;
  config.fuse = false;
  config.data_dir = "a \"quoted\" folder";
  const TrainConfig back = TrainConfig::from_json(config.to_json(), "config.json");
  EXPECT_EQ(back.to_json(), config.to_json());
  EXPECT_EQ(back.lr, config.lr);
  EXPECT_THROW(TrainConfig::from_json("[1]", "config.json"), Error);
  EXPECT_THROW(TrainConfig::from_json("{\"lr\": \"x\"}", "config.json"), Error);
}

TEST(Recipes, EveryRecipeIsComplete) {
  for (const Recipe& recipe : recipes()) {
    const TrainConfig config = recipe_config(recipe.name);
    config.check();
    build_net(config.net);
    EXPECT_EQ(config.recipe, recipe.name);
  }
  EXPECT_NE(error_of([] { recipe_config("mnist-000/lenet_nb"); }).find("mnist-000/lenet_bn"),
            std::string::npos);
}

TEST(EarlyStopping, CountsEpochsThatAreNotBelowTheRoundedBest) {
  EarlyStopping stopping(3);
  EXPECT_FALSE(stopping.update(0.50004));  // best 0.5
  EXPECT_FALSE(stopping.update(0.49996));  // rounds to 0.5: no progress, 1
  EXPECT_FALSE(stopping.update(0.6));      // 2
  EXPECT_FALSE(stopping.update(0.49994));  // rounds to 0.4999: best, resets
  EXPECT_EQ(stopping.best(), 0.4999);
  EXPECT_FALSE(stopping.update(0.4999));
  EXPECT_FALSE(stopping.update(NAN));
  EXPECT_TRUE(stopping.update(0.49986));  // rounds to 0.4999 again
}

TEST(EarlyStopping, WithoutPatienceNeverStops) {
  EarlyStopping stopping(0);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(stopping.update(1.0));
}

}  // namespace
}  // namespace lamina
