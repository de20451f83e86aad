// The optimizer of a run: its options and its state slabs on the device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/graph/model.h"
#include "engine/train/config.h"
#include "kernels/lars.h"
#include "kernels/optimizer.h"

namespace lamina {

class Optimizer {
 public:
  Optimizer(Model& model, const TrainConfig& config);

  // With config.accumulate above 1: adds the batch's gradients to those of the update; `fresh`
  // begins with them.
  void collect(bool fresh);
  // One launch over the parameter slab, or over each part of it with settings of its own; before it
  // in f16 a look for gradients that overflowed, then clipping.
  void step(StepState* state);

  std::size_t state_bytes() const { return m_.size() + v_.size() + sums_.size(); }
  void save(TensorFile& file) const;  // "optimizer.m.<parameter>", "optimizer.v.<parameter>"
  void load(const TensorFile& file, const std::string& origin);

 private:
  enum class Rule { sgd, adam, rmsprop, lars };
  void update(StepState* state, const Model::Stretch& stretch);

  Model* model_;
  Rule rule_;
  std::vector<Model::Stretch> stretches_;  // dw: what the update reads
  std::vector<Tensor> batch_dw_;           // of each stretch, what the backward pass writes
  bool decay_all_;
  double clip_norm_;
  SgdOpts sgd_;
  AdamOpts adam_;
  RmspropOpts rmsprop_;
  LarsOpts lars_;
  Buffer m_, v_, sums_, norm2_;
  Buffer spans_, span_norms_;  // of lars
};

}  // namespace lamina
