// lamina predict: what a net takes pictures for, with the probabilities of its first guesses.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/data/image_file.h"
#include "engine/data/image_list.h"
#include "engine/data/registry.h"
#include "engine/data/resize.h"
#include "engine/files/atomic_file.h"
#include "engine/files/torch_file.h"
#include "engine/train/run_results.h"
#include "tools/commands.h"
#include "tools/common.h"
#include "tools/training.h"

namespace lamina::cli {

namespace {

struct PredictFlags {
  std::string run, net, weights, data, classes_file, normalize, device = "auto";
  std::vector<std::string> images;
  NetFlags options;
  std::int64_t threads = 0, image_size = 0, top = 5;
  bool invert = false, json = false;
};

// What the folder of a run says goes where no flag does.
void take_from_run(PredictFlags& flags) {
  if (flags.run.empty()) return;
  const TrainConfig config = config_of_run(flags.run);
  const RunPaths paths(flags.run);
  const bool averaged = std::filesystem::exists(paths.average);
  const auto missing = [](std::string& flag, const std::string& value) {
    if (flag.empty()) flag = value;
  };
  missing(flags.net, config.net);
  missing(flags.weights, (averaged ? paths.average : paths.weights).string());
  missing(flags.data, config.data);
  missing(flags.normalize, config.normalize);
  const NetFlags there = net_flags(config);
  NetFlags& options = flags.options;
  if (options.classes == 0) options.classes = there.classes;
  if (options.size == 0) options.size = there.size;
  if (options.channels == 0) options.channels = there.channels;
  if (options.width == 1.0) options.width = there.width;
  if (options.others.empty()) options.others = there.others;
  if (flags.image_size == 0 && !find_dataset(config.data)) flags.image_size = config.image_size;
}

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

// Grey for nets of one channel, by the weights of ITU-R BT.601; three equal channels from grey.
Picture with_channels(const Picture& picture, std::int64_t channels) {
  if (picture.c == channels) return picture;
  LAMINA_CHECK(channels == 1 || channels == 3,
               "the net takes images of {} channels; pictures have 1 or 3.",
               channels);
  Picture other{picture.h, picture.w, channels, {}};
  for (std::size_t i = 0; i < picture.pixels.size(); i += static_cast<std::size_t>(picture.c)) {
    const std::uint8_t* const p = picture.pixels.data() + i;
    if (channels == 3) {
      other.pixels.insert(other.pixels.end(), 3, *p);
    } else {
      const double grey = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
      other.pixels.push_back(static_cast<std::uint8_t>(std::lround(grey)));
    }
  }
  return other;
}

Dataset read_pictures(const PredictFlags& flags, const Shape& input) {
  Dataset data;
  data.name = flags.data;
  data.count = static_cast<std::int64_t>(flags.images.size());
  data.h = data.w = flags.image_size > 0 ? flags.image_size : input.h;
  data.c = input.c;
  data.classes = 1;
  data.labels.assign(flags.images.size(), 0);
  data.images.resize(static_cast<std::size_t>(data.count * data.h * data.w * data.c));
  const auto size = static_cast<std::size_t>(data.h * data.w * data.c);
  for (std::size_t i = 0; i < flags.images.size(); ++i) {
    const std::string bytes = read_text_file(flags.images[i]);
    const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const Picture picture = decode_image(flags.images[i], {first, bytes.size()}, data.h);
    const auto place = std::span(data.images).subspan(i * size, size);
    resize_to_square(with_channels(picture, data.c), data.h, place);
    if (!flags.invert) continue;
    for (std::uint8_t& pixel : place) pixel = static_cast<std::uint8_t>(255 - pixel);
  }
  if (const auto known = find_dataset(flags.data)) {
    data.mean = known->mean;
    data.stddev = known->stddev;
    data.has_constants = true;
  }
  return data;
}

void predict(PredictFlags flags) {
  take_from_run(flags);
  LAMINA_CHECK(!flags.net.empty() && !flags.weights.empty(),
               "say which net predicts: --net and --weights, or --run RUN.");
  LAMINA_CHECK(flags.top > 0, "--top {} is not positive.", flags.top);
  Graph graph = build_net(flags.net, flags.options.opts());
  const Dataset data = read_pictures(flags, graph.shape(graph.input()));
  const std::vector<std::string> names = class_names(flags, graph.classes());
  const PrepareOpts scaling =
      parse_normalize(flags.normalize.empty() ? "none" : flags.normalize, data);
  const TensorFile weights = read_weights(flags.weights);
  Context ctx = open_device(flags.device, {.threads = flags.threads});
  Model model(ctx, std::move(graph));
  model.load_state_dict(weights, flags.weights);
  const DeviceDataset resident(ctx, data);
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
  command->add_option("--run", flags->run, "folder of a run, which says all that follows");
  command->add_option("--net", flags->net, "network id");
  command->add_option("--weights", flags->weights, ".pth or safetensors file");
  flags->options.add_to(*command);
  command->add_option("--data", flags->data, "data set that names the classes");
  command->add_option("--classes-file", flags->classes_file, "a class name a line");
  command->add_option(
      "--normalize", flags->normalize, "none, standard or MEAN,STD; as in training");
  command->add_option(
      "--image-size", flags->image_size, "side of the squares made first (0: the net's input)");
  command->add_flag("--invert", flags->invert, "dark ink on light paper, for nets of white digits");
  command->add_option("--top", flags->top, "guesses an image")->capture_default_str();
  command->add_option("--device", flags->device, "auto, cuda, cpu or ref");
  command->add_option("--threads", flags->threads, "CPU threads (0: as many as there are)");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { predict(*flags); });
}

}  // namespace lamina::cli
