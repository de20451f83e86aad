// oneDNN's peers of the ops with statistics or windows: batch normalisation, pooling, LRN. Their
// backward passes read what oneDNN's forward pass has kept in a format of its own, so that pass is
// run once, before anything is measured.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/suite/dnnl_run.h"

namespace lamina::suite {
namespace {

using dnnl::memory;
using dnnl::prop_kind;
using Run = std::unique_ptr<DnnlRun>;

// Version 2 wants one description for tensors of one shape, version 3 one for each.

auto norm_forward(const dnnl::engine& engine,
                  prop_kind kind,
                  const memory::desc& map,
                  const BatchNormOpts& opts,
                  dnnl::normalization_flags flags) {
  using Forward = dnnl::batch_normalization_forward;
  const auto eps = static_cast<float>(opts.eps);
#if DNNL_VERSION_MAJOR >= 3
  return cpu::forward_pd<Forward>(engine, with_scratchpad(), kind, map, map, eps, flags);
#else
  return cpu::forward_pd<Forward>(engine, with_scratchpad(), kind, map, eps, flags);
#endif
}

template <class Hint>
auto norm_backward(const dnnl::engine& engine,
                   const Hint& hint,
                   const memory::desc& map,
                   const BatchNormOpts& opts,
                   dnnl::normalization_flags flags) {
  using Backward = dnnl::batch_normalization_backward;
  const auto eps = static_cast<float>(opts.eps);
  const auto attr = with_scratchpad();
#if DNNL_VERSION_MAJOR >= 3
  return cpu::backward_pd<Backward>(
      engine, attr, hint, prop_kind::backward, map, map, map, eps, flags);
#else
  return cpu::backward_pd<Backward>(engine, attr, hint, prop_kind::backward, map, map, eps, flags);
#endif
}

Run batch_norm_run(Call& call, const BatchNormOpts& opts, const std::string& pass) {
  const dnnl::engine& engine = engine_of(call);
  const memory::desc map = nhwc(call["x"].shape), vector = vector_of(call["x"].shape.c);
  using Flags = dnnl::normalization_flags;
  Flags flags = Flags::use_scale | Flags::use_shift;
  if (opts.act == Act::relu) flags |= Flags::fuse_norm_relu;
  const bool frozen = pass == "frozen" || pass == "infer";
  if (frozen) flags |= Flags::use_global_stats;
  const bool backward = pass == "backward" || pass == "frozen";
  const auto tensor = [&](const char* name) { return memory_of(call, name, map); };
  const auto numbers = [&](const char* name) { return memory_of(call, name, vector); };
  const auto own = [&](const memory::desc& desc) { return own_memory(call, desc); };

  const auto pd =
      norm_forward(engine,
                   pass == "infer" ? prop_kind::forward_inference : prop_kind::forward_training,
                   map,
                   opts,
                   flags);
  DnnlArgs args{{DNNL_ARG_SRC, tensor("x")},
                {DNNL_ARG_SCALE, numbers("gamma")},
                {DNNL_ARG_SHIFT, numbers("beta")},
                {DNNL_ARG_DST, backward ? own(map) : tensor("y")},
                {DNNL_ARG_MEAN,
                 frozen     ? numbers("running_mean")
                 : backward ? own(vector)
                            : numbers("mean")},
                {DNNL_ARG_VARIANCE, frozen ? numbers("running_var") : own(vector)}};
  if (pd.workspace_desc().get_size() > 0) args[DNNL_ARG_WORKSPACE] = own(pd.workspace_desc());
  const dnnl::batch_normalization_forward forward(pd);
  if (!backward) return std::make_unique<DnnlRun>(call, forward, pd, args);

  DnnlRun(call, forward, pd, args).run();
  args.erase(DNNL_ARG_DST);
#if DNNL_VERSION_MAJOR >= 3
  args.erase(DNNL_ARG_SHIFT);  // an argument too many is an error, as is one too few
#endif
  args[DNNL_ARG_DIFF_DST] = tensor("dy");
  args[DNNL_ARG_DIFF_SRC] = tensor("dx");
  args[DNNL_ARG_DIFF_SCALE] = numbers("dgamma");
  args[DNNL_ARG_DIFF_SHIFT] = numbers("dbeta");
  const auto back = norm_backward(engine, pd, map, opts, flags);
  return std::make_unique<DnnlRun>(
      call, dnnl::batch_normalization_backward(back), back, std::move(args));
}

#if DNNL_VERSION_MAJOR >= 3
using PoolForward = dnnl::pooling_forward;
using PoolBackward = dnnl::pooling_backward;
#else
using PoolForward = dnnl::pooling_v2_forward;
using PoolBackward = dnnl::pooling_v2_backward;
#endif

// Padding behind the last element, so that a window the ceiling has added fits.
std::int64_t pad_behind(
    std::int64_t in, std::int64_t out, std::int64_t window, std::int64_t stride, std::int64_t pad) {
  return std::max(pad, (out - 1) * stride + window - in - pad);
}

struct Windows {
  memory::dims stride, size, before, behind, dilation{0, 0};

  Windows(const PoolOpts& o, const Shape& x, const Shape& y)
      : stride{o.stride_h, o.stride_w},
        size{o.r, o.s},
        before{o.pad_h, o.pad_w},
        behind{pad_behind(x.h, y.h, o.r, o.stride_h, o.pad_h),
               pad_behind(x.w, y.w, o.s, o.stride_w, o.pad_w)} {}
};

// oneDNN keeps the winners as we do: the offset in the window, a byte where that is enough.
memory winners_of(Call& call, const memory::desc& kept) {
  const char* const name = call["winners"] ? "winners" : "idx";
  const memory::desc ours = nhwc(call[name].shape, memory::data_type::u8);
  LAMINA_CHECK(kept == ours, "this oneDNN keeps the winners of a pooling in another format.");
  return memory_of(call, name, ours);
}

Run pool_run(Call& call, const PoolOpts& opts, dnnl::algorithm kind) {
  const dnnl::engine& engine = engine_of(call);
  const bool backward = static_cast<bool>(call["dx"]), max = kind == dnnl::algorithm::pooling_max;
  const Shape x_shape = call[backward ? "dx" : "x"].shape,
              y_shape = call[backward ? "dy" : "y"].shape;
  const memory::desc x = nhwc(x_shape), y = nhwc(y_shape);
  const Windows w(opts, x_shape, y_shape);
  const bool training = backward || call["idx"];
  const auto attr = with_scratchpad();
  const auto pd = cpu::forward_pd<PoolForward>(
      engine,
      attr,
      training ? prop_kind::forward_training : prop_kind::forward_inference,
      kind,
      x,
      y,
      w.stride,
      w.size,
      w.dilation,
      w.before,
      w.behind);
  DnnlArgs args;
  if (max && training) args[DNNL_ARG_WORKSPACE] = winners_of(call, pd.workspace_desc());
  if (!backward) {
    args[DNNL_ARG_SRC] = memory_of(call, "x", x);
    args[DNNL_ARG_DST] = memory_of(call, "y", y);
    return std::make_unique<DnnlRun>(call, PoolForward(pd), pd, std::move(args));
  }
  args[DNNL_ARG_DIFF_DST] = memory_of(call, "dy", y);
  args[DNNL_ARG_DIFF_SRC] = memory_of(call, "dx", x);
  const auto back = cpu::backward_pd<PoolBackward>(
      engine, attr, pd, kind, x, y, w.stride, w.size, w.dilation, w.before, w.behind);
  return std::make_unique<DnnlRun>(call, PoolBackward(back), back, std::move(args));
}

void set_pool_peer(Problem& problem, const PoolOpts& opts, dnnl::algorithm kind) {
  set_dnnl_peer(problem, [opts, kind](Call& call) { return pool_run(call, opts, kind); });
}

Run lrn_run(Call& call, const LrnOpts& opts) {
  const dnnl::engine& engine = engine_of(call);
  const memory::desc map = nhwc(call["x"].shape);
  const auto attr = with_scratchpad();
  const auto kind = dnnl::algorithm::lrn_across_channels;
  const auto training = prop_kind::forward_training;
  const auto alpha = static_cast<float>(opts.alpha), beta = static_cast<float>(opts.beta),
             k = static_cast<float>(opts.k);
  const bool backward = static_cast<bool>(call["dx"]);
#if DNNL_VERSION_MAJOR >= 3
  const auto pd = cpu::forward_pd<dnnl::lrn_forward>(
      engine, attr, training, kind, map, map, opts.size, alpha, beta, k);
#else
  const auto pd = cpu::forward_pd<dnnl::lrn_forward>(
      engine, attr, training, kind, map, opts.size, alpha, beta, k);
#endif
  DnnlArgs args{{DNNL_ARG_SRC, memory_of(call, "x", map)},
                {DNNL_ARG_DST, backward ? own_memory(call, map) : memory_of(call, "y", map)}};
  if (pd.workspace_desc().get_size() > 0)
    args[DNNL_ARG_WORKSPACE] = own_memory(call, pd.workspace_desc());
  if (!backward) return std::make_unique<DnnlRun>(call, dnnl::lrn_forward(pd), pd, std::move(args));

  DnnlRun(call, dnnl::lrn_forward(pd), pd, args).run();
  args.erase(DNNL_ARG_DST);
  args[DNNL_ARG_DIFF_DST] = memory_of(call, "dy", map);
  args[DNNL_ARG_DIFF_SRC] = memory_of(call, "dx", map);
#if DNNL_VERSION_MAJOR >= 3
  const auto back = cpu::backward_pd<dnnl::lrn_backward>(
      engine, attr, pd, kind, map, map, map, opts.size, alpha, beta, k);
#else
  const auto back = cpu::backward_pd<dnnl::lrn_backward>(
      engine, attr, pd, kind, map, map, opts.size, alpha, beta, k);
#endif
  return std::make_unique<DnnlRun>(call, dnnl::lrn_backward(back), back, std::move(args));
}

}  // namespace

void set_batch_norm_peer(Problem& problem, const BatchNormOpts& opts) {
  const bool shortcut = std::any_of(problem.slots.begin(),
                                    problem.slots.end(),
                                    [](const Slot& slot) { return slot.name == "z"; });
  if (shortcut || (opts.act != Act::none && opts.act != Act::relu)) return;
  set_dnnl_peer(problem, [opts, pass = problem.pass](Call& call) {
    return batch_norm_run(call, opts, pass);
  });
}

void set_max_pool_peer(Problem& problem, const PoolOpts& opts) {
  if (opts.r * opts.s > 255) return;  // oneDNN would keep the winners in four bytes
  set_pool_peer(problem, opts, dnnl::algorithm::pooling_max);
}

void set_avg_pool_peer(Problem& problem, const PoolOpts& opts) {
  const Shape& x = problem.slot("x").shape;
  const Shape y = pool_output(opts, x);
  const Windows w(opts, x, y);
  // A window that the ceiling has added reaches beyond the padding, which alone counts.
  if (opts.count_include_pad && w.before != w.behind) return;
  set_pool_peer(problem,
                opts,
                opts.count_include_pad ? dnnl::algorithm::pooling_avg_include_padding
                                       : dnnl::algorithm::pooling_avg_exclude_padding);
}

void set_adaptive_pool_peer(Problem& problem) {
  const Shape x = problem.slot("x").shape, y = problem.slot("y").shape;
  if (x.h % y.h != 0 || x.w % y.w != 0) return;
  const std::int64_t r = x.h / y.h, s = x.w / y.w;
  set_pool_peer(problem,
                {.r = r, .s = s, .stride_h = r, .stride_w = s},
                dnnl::algorithm::pooling_avg_include_padding);
}

void set_lrn_peer(Problem& problem, const LrnOpts& opts) {
  if (opts.size != 5) return;
  set_dnnl_peer(problem, [opts](Call& call) { return lrn_run(call, opts); });
}

}  // namespace lamina::suite
