// Recipes: named presets of net, data and hyper-parameters that one command runs.
//
// They are written in the books of nets/recipes/, JSON in which // begins a comment:
//   {"FAMILY": {"about": TEXT, "settings": {SETTING: VALUE, ...},
//               "recipes": {"NAME": {"about": TEXT, SETTING: VALUE, ...}, ...}}}
// The recipe FAMILY/NAME has the family's settings, and its own over them. A family without
// "recipes" is one recipe, FAMILY. "sweep": {SETTING: [VALUE, ...]}, of a family or a recipe, is
// what `lamina sweep` tries; "original" the test accuracy in per cent that the recipe's source
// reports. Settings are those of config.h.
//
// A file of one's own is one recipe: {"base": NAME, "about": TEXT, SETTING: VALUE, ...}; with a
// base it starts from that recipe. `lamina recipes NAME` prints such a file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/train/config.h"

namespace lamina {

struct Recipe {
  std::string name;   // "mnist-000/lenet_bn"
  std::string about;  // one line for `lamina recipes`
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<std::pair<std::string, std::vector<std::string>>> sweep;
  double original = 0;  // test accuracy of the source in per cent; 0: none is known
};

// Those that Lamina knows by name, in the order of the books.
std::vector<Recipe> recipes();

// A known recipe, or one read from a file when `name` ends in .json; throws a request error with
// "did you mean".
Recipe find_recipe(const std::string& name);
// The defaults with the recipe's settings.
TrainConfig recipe_config(const std::string& name);

// As a file of one's own.
std::string recipe_json(const Recipe& recipe);

}  // namespace lamina
