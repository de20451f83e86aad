// A data set as the device sees it: resident in its memory, or streamed from the host
// (batch_stream.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "engine/data/dataset.h"
#include "kernels/prepare.h"

namespace lamina {

class DeviceDataset {
 public:
  // Streamed where the images are not in memory, or take more than half of what the device has
  // free; `dataset` outlives this then. permute_pixels: the seed of one order of the pixels for all
  // images; 0: they stay in place.
  DeviceDataset(Context& ctx, const Dataset& dataset, std::uint64_t permute_pixels = 0);

  bool streamed() const { return images_.size() == 0; }
  const Dataset& host() const { return *host_; }                         // of a streamed one
  Tensor images() const { return {images_.data(), DType::u8, shape_}; }  // of a resident one
  Tensor labels() const { return vector_view(labels_.data(), DType::i32, shape_.n); }
  Tensor pixels() const;  // of prepare(): empty where they stay in place
  std::int64_t count() const { return shape_.n; }
  std::size_t bytes() const { return images_.size() + labels_.size() + pixels_.size(); }

 private:
  const Dataset* host_;
  Shape shape_;
  Buffer images_, labels_, pixels_;
};

// The pixel scaling that `text` asks for: none, standard (the data set's own constants) or
// MEAN,STD.
PrepareOpts parse_normalize(const std::string& text, const Dataset& dataset);

// The scaling of weights trained elsewhere: (pixel * scale - mean[c]) / stddev[c], pixels from 0 to
// 255. mean and stddev are one number, or one a channel with commas; empty: 0 and 1.
PrepareOpts parse_scaling(const std::string& mean,
                          const std::string& stddev,
                          double scale,
                          const Dataset& dataset);

}  // namespace lamina
