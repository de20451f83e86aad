// Losses of a classifier, forward and gradient in one pass, with the metrics of the batch.
//   x       [N,F]   logits, log-probabilities or scores
//   labels  [N] i32, each in [0, F)       (checked where the data are loaded)
//   loss    [1]     weight * mean over the N samples, f32 (f64 with f64); overwritten, or added to
//                   with opts.add (the losses of auxiliary heads)
//   dx      [N,F]   gradient of that, times state->loss_scale unless state is null; overwritten;
//                   empty in evaluation; may be x
//   metrics         accumulated (+=) without the weight, so that an epoch is read once; any tensor
//                   may be empty
//
// With the target t = one-hot(label), the loss of a sample is (PyTorch's, with mean reduction)
//   cross_entropy   -sum(t * log_softmax(x))
//   nll             -sum(t * x)
//   hinge           sum over f != label of max(0, 1 - x[label] + x[f]) / F     (MultiMarginLoss)
//   mse             sum((x - t)^2) / F
//   l1              sum(|x - t|) / F, with the gradient 0 where x = t
// Label smoothing (Szegedy et al., https://arxiv.org/abs/1512.00567): t becomes
// (1 - smoothing) * t + smoothing / F; the hinge, which has no target, takes none. Mixup (mixup.h,
// needs state): the targets, or the hinges, of both labels, weighted.
//
// The prediction of a sample is the first index of its largest x. The label is among the first five
// when fewer than five elements come before it: larger ones, or equal ones of a smaller index.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/loss_kind.h"
#include "engine/core/step_state.h"
#include "kernels/mixup.h"
#include "kernels/op.h"

namespace lamina {

struct LossOpts {
  LossKind kind = LossKind::cross_entropy;
  double weight = 1.0;
  bool add = false;
  double smoothing = 0.0;
  MixupOpts mixup = {};
};

inline constexpr std::int64_t kMetricSums = 4;
inline constexpr std::int64_t kTopFew = 5;

struct Metrics {
  Tensor sums;  // f64[4]: the samples' losses, predicted right, samples, right in the first five
  Tensor confusion;  // i64[F*F]: row = label, column = prediction
  Tensor history;    // f32[K]: element state->step % K becomes the loss of this batch
};

using class_loss_fn = void(Context& ctx,
                           const LossOpts& opts,
                           const Tensor& x,
                           const Tensor& labels,
                           const Tensor& loss,
                           const Tensor& dx,
                           const Metrics& metrics,
                           const StepState* state);
LAMINA_OP(class_loss)

}  // namespace lamina
