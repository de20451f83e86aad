// lamina predict: what a net takes pictures for, with the probabilities of its first guesses.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/data/image_list.h"
#include "engine/data/registry.h"
#include "engine/files/torch_file.h"
#include "engine/train/run_results.h"
#include "tools/commands.h"
#include "tools/trained_net.h"

namespace lamina::cli {

namespace {

struct PredictFlags : TrainedNetFlags {
  std::string classes_file;
  std::vector<std::string> images;
  std::int64_t top = 5;
  bool json = false;
};

std::vector<std::string> read_names(const std::string& path) {
  std::ifstream file(path);
  LAMINA_CHECK(file.good(), "{}: cannot be read; give a file with a class name a line.", path);
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    names.push_back(line);
  }
  return names;
}

// A name for every output; numbers where none is known.
std::vector<std::string> class_names(const PredictFlags& flags, std::int64_t classes) {
  std::vector<std::string> names;
  if (!flags.classes_file.empty()) {
    names = read_names(flags.classes_file);
    LAMINA_CHECK(static_cast<std::int64_t>(names.size()) == classes,
                 "{}: has {} names; the net has {} outputs.",
                 flags.classes_file,
                 names.size(),
                 classes);
  } else if (const auto known = find_dataset(flags.data)) {
    names = known->class_names;
  } else if (!flags.data.empty() && is_image_folder(flags.data)) {
    names = list_images(flags.data, Part::train, 1).class_names;
  }
  for (auto i = static_cast<std::int64_t>(names.size()); i < classes; ++i)
    names.push_back(std::to_string(i));
  return names;
}

void predict(PredictFlags flags) {
  flags.resolve("predicts");
  LAMINA_CHECK(flags.top > 0, "--top {} is not positive.", flags.top);
  Graph graph = build_net(flags.net, flags.options.opts());
  const Dataset data = read_pictures(flags, flags.images, graph.shape(graph.input()));
  const std::vector<std::string> names = class_names(flags, graph.classes());
  const PrepareOpts scaling =
      parse_normalize(flags.normalize.empty() ? "none" : flags.normalize, data);
  const TensorFile weights = read_weights(flags.weights);
  Context ctx = open_device(flags.device, {.threads = flags.threads});
  Model model(ctx, std::move(graph));
  model.load_state_dict(weights, flags.weights);
  const DeviceDataset resident(ctx, data, static_cast<std::uint64_t>(flags.permute_pixels));
  constexpr std::int64_t kBatch = 64;
  Evaluator evaluator(
      model, resident, scaling, all_samples(data.count), {.batch = std::min(data.count, kBatch)});
  const Buffer arena = ctx.allocate(evaluator.arena_bytes());
  evaluator.bind(arena.bytes_at(0));

  nlohmann::ordered_json rows = nlohmann::json::array();
  evaluator.run([&](std::int64_t first, std::span<const float> outputs, std::int64_t classes) {
    const auto width = static_cast<std::size_t>(classes);
    for (std::size_t i = 0; i < outputs.size() / width; ++i) {
      const std::vector<double> p = probabilities(outputs.subspan(i * width, width));
      std::vector<std::size_t> order(width);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(
          order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
      order.resize(std::min(width, static_cast<std::size_t>(flags.top)));
      const std::string& image = flags.images[static_cast<std::size_t>(first) + i];
      nlohmann::ordered_json guesses = nlohmann::json::array();
      if (!flags.json) fmt::print("{}\n", image);
      for (std::size_t guess : order) {
        guesses.push_back({{"class", names[guess]}, {"index", guess}, {"probability", p[guess]}});
        if (!flags.json) fmt::print("  {:6.2f} %  {}\n", 100 * p[guess], names[guess]);
      }
      rows.push_back({{"image", image}, {"guesses", guesses}});
    }
  });
  if (flags.json) fmt::print("{}\n", rows.dump(2));
}

}  // namespace

void add_predict(CLI::App& app) {
  CLI::App* command = app.add_subcommand("predict", "say what pictures show (PNG, JPEG)");
  auto flags = std::make_shared<PredictFlags>();
  command->add_option("images", flags->images, "PNG or JPEG files")->required();
  flags->add_to(*command, "data set that names the classes");
  command->add_option("--classes-file", flags->classes_file, "a class name a line");
  command->add_option("--top", flags->top, "guesses an image")->capture_default_str();
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { predict(*flags); });
}

}  // namespace lamina::cli
