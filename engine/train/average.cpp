// SPDX-License-Identifier: Apache-2.0
#include "engine/train/average.h"

#include "kernels/ema.h"

namespace lamina {

namespace {
constexpr const char* kPrefix = "average.";
}

Average::Average(Model& model, Precision precision, double decay)
    : model_(&model),
      average_(model.context(), model.graph(), precision, false),
      decay_(decay),
      from_(model.stretches()),
      to_(average_.stretches()) {}

void Average::step() {
  Context& ctx = model_->context();
  for (std::size_t i = 0; i < to_.size(); ++i)
    ema_step(ctx, decay_, from_[i].w, to_[i].w, to_[i].copy);
  if (const Tensor statistics = model_->statistics())
    ema_step(ctx, decay_, statistics, average_.statistics(), {});
}

void Average::save(TensorFile& file) const {
  TensorFile own = average_.state_dict();
  for (HostTensor& tensor : own.tensors) {
    tensor.name = kPrefix + tensor.name;
    file.tensors.push_back(std::move(tensor));
  }
}

void Average::load(const TensorFile& file, const std::string& origin) {
  average_.load_state_dict(without_prefix(file, kPrefix), origin);
}

}  // namespace lamina
