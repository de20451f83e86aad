// The moving average of a model's weights and statistics: a second model, which is evaluated in the
// place of the first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/model.h"

namespace lamina {

class Average {
 public:
  // Of `model`, which outlives it; begins with its values when start() is called.
  Average(Model& model, Precision precision, double decay);

  void start() { average_.copy_from(*model_); }
  void step();  // after an update

  Model& model() { return average_; }
  void save(TensorFile& file) const;  // "average.<name>"
  void load(const TensorFile& file, const std::string& origin);

 private:
  Model* model_;
  Model average_;
  double decay_;
  std::vector<Model::Stretch> from_, to_;
};

}  // namespace lamina
