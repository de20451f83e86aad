// Classification losses, forward and gradient in one pass, with the metrics of the batch.
//   x       [N,F]   logits (cross_entropy) or log-probabilities (nll)
//   labels  [N] i32, each in [0, F)       (checked where the data are loaded)
//   loss    [1]     weight * mean over the N samples, f32 (f64 with f64); overwritten, or added to
//                   with opts.add (the losses of auxiliary heads)
//   dx      [N,F]   gradient of that, times state->loss_scale unless state is null; overwritten;
//                   empty in evaluation; may be x
//   metrics         accumulated (+=) without the weight, so that an epoch is read once; any tensor
//                   may be empty
// The prediction of a sample is the first index of its largest x.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/step_state.h"
#include "kernels/op.h"

namespace lamina {

struct LossOpts {
  double weight = 1.0;
  bool add = false;
};

struct Metrics {
  Tensor sums;       // f64[3]: sum of the samples' losses, correct predictions, samples
  Tensor confusion;  // i64[F*F]: row = label, column = prediction
  Tensor history;    // f32[K]: element state->step % K becomes the loss of this batch
};

using cross_entropy_fn = void(Context& ctx,
                              const LossOpts& opts,
                              const Tensor& x,
                              const Tensor& labels,
                              const Tensor& loss,
                              const Tensor& dx,
                              const Metrics& metrics,
                              const StepState* state);
LAMINA_OP(cross_entropy)
using nll_fn = void(Context& ctx,
                    const LossOpts& opts,
                    const Tensor& x,
                    const Tensor& labels,
                    const Tensor& loss,
                    const Tensor& dx,
                    const Metrics& metrics,
                    const StepState* state);
LAMINA_OP(nll)

}  // namespace lamina
