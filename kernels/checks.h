// The argument checks of every op, once for all backends.
//
// One function an op, with the op's arguments. Each throws a request error of one sentence that
// names the op, the tensor, what it is and what it should be. Only shapes, dtypes and pointers are
// looked at, never elements, so the same checks serve device memory. They cost a few comparisons:
// text is made on failure only.
//   checks::accumulate(ctx, x, y);   // first line of ref::accumulate, cpu::accumulate, ...
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "kernels/activation.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/dropout.h"
#include "kernels/ema.h"
#include "kernels/gradient_slab.h"
#include "kernels/lars.h"
#include "kernels/linear.h"
#include "kernels/loss.h"
#include "kernels/lrn.h"
#include "kernels/optimizer.h"
#include "kernels/pool.h"
#include "kernels/prepare.h"

namespace lamina::checks {

// Whether tensors of this dtype can be computed on by this backend.
bool takes(BackendKind backend, DType dtype);

void accumulate(const Context& ctx, const Tensor& x, const Tensor& y);

void adaptive_avg_pool_forward(const Context& ctx, const Tensor& x, const Tensor& y);
void adaptive_avg_pool_backward(const Context& ctx, const Tensor& dy, const Tensor& dx);

void add_forward(const Context& ctx, const Tensor& a, const Tensor& b, const Tensor& y);
void add_backward(const Context& ctx,
                  Act act,
                  const Tensor& y,
                  const Tensor& dy,
                  const Tensor& da,
                  const Tensor& db);

void concat(const Context& ctx, std::span<const Tensor> x, const Tensor& y);
void split(const Context& ctx,
           const Tensor& dy,
           std::span<const Tensor> dx,
           std::span<const std::int64_t> channels);

void act_forward(const Context& ctx, const Tensor& x, const Tensor& y);
void act_backward(const Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx);

void batch_norm_train(const Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const Tensor& z,
                      const BatchNormParams& p,
                      const Tensor& y,
                      const Tensor& mean,
                      const Tensor& invstd);
void batch_norm_apply(const Context& ctx,
                      const Tensor& x,
                      const Tensor& z,
                      const Tensor& gamma,
                      const Tensor& beta,
                      const Tensor& mean,
                      const Tensor& invstd,
                      const Tensor& y);
void batch_norm_infer(const Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const Tensor& z,
                      const BatchNormParams& p,
                      const Tensor& y);
void batch_norm_backward(const Context& ctx,
                         const BatchNormOpts& opts,
                         const Tensor& x,
                         const Tensor& y,
                         const Tensor& dy,
                         const Tensor& gamma,
                         const Tensor& beta,
                         const Tensor& mean,
                         const Tensor& invstd,
                         const Tensor& dx,
                         const Tensor& dz,
                         const Tensor& dgamma,
                         const Tensor& dbeta);
void batch_norm_backward_frozen(const Context& ctx,
                                const BatchNormOpts& opts,
                                const Tensor& x,
                                const Tensor& y,
                                const Tensor& dy,
                                const BatchNormParams& p,
                                const Tensor& dx,
                                const Tensor& dz,
                                const Tensor& dgamma,
                                const Tensor& dbeta);

// The description when the plan is made; the tensors of each call.
void conv2d(const Context& ctx, const Conv2dDesc& desc);
void conv2d_forward(
    const Conv2dDesc& desc, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y);
void conv2d_backward_data(const Conv2dDesc& desc,
                          const Tensor& dy,
                          const Tensor& w,
                          const Tensor& dx);
void conv2d_backward_weights(const Conv2dDesc& desc,
                             const Tensor& x,
                             const Tensor& y,
                             const Tensor& dy,
                             const Tensor& dw,
                             const Tensor& db);

void dropout(const Context& ctx,
             const DropoutOpts& opts,
             const StepState* state,
             const Tensor& x,
             const Tensor& y);

void linear(const Context& ctx, const LinearDesc& desc);
void linear_forward(
    const LinearDesc& desc, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y);
void linear_backward_data(const LinearDesc& desc,
                          const Tensor& dy,
                          const Tensor& w,
                          const Tensor& dx);
void linear_backward_weights(const LinearDesc& desc,
                             const Tensor& x,
                             const Tensor& y,
                             const Tensor& dy,
                             const Tensor& dw,
                             const Tensor& db);

void class_loss(const Context& ctx,
                const LossOpts& opts,
                const Tensor& x,
                const Tensor& labels,
                const Tensor& loss,
                const Tensor& dx,
                const Metrics& metrics,
                const StepState* state);
// Every label is a class; for backends whose labels the host can read.
void labels(const Tensor& labels, std::int64_t classes);

void lrn_forward(const Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& y);
void lrn_backward(
    const Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& dy, const Tensor& dx);

void sgd_step(const Context& ctx,
              const SgdOpts& opts,
              const StepState* state,
              const Tensor& w,
              const Tensor& dw,
              const Tensor& m,
              const Tensor& copy);
void adam_step(const Context& ctx,
               const AdamOpts& opts,
               const StepState* state,
               const Tensor& w,
               const Tensor& dw,
               const Tensor& m,
               const Tensor& v,
               const Tensor& copy);
void rmsprop_step(const Context& ctx,
                  const RmspropOpts& opts,
                  const StepState* state,
                  const Tensor& w,
                  const Tensor& dw,
                  const Tensor& m,
                  const Tensor& v,
                  const Tensor& copy);
void lars_step(const Context& ctx,
               const LarsOpts& opts,
               const StepState* state,
               const Tensor& w,
               const Tensor& dw,
               const Tensor& m,
               const Tensor& copy,
               const Tensor& spans,
               const Tensor& norms);
void advance(const AdvanceOpts& opts,
             const StepState* state,
             const Tensor& rates,
             const Tensor& momenta);
void find_overflow(const Context& ctx, const StepState* state, const Tensor& dw);
void sum_gradients(const Context& ctx, const Tensor& dw, const Tensor& sum);
void clip_gradients(const Context& ctx,
                    const ClipOpts& opts,
                    const StepState* state,
                    const Tensor& dw,
                    const Tensor& norm2);
void ema_step(
    const Context& ctx, double decay, const Tensor& w, const Tensor& ema, const Tensor& copy);

void max_pool_forward(
    const Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx);
void max_pool_backward(const Context& ctx,
                       const PoolOpts& opts,
                       const Tensor& dy,
                       const Tensor& idx,
                       const Tensor& dx);
void avg_pool_forward(const Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y);
void avg_pool_backward(const Context& ctx,
                       const PoolOpts& opts,
                       const Tensor& dy,
                       const Tensor& dx);

void prepare(const Context& ctx,
             const PrepareOpts& opts,
             const StepState* state,
             const Tensor& images,
             const Tensor& labels,
             const Tensor& order,
             const Tensor& x,
             const Tensor& y,
             const Tensor& pixels);
// The next `batch` samples of the order, each one of `count`; for backends whose order the host can
// read. Returns the first.
const std::int32_t* batch_samples(const StepState& state,
                                  const Tensor& order,
                                  std::int64_t batch,
                                  std::int64_t count);

// softmax and log_softmax, by `op` in the messages.
void softmax_forward(const Context& ctx, std::string_view op, const Tensor& x, const Tensor& y);
void softmax_backward(
    const Context& ctx, std::string_view op, const Tensor& y, const Tensor& dy, const Tensor& dx);

void upsample_forward(const Context& ctx, const Tensor& x, const Tensor& y);
void upsample_backward(const Context& ctx, const Tensor& dy, const Tensor& dx);

}  // namespace lamina::checks
