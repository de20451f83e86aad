// The link-time stand-ins of a build without CUDA: every op is there and says what is missing.
// Their contracts are the headers of kernels/.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"
#include "kernels/activation.h"
#include "kernels/adaptive_pool.h"
#include "kernels/add.h"
#include "kernels/batch_norm.h"
#include "kernels/concat.h"
#include "kernels/context.h"
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
#include "kernels/softmax.h"
#include "kernels/upsample.h"

namespace lamina::cuda {

#define LAMINA_STUB(result, name, ...)                                                 \
  result name(Context&, __VA_ARGS__) {                                                 \
    fail_request("{}: this build has no CUDA kernels; run with --device cpu.", #name); \
  }

using T = const Tensor&;

LAMINA_STUB(void, accumulate, T, T)
LAMINA_STUB(void, adaptive_avg_pool_forward, T, T)
LAMINA_STUB(void, adaptive_avg_pool_backward, T, T)
LAMINA_STUB(void, add_forward, const AddOpts&, T, T, T)
LAMINA_STUB(void, add_backward, const AddOpts&, T, T, T, T)
LAMINA_STUB(void, concat, std::span<const Tensor>, T)
LAMINA_STUB(void, split, T, std::span<const Tensor>, std::span<const std::int64_t>)
LAMINA_STUB(void, act_forward, Act, T, T)
LAMINA_STUB(void, act_backward, Act, T, T, T)
LAMINA_STUB(void, batch_norm_train, const BatchNormOpts&, T, T, const BatchNormParams&, T, T, T)
LAMINA_STUB(void, batch_norm_apply, const BatchNormOpts&, T, T, T, T, T, T, T)
LAMINA_STUB(void, batch_norm_infer, const BatchNormOpts&, T, T, const BatchNormParams&, T)
LAMINA_STUB(void, batch_norm_backward, const BatchNormOpts&, T, T, T, T, T, T, T, T, T, T, T)
LAMINA_STUB(void,
            batch_norm_backward_frozen,
            const BatchNormOpts&,
            T,
            T,
            T,
            const BatchNormParams&,
            T,
            T,
            T,
            T)
LAMINA_STUB(std::unique_ptr<Conv2d>, make_conv2d, const Conv2dDesc&)
LAMINA_STUB(void, dropout, const DropoutOpts&, const StepState*, T, T)
LAMINA_STUB(std::unique_ptr<Linear>, make_linear, const LinearDesc&)
LAMINA_STUB(void, class_loss, const LossOpts&, T, T, T, T, const Metrics&, const StepState*)
LAMINA_STUB(void, lrn_forward, const LrnOpts&, T, T)
LAMINA_STUB(void, lrn_backward, const LrnOpts&, T, T, T)
LAMINA_STUB(void, sgd_step, const SgdOpts&, const StepState*, T, T, T, T)
LAMINA_STUB(void, adam_step, const AdamOpts&, const StepState*, T, T, T, T, T)
LAMINA_STUB(void, rmsprop_step, const RmspropOpts&, const StepState*, T, T, T, T, T)
LAMINA_STUB(void, lars_step, const LarsOpts&, const StepState*, T, T, T, T, T, T)
LAMINA_STUB(void, advance, const AdvanceOpts&, StepState*, T, T)
LAMINA_STUB(void, find_overflow, StepState*, T, std::int64_t)
LAMINA_STUB(void, sum_gradients, bool, T, T)
LAMINA_STUB(void, clip_gradients, const ClipOpts&, StepState*, T, T)
LAMINA_STUB(void, ema_step, double, T, T, T)
LAMINA_STUB(void, max_pool_forward, const PoolOpts&, T, T, T)
LAMINA_STUB(void, max_pool_backward, const PoolOpts&, T, T, T)
LAMINA_STUB(void, avg_pool_forward, const PoolOpts&, T, T)
LAMINA_STUB(void, avg_pool_backward, const PoolOpts&, T, T)
LAMINA_STUB(void, prepare, const PrepareOpts&, const StepState*, T, T, T, T, T, T)
LAMINA_STUB(void, softmax_forward, T, T)
LAMINA_STUB(void, softmax_backward, T, T, T)
LAMINA_STUB(void, log_softmax_forward, T, T)
LAMINA_STUB(void, log_softmax_backward, T, T, T)
LAMINA_STUB(void, upsample_forward, T, T)
LAMINA_STUB(void, upsample_backward, T, T)

std::unique_ptr<Device> make_device(const ContextOpts&) {
  fail_request("this build has no CUDA backend; run with --device cpu.");
}

}  // namespace lamina::cuda
