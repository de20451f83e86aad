// The texts of nets/recipes/, which the build compiles into the library.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace lamina {

struct RecipeBook {
  const char* name;  // "nets/recipes/mnist-000.json"
  const char* text;
};

std::span<const RecipeBook> recipe_books();

}  // namespace lamina
