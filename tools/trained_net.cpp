// SPDX-License-Identifier: Apache-2.0
#include "tools/trained_net.h"

#include <CLI/CLI.hpp>
#include <cmath>

#include "engine/data/image_file.h"
#include "engine/data/registry.h"
#include "engine/data/resize.h"
#include "engine/files/atomic_file.h"
#include "tools/training.h"

namespace lamina::cli {

namespace {

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

}  // namespace

void TrainedNetFlags::add_to(CLI::App& command, const std::string& data_help) {
  command.add_option("--run", run, "folder of a run, which says all that follows");
  command.add_option("--net", net, "network id");
  command.add_option("--weights", weights, ".pth or safetensors file");
  options.add_to(command);
  command.add_option("--data", data, data_help);
  command.add_option("--normalize", normalize, "none, standard or MEAN,STD; as in training");
  command.add_option(
      "--image-size", image_size, "side of the squares made first (0: the net's input)");
  command.add_flag("--invert", invert, "dark ink on light paper, for nets of white digits");
  command.add_option("--device", device, "auto, cuda, cpu or ref");
  command.add_option("--threads", threads, "CPU threads (0: as many as there are)");
}

void TrainedNetFlags::resolve(const std::string& what_it_does) {
  if (!run.empty()) take_from_run();
  LAMINA_CHECK(!net.empty() && !weights.empty(),
               "say which net {}: --net and --weights, or --run RUN.",
               what_it_does);
}

void TrainedNetFlags::take_from_run() {
  const TrainConfig config = config_of_run(run);
  const RunPaths paths(run);
  const bool averaged = std::filesystem::exists(paths.average);
  const auto missing = [](std::string& flag, const std::string& value) {
    if (flag.empty()) flag = value;
  };
  missing(net, config.net);
  missing(weights, (averaged ? paths.average : paths.weights).string());
  missing(data, config.data);
  missing(data_dir, config.data_dir);
  missing(normalize, config.normalize);
  const NetFlags there = net_flags(config);
  if (options.classes == 0) options.classes = there.classes;
  if (options.size == 0) options.size = there.size;
  if (options.channels == 0) options.channels = there.channels;
  if (options.width == 1.0) options.width = there.width;
  if (options.others.empty()) options.others = there.others;
  permute_pixels = config.permute_pixels;
  if (image_size == 0 && !find_dataset(config.data)) image_size = config.image_size;
}

Dataset read_pictures(const TrainedNetFlags& flags,
                      const std::vector<std::string>& images,
                      const Shape& input) {
  Dataset data;
  data.name = flags.data;
  data.count = static_cast<std::int64_t>(images.size());
  data.h = data.w = flags.image_size > 0 ? flags.image_size : input.h;
  data.c = input.c;
  data.classes = 1;
  data.labels.assign(images.size(), 0);
  data.images.resize(static_cast<std::size_t>(data.count * data.h * data.w * data.c));
  const auto size = static_cast<std::size_t>(data.h * data.w * data.c);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::string bytes = read_text_file(images[i]);
    const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const Picture picture = decode_image(images[i], {first, bytes.size()}, data.h);
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

}  // namespace lamina::cli
