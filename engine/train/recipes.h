// Recipes: named presets of net, data and hyper-parameters that one command runs.
// To add one, add a row to recipes.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/train/config.h"

namespace lamina {

struct Recipe {
  std::string name;         // "mnist-000/lenet_bn"
  std::string description;  // one line for `lamina recipes`
  std::vector<std::pair<std::string, std::string>> settings;
};

std::vector<Recipe> recipes();
// The defaults with the recipe's settings; throws a request error with "did you mean".
TrainConfig recipe_config(const std::string& name);

}  // namespace lamina
