// Settings, recipes and early stopping.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/train/early_stopping.h"
#include "engine/train/recipes.h"
#include "nets/registry.h"
#include "tests/files/temp_folder.h"

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
    SCOPED_TRACE(recipe.name);
    TrainConfig config = recipe_config(recipe.name);
    if (recipe.name.starts_with("imagenet/")) {
      EXPECT_EQ(config.data, "") << "whose photographs are anyone's";
      config.data = "synthetic-images";
    }
    config.check();
    build_net(config.net);
    EXPECT_EQ(config.recipe, recipe.name);
    EXPECT_FALSE(recipe.about.empty());
    for (const auto& [key, values] : recipe.sweep)
      for (const std::string& value : values) TrainConfig().set(key, value);
  }
  EXPECT_NE(error_of([] { recipe_config("mnist-000/lenet_nb"); }).find("mnist-000/lenet_bn"),
            std::string::npos);
}

TEST(Recipes, AFileOfOnesOwn) {
  const TempFolder folder;
  const std::string path = (folder.path() / "mine.json").string();
  const auto written = [&](const std::string& text) {
    put(path, text);
    return path;
  };
  const TrainConfig config = recipe_config(written(R"({
    // what changes
    "base": "mnist-000/lenet_bn", "lr": 0.5, "milestones": "3,5", "flip": true})"));
  EXPECT_EQ(config.net, "lenet_bn");
  EXPECT_EQ(config.lr, 0.5);
  EXPECT_EQ(config.weight_decay, 1e-3);
  EXPECT_EQ(config.milestones, "3,5");
  EXPECT_TRUE(config.flip);
  EXPECT_EQ(config.recipe, path);

  // What `lamina recipes NAME` prints is such a file, with the same settings.
  for (const Recipe& recipe : recipes()) {
    const Recipe again = find_recipe(written(recipe_json(recipe)));
    TrainConfig a = recipe_config(recipe.name), b = recipe_config(path);
    b.recipe = a.recipe;
    EXPECT_EQ(a.to_json(), b.to_json());
    EXPECT_EQ(again.about, recipe.about);
    EXPECT_EQ(again.sweep.size(), recipe.sweep.size());
  }

  const auto refused = [&](const std::string& text, const std::string& what) {
    const std::string error = error_of([&] { recipe_config(written(text)); });
    EXPECT_NE(error.find(path), std::string::npos) << error;
    EXPECT_NE(error.find(what), std::string::npos) << error;
  };
  refused("{\"lr\": ", "JSON");
  refused("[1, 2]", "JSON object");
  refused("{\"lr\": [1]}", "'lr' must be");
  refused("{\"lrr\": 1}", "lrr");
  refused("{\"sweep\": {\"lr\": 1}}", "list");
  refused("{\"about\": 1}", "text");
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
