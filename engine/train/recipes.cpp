// SPDX-License-Identifier: Apache-2.0
#include "engine/train/recipes.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace lamina {

namespace {

const Recipe kRecipes[] = {
    {"mnist-000/lenet_bn",
     "MNIST, 80:20 split, Adam 1e-4 with weight decay 1e-3, batch 64, 5 epochs",
     {{"net", "lenet_bn"},
      {"data", "mnist"},
      {"val_split", "0.2"},
      {"optimizer", "adam"},
      {"lr", "1e-4"},
      {"weight_decay", "1e-3"},
      {"batch_size", "64"},
      {"epochs", "5"}}},
    {"mnist-000/lenet_bn-30",
     "the same for up to 30 epochs, stopped after 3 without a lower validation loss",
     {{"net", "lenet_bn"},
      {"data", "mnist"},
      {"val_split", "0.2"},
      {"optimizer", "adam"},
      {"lr", "1e-4"},
      {"weight_decay", "1e-3"},
      {"batch_size", "64"},
      {"epochs", "30"},
      {"early_stop", "3"}}},
    {"mnist-003/fc2_mnist",
     "normalised MNIST, SGD 0.01 with momentum 0.5, batch 64, 1 epoch",
     {{"net", "fc2_mnist"},
      {"data", "mnist"},
      {"normalize", "standard"},
      {"optimizer", "sgd"},
      {"lr", "0.01"},
      {"momentum", "0.5"},
      {"batch_size", "64"},
      {"epochs", "1"}}},
    {"mnist-003/cnn_mnist",
     "normalised MNIST, SGD 0.01 with momentum 0.5, batch 64, 1 epoch",
     {{"net", "cnn_mnist"},
      {"data", "mnist"},
      {"normalize", "standard"},
      {"optimizer", "sgd"},
      {"lr", "0.01"},
      {"momentum", "0.5"},
      {"batch_size", "64"},
      {"epochs", "1"}}},
    {"mnist-004/lenet5",
     "normalised MNIST, SGD 0.9, batch 256, 5 epochs",
     {{"net", "lenet5"},
      {"data", "mnist"},
      {"normalize", "standard"},
      {"optimizer", "sgd"},
      {"lr", "0.9"},
      {"batch_size", "256"},
      {"epochs", "5"}}},
};

}  // namespace

std::span<const Recipe> recipes() { return kRecipes; }

TrainConfig recipe_config(const std::string& name) {
  const auto found = std::find_if(
      std::begin(kRecipes), std::end(kRecipes), [&](const Recipe& r) { return r.name == name; });
  if (found == std::end(kRecipes)) {
    std::vector<std::string> names;
    for (const Recipe& recipe : kRecipes) names.push_back(recipe.name);
    fail_request("unknown recipe '{}'; `lamina recipes` lists them.{}", name, suggest(name, names));
  }
  TrainConfig config;
  for (const auto& [key, value] : found->settings) config.set(key, value);
  config.recipe = name;
  return config;
}

}  // namespace lamina
