// SPDX-License-Identifier: Apache-2.0
#include "engine/train/optimizer.h"

#include "kernels/gradient_slab.h"

namespace lamina {

namespace {

// The part of a slab that belongs to a stretch of the parameters; empty without a slab.
Tensor part_of(const Buffer& slab, const Model::Stretch& stretch) {
  if (slab.data() == nullptr) return {};
  const auto offset = static_cast<std::size_t>(stretch.first) * size_of(stretch.w.dtype);
  return {slab.bytes_at(offset), stretch.w.dtype, stretch.w.shape};
}

}  // namespace

Optimizer::Optimizer(Model& model, const TrainConfig& config)
    : model_(&model), stretches_(model.stretches()), adam_(config.optimizer != "sgd") {
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

void Optimizer::step(StepState* state) {
  Context& ctx = model_->context();
  if (model_->compute_dtype() == DType::f16) {
    for (const Model::Stretch& s : stretches_) find_overflow(ctx, state, s.dw, s.first);
  }
  for (const Model::Stretch& s : stretches_) {
    const Tensor m = part_of(m_, s);
    if (adam_)
      adam_step(ctx, adam_opts_, state, s.w, s.dw, m, part_of(v_, s), s.copy);
    else
      sgd_step(ctx, sgd_opts_, state, s.w, s.dw, m, s.copy);
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
