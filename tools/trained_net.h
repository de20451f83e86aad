// A trained net as flags name it, by the folder of its run or by net and weights, and pictures made
// ready for it: for `lamina predict` and `lamina features`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/graph/graph.h"
#include "tools/common.h"

namespace lamina::cli {

struct TrainedNetFlags {
  std::string run, net, weights, data, data_dir, normalize, device = "auto";
  NetFlags options;
  std::int64_t threads = 0, image_size = 0;
  std::int64_t permute_pixels = 0;  // of the run
  bool invert = false;

  // data_help: what the command takes the data set for.
  void add_to(CLI::App& command, const std::string& data_help);
  // What the folder of the run says goes where no flag does; refused when no net is named.
  void resolve(const std::string& what_it_does);

 private:
  void take_from_run();
};

// PNG and JPEG files as a data set of the shape that the net takes; labels are 0.
Dataset read_pictures(const TrainedNetFlags& flags,
                      const std::vector<std::string>& images,
                      const Shape& input);

}  // namespace lamina::cli
