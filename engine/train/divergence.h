// A training run whose loss or weights are no longer finite: it ends, since every further number is
// lost. It is found in what the host reads anyhow, the losses of an epoch's steps and a checkpoint.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/error.h"
#include "engine/files/safetensors.h"

namespace lamina {

struct Divergence {
  std::string net;
  std::string what;             // "the loss of step 12 is nan", "after step 12 'fc.weight' is inf"
  std::int64_t epoch = 0;       // counting from 1
  double lr = 0;                // of that step
  std::int64_t checkpoint = 0;  // the step whose state is kept; 0: there is none
};

class Diverged : public Error {
 public:
  explicit Diverged(const Divergence& at);
};

// "'fc.weight' is inf" for the first tensor of a checkpoint that has a value which is not finite;
// empty when all are finite.
std::string nonfinite_text(const TensorFile& checkpoint);

// "nan" or "inf", without the sign that a NaN may have and that means nothing; else the number.
std::string number_text(double value);

}  // namespace lamina
