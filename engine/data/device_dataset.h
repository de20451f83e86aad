// A data set resident in device memory, and the batches of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "engine/data/dataset.h"
#include "kernels/prepare.h"

namespace lamina {

class DeviceDataset {
 public:
  DeviceDataset(Context& ctx, const Dataset& dataset);

  Tensor images() const { return {images_.data(), DType::u8, shape_}; }
  Tensor labels() const { return vector_view(labels_.data(), DType::i32, shape_.n); }
  std::int64_t count() const { return shape_.n; }
  std::size_t bytes() const { return images_.size() + labels_.size(); }

 private:
  Shape shape_;
  Buffer images_, labels_;
};

// The pixel scaling that `text` asks for: none, standard (the data set's own constants) or
// MEAN,STD.
PrepareOpts parse_normalize(const std::string& text, const Dataset& dataset);

}  // namespace lamina
