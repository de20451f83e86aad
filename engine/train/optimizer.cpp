// SPDX-License-Identifier: Apache-2.0
#include "engine/train/optimizer.h"

namespace lamina {

namespace {

Tensor view(const Buffer& slab, const Tensor& like) {
  return {slab.data(), like.dtype, like.shape};
}

}  // namespace

Optimizer::Optimizer(Model& model, const TrainConfig& config)
    : model_(&model), adam_(config.optimizer != "sgd") {
  if (adam_) {
    adam_opts_.weight_decay = config.weight_decay;
    adam_opts_.decoupled = config.optimizer == "adamw";
    m_ = model.make_slab();
    v_ = model.make_slab();
  } else {
    sgd_opts_ = {config.momentum, config.weight_decay, config.nesterov};
    if (config.momentum > 0) m_ = model.make_slab();
  }
}

void Optimizer::step(const StepState* state) {
  const Tensor w = model_->weights(), dw = model_->gradients();
  const Tensor m = m_.data() ? view(m_, w) : Tensor{};
  if (adam_) {
    adam_step(model_->context(), adam_opts_, state, w, dw, m, view(v_, w));
  } else {
    sgd_step(model_->context(), sgd_opts_, state, w, dw, m);
  }
}

void Optimizer::save(TensorFile& file) const {
  if (m_.data()) model_->export_slab(m_, "optimizer.m.", file);
  if (v_.data()) model_->export_slab(v_, "optimizer.v.", file);
}

void Optimizer::load(const TensorFile& file, const std::string& origin) {
  if (m_.data()) model_->import_slab(file, "optimizer.m.", origin, m_);
  if (v_.data()) model_->import_slab(file, "optimizer.v.", origin, v_);
}

}  // namespace lamina
