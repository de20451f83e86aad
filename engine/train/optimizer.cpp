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

// First element and number of elements of every matrix, for lars.
std::vector<std::int64_t> matrix_spans(const Model& model) {
  std::vector<std::int64_t> spans;
  for (const Model::Entry& entry : model.entries()) {
    if (entry.spec.is_matrix()) spans.insert(spans.end(), {entry.offset, entry.spec.numel()});
  }
  return spans;
}

}  // namespace

Optimizer::Optimizer(Model& model, const TrainConfig& config)
    : model_(&model),
      rule_(config.optimizer == "sgd"       ? Rule::sgd
            : config.optimizer == "rmsprop" ? Rule::rmsprop
            : config.optimizer == "lars"    ? Rule::lars
                                            : Rule::adam),
      decay_all_(config.decay_of == "all" && rule_ != Rule::lars),
      clip_norm_(config.clip_norm),
      sgd_{config.momentum, config.weight_decay, config.nesterov},
      adam_{
          config.beta1, config.beta2, config.eps, config.weight_decay, config.optimizer == "adamw"},
      rmsprop_{config.alpha, config.eps, config.weight_decay, config.momentum},
      lars_{config.momentum, config.weight_decay, config.trust} {
  // What the schedule cycles reaches the device with the learning rates, see Schedule::momentum().
  if (config.cycle_momentum) sgd_.momentum = config.max_momentum;
  Context& ctx = model.context();
  stretches_ = model.stretches(!decay_all_);
  for (const Model::Stretch& stretch : stretches_) batch_dw_.push_back(stretch.dw);
  if (rule_ == Rule::adam || rule_ == Rule::lars || config.momentum > 0 || config.cycle_momentum)
    m_ = model.make_slab();
  if (rule_ == Rule::adam || rule_ == Rule::rmsprop) v_ = model.make_slab();
  if (config.accumulate > 1) {
    sums_ = model.make_slab();
    for (Model::Stretch& stretch : stretches_) stretch.dw = part_of(sums_, stretch);
  }
  if (clip_norm_ > 0) norm2_ = ctx.allocate(sizeof(double));
  if (rule_ != Rule::lars) return;
  const std::vector<std::int64_t> spans = matrix_spans(model);
  spans_ = ctx.allocate(spans.size() * sizeof(std::int64_t));
  span_norms_ = ctx.allocate(spans.size() * sizeof(double));
  ctx.copy_in(spans_.data(), spans.data(), spans_.size());
}

void Optimizer::collect(bool fresh) {
  for (std::size_t i = 0; i < stretches_.size(); ++i)
    sum_gradients(model_->context(), fresh, batch_dw_[i], stretches_[i].dw);
}

void Optimizer::step(StepState* state) {
  Context& ctx = model_->context();
  if (model_->compute_dtype() == DType::f16) {
    for (const Model::Stretch& s : stretches_) find_overflow(ctx, state, s.dw, s.first);
  }
  for (std::size_t i = 0; clip_norm_ > 0 && i < stretches_.size(); ++i) {
    const ClipOpts opts{clip_norm_, i == 0, i + 1 == stretches_.size()};
    clip_gradients(ctx, opts, state, stretches_[i].dw, vector_view(norm2_.data(), DType::f64, 1));
  }
  for (const Model::Stretch& stretch : stretches_) update(state, stretch);
}

void Optimizer::update(StepState* state, const Model::Stretch& s) {
  Context& ctx = model_->context();
  const Tensor m = part_of(m_, s), v = part_of(v_, s);
  const bool decays = decay_all_ || s.matrices;
  const auto decayed = [&](auto opts) {
    if (!decays) opts.weight_decay = 0;
    return opts;
  };
  switch (rule_) {
    case Rule::sgd:
      return sgd_step(ctx, decayed(sgd_), state, s.w, s.dw, m, s.copy);
    case Rule::adam:
      return adam_step(ctx, decayed(adam_), state, s.w, s.dw, m, v, s.copy);
    case Rule::rmsprop:
      return rmsprop_step(ctx, decayed(rmsprop_), state, s.w, s.dw, m, v, s.copy);
    case Rule::lars: {  // of the matrices; vectors have no norm worth a rate of their own
      if (!s.matrices) return sgd_step(ctx, {lars_.momentum}, state, s.w, s.dw, m, s.copy);
      const auto count = static_cast<std::int64_t>(spans_.size() / sizeof(std::int64_t));
      return lars_step(ctx,
                       lars_,
                       state,
                       s.w,
                       s.dw,
                       m,
                       s.copy,
                       vector_view(spans_.data(), DType::i64, count),
                       vector_view(span_norms_.data(), DType::f64, count));
    }
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
