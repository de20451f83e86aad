// SPDX-License-Identifier: Apache-2.0
#include "engine/train/recipes.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "engine/files/atomic_file.h"
#include "engine/train/recipe_books.h"

namespace lamina {

namespace {

using Json = nlohmann::ordered_json;

// Numbers as they were meant: 1e-4, not 0.0001, reads the same either way.
std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Json parse_book(const std::string& text, const std::string& origin) {
  try {
    Json book = Json::parse(text, nullptr, true, true);
    if (book.is_object()) return book;
  } catch (const Json::parse_error& error) {
    fail_request("{}: is not JSON: {}.", origin, error.what());
  }
  fail_request("{}: is not a JSON object with settings; `lamina recipes NAME` prints one.", origin);
}

[[noreturn]] void fail_entry(const std::string& origin, const std::string& key, const char* what) {
  fail_request("{}: '{}' must be {}.", origin, key, what);
}

// Adds what `object` says to the recipe: a setting that is there already gets the new value.
void add_to(Recipe& recipe, const Json& object, const std::string& origin) {
  for (const auto& [key, value] : object.items()) {
    if (key == "base" || key == "recipes" || key == "settings") continue;
    if (key == "about") {
      if (!value.is_string()) fail_entry(origin, key, "a text");
      recipe.about = value.get<std::string>();
    } else if (key == "original") {
      if (!value.is_number()) fail_entry(origin, key, "a number");
      recipe.original = value.get<double>();
    } else if (key == "sweep") {
      if (!value.is_object()) fail_entry(origin, key, "an object of lists");
      recipe.sweep.clear();
      for (const auto& [setting, values] : value.items()) {
        if (!values.is_array() || values.empty()) fail_entry(origin, setting, "a list of values");
        std::vector<std::string> texts;
        for (const Json& one : values) texts.push_back(text_of(one));
        recipe.sweep.emplace_back(setting, texts);
      }
    } else {
      if (value.is_structured() || value.is_null())
        fail_entry(origin, key, "a text, a number, true or false");
      const auto same = std::find_if(recipe.settings.begin(),
                                     recipe.settings.end(),
                                     [&](const auto& setting) { return setting.first == key; });
      if (same != recipe.settings.end())
        same->second = text_of(value);
      else
        recipe.settings.emplace_back(key, text_of(value));
    }
  }
}

void add_family(const std::string& name, const Json& family, std::vector<Recipe>& all) {
  Recipe common;
  common.name = name;
  add_to(common, family, name);
  if (family.contains("settings")) add_to(common, family["settings"], name);
  if (!family.contains("recipes")) {
    all.push_back(common);
    return;
  }
  for (const auto& [key, own] : family["recipes"].items()) {
    Recipe recipe = common;
    recipe.name = name + "/" + key;
    add_to(recipe, own, recipe.name);
    all.push_back(recipe);
  }
}

}  // namespace

std::vector<Recipe> recipes() {
  std::vector<Recipe> all;
  for (const RecipeBook& book : recipe_books()) {
    const Json families = parse_book(book.text, book.name);
    for (const auto& [name, family] : families.items()) add_family(name, family, all);
  }
  return all;
}

namespace {

Recipe read_recipe(const std::string& path) {
  const Json object = parse_book(read_text_file(path), path);
  Recipe recipe;
  if (object.contains("base")) recipe = find_recipe(text_of(object["base"]));
  recipe.name = path;
  recipe.original = 0;  // is the base's
  add_to(recipe, object, path);
  return recipe;
}

}  // namespace

Recipe find_recipe(const std::string& name) {
  if (name.ends_with(".json")) return read_recipe(name);
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return recipe;
    names.push_back(recipe.name);
  }
  fail_request(
      "unknown recipe '{}'; `lamina recipes` lists them, and a file of one's own ends in "
      ".json.{}",
      name,
      suggest(name, names));
}

TrainConfig recipe_config(const std::string& name) {
  TrainConfig config;
  for (const auto& [key, value] : find_recipe(name).settings) {
    try {
      config.set(key, value);
    } catch (const Error& error) {
      throw error.with_context(name + ": ");
    }
  }
  config.recipe = name;
  return config;
}

std::string recipe_json(const Recipe& recipe) {
  const Json defaults = Json::parse(TrainConfig().to_json());
  Json json{{"about", recipe.about}};
  for (const auto& [key, value] : recipe.settings) {
    const bool text = defaults.contains(key) && defaults[key].is_string();
    json[key] = text ? Json(value) : Json::parse(value);
  }
  for (const auto& [key, values] : recipe.sweep) {
    for (const std::string& value : values) {
      const bool text = defaults.contains(key) && defaults[key].is_string();
      json["sweep"][key].push_back(text ? Json(value) : Json::parse(value));
    }
  }
  return json.dump(2) + "\n";
}

}  // namespace lamina
