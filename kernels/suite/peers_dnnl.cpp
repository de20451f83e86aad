// oneDNN's peers of the ops that go over elements or rows; the others are in peers_dnnl_windows.cpp
// and, for convolution and linear layers, beside the problems.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/peers_dnnl.h"

#include <algorithm>
#include <optional>

#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/suite/dnnl_run.h"

namespace lamina::suite {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using Run = std::unique_ptr<DnnlRun>;

// The function as oneDNN has it; backward as ours, from the output.
struct Eltwise {
  algorithm forward, backward;
  float alpha = 0, beta = 0;
};

std::optional<Eltwise> eltwise_of(Act act) {
  switch (act) {
    case Act::none:
      return {};
    case Act::relu:
      return Eltwise{algorithm::eltwise_relu, algorithm::eltwise_relu_use_dst_for_bwd};
    case Act::relu6:  // the slope of clip_v2 is 0 at 6 too
      return Eltwise{algorithm::eltwise_clip_v2, algorithm::eltwise_clip_v2_use_dst_for_bwd, 0, 6};
    case Act::tanh:
      return Eltwise{algorithm::eltwise_tanh, algorithm::eltwise_tanh_use_dst_for_bwd};
    case Act::sigmoid:
      return Eltwise{algorithm::eltwise_logistic, algorithm::eltwise_logistic_use_dst_for_bwd};
  }
  return {};
}

auto eltwise_forward(Call& call, algorithm kind, const Eltwise& e, const memory::desc& map) {
  const auto training = prop_kind::forward_training;
#if DNNL_VERSION_MAJOR >= 3
  return cpu::forward_pd<dnnl::eltwise_forward>(
      engine_of(call), with_scratchpad(), training, kind, map, map, e.alpha, e.beta);
#else
  return cpu::forward_pd<dnnl::eltwise_forward>(
      engine_of(call), with_scratchpad(), training, kind, map, e.alpha, e.beta);
#endif
}

Run activation_run(Call& call, const Eltwise& e) {
  const memory::desc map = nhwc(call["y"].shape);
  if (!call["dx"]) {
    const auto pd = eltwise_forward(call, e.forward, e, map);
    return std::make_unique<DnnlRun>(call,
                                     dnnl::eltwise_forward(pd),
                                     pd,
                                     DnnlArgs{{DNNL_ARG_SRC, memory_of(call, "x", map)},
                                              {DNNL_ARG_DST, memory_of(call, "y", map)}});
  }
  const auto hint = eltwise_forward(call, e.backward, e, map);
#if DNNL_VERSION_MAJOR >= 3
  const auto pd = cpu::backward_pd<dnnl::eltwise_backward>(
      engine_of(call), with_scratchpad(), hint, e.backward, map, map, map, e.alpha, e.beta);
#else
  const auto pd = cpu::backward_pd<dnnl::eltwise_backward>(
      engine_of(call), with_scratchpad(), hint, e.backward, map, map, e.alpha, e.beta);
#endif
  return std::make_unique<DnnlRun>(call,
                                   dnnl::eltwise_backward(pd),
                                   pd,
                                   DnnlArgs{{DNNL_ARG_DST, memory_of(call, "y", map)},
                                            {DNNL_ARG_DIFF_DST, memory_of(call, "dy", map)},
                                            {DNNL_ARG_DIFF_SRC, memory_of(call, "dx", map)}});
}

constexpr int kFeatures = 1;  // the axis of a row

#if DNNL_VERSION_MAJOR >= 3
template <algorithm kKind>
struct Softmax {
  using Forward = dnnl::softmax_forward;
  using Backward = dnnl::softmax_backward;
  static auto forward(const dnnl::engine& engine, const memory::desc& rows) {
    return cpu::forward_pd<Forward>(
        engine, with_scratchpad(), prop_kind::forward_training, kKind, rows, rows, kFeatures);
  }
  static auto backward(const dnnl::engine& engine, const memory::desc& rows) {
    return cpu::backward_pd<Backward>(
        engine, with_scratchpad(), forward(engine, rows), kKind, rows, rows, rows, kFeatures);
  }
};
using PlainSoftmax = Softmax<algorithm::softmax_accurate>;
using LogSoftmax = Softmax<algorithm::softmax_log>;
#else
template <class ForwardOp, class BackwardOp>
struct Softmax {
  using Forward = ForwardOp;
  using Backward = BackwardOp;
  static auto forward(const dnnl::engine& engine, const memory::desc& rows) {
    return cpu::forward_pd<Forward>(
        engine, with_scratchpad(), prop_kind::forward_training, rows, kFeatures);
  }
  static auto backward(const dnnl::engine& engine, const memory::desc& rows) {
    return cpu::backward_pd<Backward>(
        engine, with_scratchpad(), forward(engine, rows), rows, rows, kFeatures);
  }
};
using PlainSoftmax = Softmax<dnnl::softmax_forward, dnnl::softmax_backward>;
using LogSoftmax = Softmax<dnnl::logsoftmax_forward, dnnl::logsoftmax_backward>;
#endif

template <class Op>
Run softmax_run(Call& call) {
  const Shape shape = call["y"].shape;
  const memory::desc rows(
      {shape.n, shape.per_sample()}, memory::data_type::f32, memory::format_tag::ab);
  const memory y = memory_of(call, "y", rows);
  if (!call["dx"]) {
    const auto pd = Op::forward(engine_of(call), rows);
    return std::make_unique<DnnlRun>(
        call,
        typename Op::Forward(pd),
        pd,
        DnnlArgs{{DNNL_ARG_SRC, memory_of(call, "x", rows)}, {DNNL_ARG_DST, y}});
  }
  const auto pd = Op::backward(engine_of(call), rows);
  return std::make_unique<DnnlRun>(call,
                                   typename Op::Backward(pd),
                                   pd,
                                   DnnlArgs{{DNNL_ARG_DST, y},
                                            {DNNL_ARG_DIFF_DST, memory_of(call, "dy", rows)},
                                            {DNNL_ARG_DIFF_SRC, memory_of(call, "dx", rows)}});
}

Run add_run(Call& call, const std::optional<Eltwise>& act) {
  const memory::desc map = nhwc(call["y"].shape);
  dnnl::primitive_attr attr = with_scratchpad();
  if (act) {
    dnnl::post_ops ops;
    cpu::append_eltwise(ops, act->forward, act->alpha, act->beta);
    attr.set_post_ops(ops);
  }
  const auto pd =
      cpu::forward_pd<dnnl::binary>(engine_of(call), attr, algorithm::binary_add, map, map, map);
  return std::make_unique<DnnlRun>(call,
                                   dnnl::binary(pd),
                                   pd,
                                   DnnlArgs{{DNNL_ARG_SRC_0, memory_of(call, "a", map)},
                                            {DNNL_ARG_SRC_1, memory_of(call, "b", map)},
                                            {DNNL_ARG_DST, memory_of(call, "y", map)}});
}

Run concat_run(Call& call) {
  constexpr int kChannels = 1;
  const memory::desc y = nhwc(call["y"].shape);
  std::vector<memory::desc> parts;
  DnnlArgs args{{DNNL_ARG_DST, memory_of(call, "y", y)}};
  for (int i = 0; const Tensor x = call[fmt::format("x{}", i)]; ++i) {
    parts.push_back(nhwc(x.shape));
    args[DNNL_ARG_MULTIPLE_SRC + i] = {parts.back(), engine_of(call), x.data};
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::concat::primitive_desc pd(engine_of(call), y, kChannels, parts, with_scratchpad());
#else
  const dnnl::concat::primitive_desc pd(y, kChannels, parts, engine_of(call), with_scratchpad());
#endif
  return std::make_unique<DnnlRun>(call, dnnl::concat(pd), pd, std::move(args));
}

Run upsample_run(Call& call) {
  const bool backward = static_cast<bool>(call["dx"]);
  const memory::desc x = nhwc(call[backward ? "dx" : "x"].shape),
                     y = nhwc(call[backward ? "dy" : "y"].shape);
  const auto linear = algorithm::resampling_linear;
  const auto pd = cpu::forward_pd<dnnl::resampling_forward>(
      engine_of(call), with_scratchpad(), prop_kind::forward_training, linear, x, y);
  if (!backward)
    return std::make_unique<DnnlRun>(
        call,
        dnnl::resampling_forward(pd),
        pd,
        DnnlArgs{{DNNL_ARG_SRC, memory_of(call, "x", x)}, {DNNL_ARG_DST, memory_of(call, "y", y)}});
  const auto back = cpu::backward_pd<dnnl::resampling_backward>(
      engine_of(call), with_scratchpad(), pd, linear, x, y);
  return std::make_unique<DnnlRun>(call,
                                   dnnl::resampling_backward(back),
                                   back,
                                   DnnlArgs{{DNNL_ARG_DIFF_DST, memory_of(call, "dy", y)},
                                            {DNNL_ARG_DIFF_SRC, memory_of(call, "dx", x)}});
}

}  // namespace

std::unique_ptr<Conv2d> conv2d_by_dnnl(Context& ctx, const Conv2dDesc& desc) {
  return cpu::make_conv2d_by(ctx, desc, cpu::Conv2dImpl::dnnl);
}

std::unique_ptr<Linear> linear_by_dnnl(Context& ctx, const LinearDesc& desc) {
  return cpu::make_linear_by(ctx, desc, cpu::LinearImpl::dnnl);
}

std::string dnnl_name() {
  const dnnl_version_t* const version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

void set_activation_peer(Problem& problem, Act act) {
  if (const auto eltwise = eltwise_of(act))
    set_dnnl_peer(problem, [e = *eltwise](Call& call) { return activation_run(call, e); });
}

void set_softmax_peer(Problem& problem, bool logarithm) {
  set_dnnl_peer(problem, [logarithm](Call& call) {
    return logarithm ? softmax_run<LogSoftmax>(call) : softmax_run<PlainSoftmax>(call);
  });
}

void set_add_peer(Problem& problem, const AddOpts& opts) {
  if (opts.scale != 1) return;
  set_dnnl_peer(problem, [act = eltwise_of(opts.act)](Call& call) { return add_run(call, act); });
}

void set_concat_peer(Problem& problem) {
  set_dnnl_peer(problem, [](Call& call) { return concat_run(call); });
}

void set_upsample_peer(Problem& problem) {
  set_dnnl_peer(problem, [](Call& call) { return upsample_run(call); });
}

}  // namespace lamina::suite
