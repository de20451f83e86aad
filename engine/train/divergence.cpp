// SPDX-License-Identifier: Apache-2.0
#include "engine/train/divergence.h"

#include <algorithm>
#include <cmath>

namespace lamina {

Diverged::Diverged(const Divergence& at)
    : Error(ErrorKind::failure,
            fmt::format(
                "{} has diverged: {}, in epoch {}, at the learning rate {:.4g}; train anew with a "
                "lower --lr, with --warmup or with --clip-norm (--debug nan names the layer).{}",
                at.net,
                at.what,
                at.epoch,
                at.lr,
                at.checkpoint > 0 ? fmt::format(" The checkpoint of step {} stays.", at.checkpoint)
                                  : "")) {}

std::string number_text(double value) {
  return std::isnan(value) ? "nan" : fmt::format("{:.4g}", value);
}

std::string nonfinite_text(const TensorFile& checkpoint) {
  for (const HostTensor& tensor : checkpoint.tensors) {
    if (tensor.dtype != DType::f32) continue;
    const auto values = tensor.as<float>();
    const auto bad =
        std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
    if (bad == values.end()) continue;
    const bool weight = tensor.name.starts_with("model.");
    return fmt::format("'{}' is {}",
                       weight ? tensor.name.substr(6) : tensor.name,
                       number_text(static_cast<double>(*bad)));
  }
  return {};
}

}  // namespace lamina
