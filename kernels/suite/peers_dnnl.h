// oneDNN's own primitives as peers of our kernels: the same work on the same tensors, in the same
// layout. Each function sets Problem::peer where oneDNN has the op as the options want it, and does
// nothing otherwise. A peer runs on the backend cpu in f32; reorders that it needs are its own
// affair and count. Which pass it makes depends on the problem's pass or on the tensors it has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/add.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/linear.h"
#include "kernels/lrn.h"
#include "kernels/pool.h"
#include "kernels/suite/problem.h"

namespace lamina::suite {

std::string dnnl_name();  // "oneDNN 2.6.3"

// Plans of which oneDNN makes every pass.
std::unique_ptr<Conv2d> conv2d_by_dnnl(Context& ctx, const Conv2dDesc& desc);
std::unique_ptr<Linear> linear_by_dnnl(Context& ctx, const LinearDesc& desc);

// Without a shortcut, with no activation or relu. Training leaves the running statistics alone and
// keeps the variance where ours keeps invstd.
void set_batch_norm_peer(Problem& problem, const BatchNormOpts& opts);

void set_max_pool_peer(Problem& problem, const PoolOpts& opts);
void set_avg_pool_peer(Problem& problem, const PoolOpts& opts);
// Where all windows are of one size.
void set_adaptive_pool_peer(Problem& problem);

// Windows of five channels, those of every net. oneDNN has no even ones, and the backward pass of
// 2.6.3 is wrong with some others (7 of 24 channels) and crashes with windows of one.
void set_lrn_peer(Problem& problem, const LrnOpts& opts);

void set_activation_peer(Problem& problem, Act act);
void set_softmax_peer(Problem& problem, bool logarithm);
void set_add_peer(Problem& problem, const AddOpts& opts);  // forward
void set_concat_peer(Problem& problem);                    // forward
void set_upsample_peer(Problem& problem);

}  // namespace lamina::suite
