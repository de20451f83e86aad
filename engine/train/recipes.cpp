// SPDX-License-Identifier: Apache-2.0
#include "engine/train/recipes.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace lamina {

namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

// `base` with further settings, or other values for those it has.
Settings with(Settings base, const Settings& more) {
  for (const auto& [key, value] : more) {
    const auto same = std::find_if(
        base.begin(), base.end(), [&](const auto& setting) { return setting.first == key; });
    if (same != base.end())
      same->second = value;
    else
      base.emplace_back(key, value);
  }
  return base;
}

std::vector<Recipe> make_recipes() {
  std::vector<Recipe> all;
  const Settings adam{{"data", "mnist"},
                      {"val_split", "0.2"},
                      {"optimizer", "adam"},
                      {"lr", "1e-4"},
                      {"weight_decay", "1e-3"},
                      {"batch_size", "64"},
                      {"epochs", "5"}};
  for (const char* net : {"lenet_bn",
                          "alexnet_mnist",
                          "vgg11_mnist",
                          "vgg19_mnist",
                          "resnet18_mnist",
                          "mobilenet_mnist",
                          "googlenet_mnist"}) {
    all.push_back({fmt::format("mnist-000/{}", net),
                   "MNIST, 80:20 split, Adam 1e-4 with weight decay 1e-3, batch 64, 5 epochs",
                   with(adam, {{"net", net}})});
  }
  all.push_back({"mnist-000/lenet_bn-30",
                 "the same for up to 30 epochs, stopped after 3 without a lower validation loss",
                 with(adam, {{"net", "lenet_bn"}, {"epochs", "30"}, {"early_stop", "3"}})});

  const Settings fashion{{"data", "fashion-mnist"}, {"optimizer", "adam"}, {"batch_size", "16"}};
  for (const char* net : {"alexnet_fashion", "alexnet_fashion_small"}) {
    all.push_back({fmt::format("fashion-001/{}", net),
                   "Fashion-MNIST at 224x224, Adam 1e-3, batch 16, 3 epochs",
                   with(fashion, {{"net", net}, {"lr", "1e-3"}, {"epochs", "3"}})});
  }
  all.push_back(
      {"fashion-001/vgg11_fashion_small",
       "Fashion-MNIST at 224x224, Adam 1e-5, batch 16, 10 epochs",
       with(fashion, {{"net", "vgg11_fashion_small"}, {"lr", "1e-5"}, {"epochs", "10"}})});
  all.push_back(
      {"fashion-001/vgg11_fashion_small_96",
       "Fashion-MNIST at 96x96, Adam 1e-4, batch 16, 5 epochs",
       with(fashion, {{"net", "vgg11_fashion_small_96"}, {"lr", "1e-4"}, {"epochs", "5"}})});
  for (const char* variant : {"", "_bn", "_3x3", "_asym", "_residual"}) {
    const std::string net = std::string("googlenet_fashion") + variant;
    const char* const epochs = net.ends_with("_residual") ? "1" : "5";
    all.push_back({"fashion-001/" + net,
                   fmt::format("Fashion-MNIST at 96x96, Adam 1e-3, batch 16, epochs: {}", epochs),
                   with(fashion, {{"net", net}, {"lr", "1e-3"}, {"epochs", epochs}})});
  }

  const Settings sgd{{"data", "mnist"}, {"normalize", "standard"}, {"optimizer", "sgd"}};
  for (const char* net : {"fc2_mnist", "cnn_mnist"}) {
    all.push_back({fmt::format("mnist-003/{}", net),
                   "normalised MNIST, SGD 0.01 with momentum 0.5, batch 64, 1 epoch",
                   with(sgd,
                        {{"net", net},
                         {"lr", "0.01"},
                         {"momentum", "0.5"},
                         {"batch_size", "64"},
                         {"epochs", "1"}})});
  }
  all.push_back(
      {"mnist-004/lenet5",
       "normalised MNIST, SGD 0.9, batch 256, 5 epochs",
       with(sgd, {{"net", "lenet5"}, {"lr", "0.9"}, {"batch_size", "256"}, {"epochs", "5"}})});
  for (const char* net : {"alexnet_224", "googlenet_mini", "resnet_mini"}) {
    all.push_back(
        {fmt::format("mnist-004/{}", net),
         "normalised MNIST, SGD 0.1, batch 128, 10 epochs",
         with(sgd, {{"net", net}, {"lr", "0.1"}, {"batch_size", "128"}, {"epochs", "10"}})});
  }
  return all;
}

}  // namespace

std::vector<Recipe> recipes() { return make_recipes(); }

TrainConfig recipe_config(const std::string& name) {
  const std::vector<Recipe> all = recipes();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Recipe& r) { return r.name == name; });
  if (found == all.end()) {
    std::vector<std::string> names;
    for (const Recipe& recipe : all) names.push_back(recipe.name);
    fail_request("unknown recipe '{}'; `lamina recipes` lists them.{}", name, suggest(name, names));
  }
  TrainConfig config;
  for (const auto& [key, value] : found->settings) config.set(key, value);
  config.recipe = name;
  return config;
}

}  // namespace lamina
