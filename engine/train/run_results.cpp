// SPDX-License-Identifier: Apache-2.0
#include "engine/train/run_results.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace lamina {

std::vector<double> probabilities(std::span<const float> outputs) {
  const double largest = *std::max_element(outputs.begin(), outputs.end());
  std::vector<double> p;
  for (float output : outputs) p.push_back(std::exp(static_cast<double>(output) - largest));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

EvalResult evaluate_with_mistakes(Evaluator& evaluator,
                                  const Dataset& dataset,
                                  std::size_t keep,
                                  std::vector<Mistake>& mistakes) {
  mistakes.clear();
  EvalResult result =
      evaluator.run([&](std::int64_t first, std::span<const float> outputs, std::int64_t classes) {
        const auto width = static_cast<std::size_t>(classes);
        for (std::size_t i = 0; i < outputs.size() / width; ++i) {
          const std::int64_t index = evaluator.samples()[static_cast<std::size_t>(first) + i];
          const int label = dataset.labels[static_cast<std::size_t>(index)];
          const auto row = outputs.subspan(i * width, width);
          const auto predicted = std::max_element(row.begin(), row.end()) - row.begin();
          if (predicted == label) continue;
          const double confidence = probabilities(row)[static_cast<std::size_t>(predicted)];
          mistakes.push_back({index, label, static_cast<int>(predicted), confidence, 0, 0, 0, {}});
        }
      });
  std::stable_sort(mistakes.begin(), mistakes.end(), [](const Mistake& a, const Mistake& b) {
    return a.confidence > b.confidence;
  });
  mistakes.resize(std::min(mistakes.size(), keep));
  for (Mistake& mistake : mistakes) {
    mistake.h = dataset.h;
    mistake.w = dataset.w;
    mistake.c = dataset.c;
    mistake.pixels = dataset.image(mistake.index);
  }
  return result;
}

FeatureView first_image(const Dataset& dataset) {
  FeatureView view{.label = dataset.labels.front(), .h = dataset.h, .w = dataset.w, .c = dataset.c};
  view.pixels = dataset.image(0);
  return view;
}

std::string result_json(const RunReport& report) {
  nlohmann::ordered_json json;
  json["net"] = report.net;
  json["data"] = report.data;
  json["test_accuracy"] = report.test_acc;
  json["test_accuracy_top5"] = report.test_acc5;
  json["test_loss"] = report.test_loss;
  json["test_images"] = report.test_count;
  json["classes"] = report.class_names.size();
  json["parameters"] = report.parameters;
  json["mult_adds"] = report.mult_adds;
  json["epochs"] = report.epochs.size();
  json["steps"] = report.epochs.empty() ? 0 : report.epochs.back().step;
  return json.dump(2) + "\n";
}

std::string machine_json(const RunReport& report) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : report.memory) json["memory"][name] = value;
  for (const auto& [name, value] : report.environment) json["environment"][name] = value;
  return json.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> environment_rows(const Context& ctx) {
  return {{"lamina", LAMINA_VERSION},
          {"device", ctx.device().describe()},
          {"backend", std::string(name_of(ctx.backend()))},
          {"compiler", LAMINA_COMPILER}};
}

std::string utc_text(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC",
                     parts.tm_year + 1900,
                     parts.tm_mon + 1,
                     parts.tm_mday,
                     parts.tm_hour,
                     parts.tm_min);
}

std::string utc_now() {
  return utc_text(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
}

}  // namespace lamina
