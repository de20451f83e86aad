// The optimizer of a run: its options and its state slabs on the device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/graph/model.h"
#include "engine/train/config.h"
#include "kernels/optimizer.h"

namespace lamina {

class Optimizer {
 public:
  Optimizer(Model& model, const TrainConfig& config);

  // One launch over the parameter slab; in f16 after a look for gradients that overflowed.
  void step(StepState* state);

  std::size_t state_bytes() const { return m_.size() + v_.size(); }
  void save(TensorFile& file) const;  // "optimizer.m.<parameter>", "optimizer.v.<parameter>"
  void load(const TensorFile& file, const std::string& origin);

 private:
  Model* model_;
  std::vector<Model::Stretch> stretches_;
  bool adam_;
  AdamOpts adam_opts_;
  SgdOpts sgd_opts_;
  Buffer m_, v_;
};

}  // namespace lamina
