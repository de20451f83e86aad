// lamina features: what chosen layers of a trained net make of an image, as one PNG.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "engine/core/suggest.h"
#include "engine/data/png.h"
#include "engine/files/atomic_file.h"
#include "engine/files/torch_file.h"
#include "engine/train/batch_walk.h"
#include "engine/train/feature_sheet.h"
#include "engine/train/run_results.h"
#include "tools/commands.h"
#include "tools/trained_net.h"

namespace lamina::cli {

namespace {

struct FeatureFlags : TrainedNetFlags {
  std::string image, part = "test", out = "features.png";
  std::int64_t index = -1, maps = 16;
  std::vector<std::string> layers;
  bool list = false;
};

void list_layers(const Graph& graph) {
  for (const Node& node : feature_layers(graph)) {
    const Shape& y = graph.shape(node.output);
    fmt::print("{:<40}{:<22}{} of {}x{}\n", node.name, node.layer->type(), y.c, y.h, y.w);
  }
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return text;
}

// How much of the beginning two names have in common, whatever their case.
std::size_t common_length(const std::string& a, const std::string& b) {
  std::size_t length = 0;
  while (length < a.size() && length < b.size() && lower(a)[length] == lower(b)[length]) ++length;
  return length;
}

// " Did you mean 'conv1.0', 'conv1.1'?": those that have the word in their name, else the nearest,
// else those that begin most like it.
std::string closest(const std::string& wrong, const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  std::vector<std::string> near;
  const auto add_if = [&](const auto& is_near) {
    for (const std::string& name : names) {
      const bool there = std::find(near.begin(), near.end(), name) != near.end();
      if (near.size() < kMost && !there && is_near(name)) near.push_back(name);
    }
  };
  add_if(
      [&](const std::string& name) { return lower(name).find(lower(wrong)) != std::string::npos; });
  if (near.empty()) {
    std::string one = suggest(wrong, names);
    if (!one.empty()) return one;
    std::size_t longest = 1;
    for (const std::string& name : names) longest = std::max(longest, common_length(name, wrong));
    add_if([&](const std::string& name) { return common_length(name, wrong) == longest; });
  }
  return near.empty() ? "" : fmt::format(" Did you mean '{}'?", fmt::join(near, "', '"));
}

void check_layers(const Graph& graph, const FeatureFlags& flags) {
  std::vector<std::string> names;
  for (const Node& node : feature_layers(graph)) names.push_back(node.name);
  const bool convolutions =
      std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const Node& node) {
        return node.layer->type() == "Conv2d";
      });
  LAMINA_CHECK(convolutions || !flags.layers.empty(),
               "net {} has no convolution; name layers by --layers, `lamina features --net {} "
               "--list` lists them.",
               flags.net,
               flags.net);
  for (const std::string& layer : flags.layers) {
    if (std::find(names.begin(), names.end(), layer) != names.end()) continue;
    fail_request("net {} has no layer '{}'.{} `lamina features --net {} --list` lists its layers.",
                 flags.net,
                 layer,
                 closest(layer, names),
                 flags.net);
  }
}

// One image as a data set, from a picture or from a data set.
Dataset read_image(const FeatureFlags& flags, const Shape& input) {
  LAMINA_CHECK(flags.image.empty() != (flags.index < 0),
               "say which image: a PNG or JPEG file, or --index N of --data; not both.");
  if (!flags.image.empty()) return read_pictures(flags, {flags.image}, input);
  LAMINA_CHECK(!flags.data.empty(), "--index {} is of a data set; name it by --data.", flags.index);
  Dataset data = load_with_notes(
      flags.data,
      part_from_name(flags.part),
      {.root = flags.data_dir, .image_size = flags.image_size > 0 ? flags.image_size : 256});
  LAMINA_CHECK(flags.index < data.count,
               "--index {} is not among the {} images of the {} part of {}, which count from 0.",
               flags.index,
               data.count,
               flags.part,
               data.name);
  data.images = data.image(flags.index);
  data.source = nullptr;
  data.labels = {data.labels[static_cast<std::size_t>(flags.index)]};
  data.count = 1;
  return data;
}

std::string about(const FeatureFlags& flags, const Dataset& data) {
  if (!flags.image.empty()) return std::filesystem::path(flags.image).filename().string();
  const auto label = static_cast<std::size_t>(data.labels[0]);
  return fmt::format(
      "{} no. {}, class {}",
      data.name,
      flags.index,
      label < data.class_names.size() ? data.class_names[label] : std::to_string(label));
}

void draw(FeatureFlags flags) {
  if (!flags.list || !flags.run.empty()) {
    flags.resolve("makes the feature maps");
  } else {
    LAMINA_CHECK(!flags.net.empty(), "say whose layers to list: --net NET or --run RUN.");
  }
  NetOpts opts = flags.options.opts();
  Graph graph = build_net(flags.net, opts);
  if (flags.list) return list_layers(graph.without_auxiliary());
  check_layers(graph.without_auxiliary(), flags);
  const Dataset data = read_image(flags, graph.shape(graph.input()));
  if (flags.image.empty()) {
    graph = build_net_for(flags.net, opts, data);
    check_fit(graph, flags.net, data);
  }
  const PrepareOpts scaling =
      parse_normalize(flags.normalize.empty() ? "none" : flags.normalize, data);
  const TensorFile weights = read_weights(flags.weights);
  Context ctx = open_device(flags.device, {.threads = flags.threads});
  Model model(ctx, std::move(graph));
  model.load_state_dict(weights, flags.weights);
  const DeviceDataset resident(ctx, data, static_cast<std::uint64_t>(flags.permute_pixels));
  FeatureView view = first_image(data);
  view.layers = feature_maps(model,
                             resident,
                             scaling,
                             0,
                             {.names = flags.layers, .maps = static_cast<std::size_t>(flags.maps)});
  write_file_atomically(flags.out, encode_png(feature_sheet(view, about(flags, data))));
  for (const FeatureMaps& maps : view.layers)
    fmt::print("{:<40}{} of {}x{}, from {:.4g} to {:.4g}\n",
               maps.layer,
               maps.c,
               maps.h,
               maps.w,
               maps.low,
               maps.high);
  fmt::print("feature maps {}\n", flags.out);
}

}  // namespace

void add_features(CLI::App& app) {
  CLI::App* command = app.add_subcommand("features", "draw what layers make of an image");
  auto flags = std::make_shared<FeatureFlags>();
  command->add_option("IMAGE", flags->image, "PNG or JPEG file; or --index");
  flags->add_to(*command, "data set, for --index and --normalize standard");
  command->add_option("--data-dir", flags->data_dir, "folder that holds the data set");
  command->add_option("--index", flags->index, "image of the data set, from 0")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--part", flags->part, "of the data set: train or test")
      ->capture_default_str();
  command
      ->add_option(
          "--layers", flags->layers, "names, with commas (default: the first convolutions)")
      ->delimiter(',');
  command->add_option("--maps", flags->maps, "of each layer, at most")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--list", flags->list, "list the layers of the net");
  command->add_option("--out", flags->out, "PNG to write")
      ->type_name("FILE.png")
      ->capture_default_str();
  command->callback([flags] { draw(*flags); });
}

}  // namespace lamina::cli
