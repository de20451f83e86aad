// SPDX-License-Identifier: Apache-2.0
#include "tools/eval_checks.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/ranges.h>

#include "engine/core/suggest.h"
#include "engine/core/words.h"

namespace lamina::cli {

namespace {

// The class that a word names: a number, or one of the data set's names.
std::int32_t class_of(const std::string& word, const Dataset& dataset) {
  const auto name = std::find(dataset.class_names.begin(), dataset.class_names.end(), word);
  if (name != dataset.class_names.end())
    return static_cast<std::int32_t>(name - dataset.class_names.begin());
  const bool digits = !word.empty() && word.size() < 10 &&
                      word.find_first_not_of("0123456789") == std::string::npos;
  const std::int32_t number = digits ? std::stoi(word) : -1;
  LAMINA_CHECK(number >= 0 && number < dataset.classes,
               "class-order: '{}' is no class of {}; give numbers below {} or names.{}",
               word,
               dataset.name,
               dataset.classes,
               suggest(word, dataset.class_names));
  return number;
}

}  // namespace

std::string input_text(const Dataset& dataset, const PrepareOpts& scaling) {
  constexpr std::int64_t kImages = 1000;  // are enough
  const std::int64_t size = dataset.image_bytes();
  const std::int64_t count = std::min(dataset.count, kImages) * size;
  std::vector<std::uint8_t> image;
  double sum = 0, squares = 0, low = 0, high = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i % size == 0) image = dataset.image(i / size);
    const auto c = static_cast<std::size_t>(i % dataset.c);
    const double pixel = image[static_cast<std::size_t>(i % size)] / 255.0;
    const double x =
        (pixel - static_cast<double>(scaling.mean[c])) / static_cast<double>(scaling.stddev[c]);
    sum += x;
    squares += x * x;
    low = i == 0 ? x : std::min(low, x);
    high = i == 0 ? x : std::max(high, x);
  }
  const double mean = sum / static_cast<double>(count);
  return fmt::format("pixels reach the net from {:.4g} to {:.4g}, mean {:.4g}, deviation {:.4g}",
                     low,
                     high,
                     mean,
                     std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean * mean)));
}

void reorder_classes(const std::string& order, Dataset& dataset) {
  std::vector<std::int32_t> output(static_cast<std::size_t>(dataset.classes), -1);
  std::vector<std::string> names;
  for (const std::string_view word : words_of(order)) {
    const std::int32_t label = class_of(std::string(word), dataset);
    LAMINA_CHECK(output[static_cast<std::size_t>(label)] < 0,
                 "class-order: class {} comes twice.",
                 dataset.class_names[static_cast<std::size_t>(label)]);
    output[static_cast<std::size_t>(label)] = static_cast<std::int32_t>(names.size());
    names.push_back(dataset.class_names[static_cast<std::size_t>(label)]);
  }
  LAMINA_CHECK(static_cast<std::int64_t>(names.size()) == dataset.classes,
               "class-order names {} classes; the data set {} has {}.",
               names.size(),
               dataset.name,
               dataset.classes);
  for (std::int32_t& label : dataset.labels) label = output[static_cast<std::size_t>(label)];
  dataset.class_names = names;
}

std::string advice(const EvalResult& result, const Dataset& dataset, std::int64_t outputs) {
  const auto width = static_cast<std::size_t>(outputs);
  const double accuracy = result.sums.accuracy();
  // The output that each class gets most often; is every output the favourite of one class?
  std::vector<std::int64_t> favourite;
  std::vector<std::string> class_at(width);
  double moved = 0;
  for (std::size_t label = 0; label < static_cast<std::size_t>(dataset.classes); ++label) {
    const auto row = result.confusion.begin() + static_cast<std::ptrdiff_t>(label * width);
    const auto most = std::max_element(row, row + static_cast<std::ptrdiff_t>(width));
    favourite.push_back(most - row);
    moved += static_cast<double>(*most);
    class_at[static_cast<std::size_t>(most - row)] = dataset.class_names[label];
  }
  std::vector<std::int64_t> sorted = favourite;
  std::sort(sorted.begin(), sorted.end());
  const bool one_each = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  constexpr double kMuch = 0.2;
  if (one_each && moved / result.sums.samples > accuracy + kMuch) {
    std::erase(class_at, "");
    return fmt::format(
        "In another order of the classes {:.2f} % would be right: --class-order '{}'",
        100 * moved / result.sums.samples,
        fmt::join(class_at, ","));
  }
  if (dataset.classes > 1 && accuracy < 1.5 / static_cast<double>(dataset.classes))
    return "That is about chance: give --normalize, or --mean, --std and --scale, as in training; "
           "and --class-order where the outputs may stand in another order.";
  return {};
}

}  // namespace lamina::cli
