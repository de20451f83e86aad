// Chooses what runs each pass of a convolution by timing all that can, once: the choice is kept in
// the plan cache, so that the next run computes the same bits.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <optional>

#include "engine/core/words.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"
#include "kernels/plan_cache.h"

namespace lamina::cpu {
namespace {

enum class ConvPass { forward, data, weights };

struct Candidate {
  Conv2dImpl impl;
  std::string_view name;  // in the cache
};
constexpr std::array kCandidates{Candidate{Conv2dImpl::dnnl, "oneDNN"},
                                 Candidate{Conv2dImpl::images, "images"},
                                 Candidate{Conv2dImpl::winograd, "Winograd"},
                                 Candidate{Conv2dImpl::taps, "taps"},
                                 Candidate{Conv2dImpl::groups, "groups"},
                                 Candidate{Conv2dImpl::widened, "f32"}};

// The convolution with this pass alone of the backward ones.
Conv2dDesc only(ConvPass pass, Conv2dDesc desc) {
  desc.backward_data = pass == ConvPass::data;
  desc.backward_weights = pass == ConvPass::weights;
  return desc;
}

bool can_run(Context& ctx, const Conv2dDesc& desc, Conv2dImpl impl) {
  if (desc.dtype == DType::bf16)
    return impl == Conv2dImpl::widened || (impl == Conv2dImpl::dnnl && multiplies_bf16());
  if (impl == Conv2dImpl::images) return images_conv2d_can_run(desc);
  if (impl == Conv2dImpl::winograd)
    return device_of(ctx).winograd() && winograd_conv2d_can_run(desc);
  if (impl == Conv2dImpl::taps) return taps_conv2d_can_run(desc);
  if (impl == Conv2dImpl::groups) return groups_conv2d_can_run(desc);
  return impl == Conv2dImpl::dnnl;
}

// The tensors of a step, all of one value: no kernel's time depends on it.
class Operands {
 public:
  Operands(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx),
        desc_(desc),
        x_(filled(desc.x.numel())),
        dx_(filled(desc.x.numel())),
        y_(filled(desc.y().numel())),
        dy_(filled(desc.y().numel())),
        w_(filled(desc.weights())),
        dw_(filled(desc.weights())),
        b_(filled(desc.k)),
        db_(filled(desc.k)) {}

  void run(Conv2d& plan, ConvPass pass, void* workspace) const {
    const Shape filters{desc_.k, desc_.r, desc_.s, desc_.x.c / desc_.groups};
    const auto view = [&](const Buffer& memory, const Shape& shape) {
      return Tensor{memory.data(), desc_.dtype, shape};
    };
    const auto bias = [&](const Buffer& memory) {
      return desc_.bias ? vector_view(memory.data(), desc_.dtype, desc_.k) : Tensor{};
    };
    const Tensor y = view(y_, desc_.y()), dy = view(dy_, desc_.y());
    if (pass == ConvPass::forward)
      plan.forward(view(x_, desc_.x), view(w_, filters), bias(b_), y, workspace);
    else if (pass == ConvPass::data)
      plan.backward_data(dy, view(w_, filters), view(dx_, desc_.x), workspace);
    else
      plan.backward_weights(view(x_, desc_.x), y, dy, view(dw_, filters), bias(db_), workspace);
  }

 private:
  Buffer filled(std::int64_t count) const {
    Buffer memory = ctx_.allocate(static_cast<std::size_t>(count) * size_of(desc_.dtype));
    visit_storage(desc_.dtype, [&]<class T>(T) {
      std::fill_n(static_cast<T*>(memory.data()), count, stored<T>(0.5f));
    });
    return memory;
  }

  Context& ctx_;
  Conv2dDesc desc_;
  Buffer x_, dx_, y_, dy_, w_, dw_, b_, db_;
};

// The least time of a few runs behind a first one; that of the first where it is hopeless.
double least_ms(Device& device, const std::function<void()>& body, double hopeless) {
  constexpr int kRuns = 5;
  constexpr double kEnough = 40;  // ms
  const double first = device.time_ms(body);
  if (first > hopeless) return first;
  double least = std::numeric_limits<double>::infinity(), spent = 0;
  for (int run = 0; run < kRuns && spent < kEnough; ++run) {
    const double ms = device.time_ms(body);
    least = std::min(least, ms);
    spent += ms;
  }
  return least;
}

Conv2dImpl fastest(Context& ctx,
                   const Operands& operands,
                   const Conv2dDesc& desc,
                   ConvPass pass,
                   Conv2dImpl usual) {
  constexpr double kMargin = 0.95;  // of the time of the usual choice: less is within the noise
  constexpr double kHopeless = 3;
  const auto time = [&](Conv2dImpl impl, double hopeless) {
    const auto plan = make_named_conv2d(ctx, desc, impl);
    const Buffer workspace = ctx.allocate(plan->workspace_bytes());
    return least_ms(
        ctx.device(), [&] { operands.run(*plan, pass, workspace.data()); }, hopeless);
  };
  double best = kMargin * time(usual, std::numeric_limits<double>::infinity());
  Conv2dImpl chosen = usual;
  for (const Candidate& candidate : kCandidates) {
    if (candidate.impl == usual || !can_run(ctx, desc, candidate.impl)) continue;
    const double ms = time(candidate.impl, kHopeless * best);
    if (ms >= best) continue;
    best = ms;
    chosen = candidate.impl;
  }
  return chosen;
}

std::string text_of(const Conv2dPasses& passes) {
  const auto name = [](Conv2dImpl impl) {
    return std::find_if(kCandidates.begin(),
                        kCandidates.end(),
                        [&](const Candidate& candidate) { return candidate.impl == impl; })
        ->name;
  };
  return fmt::format("{},{},{}", name(passes.forward), name(passes.data), name(passes.weights));
}

// Nothing for what no text_of() here has written.
std::optional<Conv2dPasses> passes_from(Context& ctx,
                                        const Conv2dDesc& desc,
                                        const std::string& text) {
  const std::vector<std::string_view> words = words_of(text);
  if (words.size() != 3) return std::nullopt;
  std::array<Conv2dImpl, 3> impls{};
  for (const ConvPass pass : {ConvPass::forward, ConvPass::data, ConvPass::weights}) {
    const auto index = static_cast<std::size_t>(pass);
    const auto found =
        std::find_if(kCandidates.begin(), kCandidates.end(), [&](const Candidate& candidate) {
          return candidate.name == words[index] && can_run(ctx, only(pass, desc), candidate.impl);
        });
    if (found == kCandidates.end()) return std::nullopt;
    impls[index] = found->impl;
  }
  return Conv2dPasses{.forward = impls[0], .data = impls[1], .weights = impls[2]};
}

}  // namespace

std::string conv2d_tuning_key(Context& ctx, const Conv2dDesc& d) {
  return fmt::format(
      "convolution, 2; {}; {}; {} lanes; Winograd {}; x {}; k {}, {}x{}; stride {}x{}; pad {}x{}; "
      "dilation {}x{}; groups {}; bias {}; activation {}; data {}, weights {}",
      name_of(d.dtype),
      device_of(ctx).describe(),
      kLanes,
      device_of(ctx).winograd(),
      d.x.to_string(),
      d.k,
      d.r,
      d.s,
      d.stride_h,
      d.stride_w,
      d.pad_h,
      d.pad_w,
      d.dilation_h,
      d.dilation_w,
      d.groups,
      d.bias,
      static_cast<int>(d.act),
      d.backward_data,
      d.backward_weights);
}

Conv2dPasses tuned_conv2d_passes(Context& ctx,
                                 const Conv2dDesc& desc,
                                 const Conv2dPasses& usual,
                                 PlanCache& cache) {
  const std::string key = conv2d_tuning_key(ctx, desc);
  if (const auto cached = cache.find(key)) {
    if (const auto passes = passes_from(ctx, desc, cached->engine)) return *passes;
  }
  const Operands operands(ctx, desc);
  const auto choose = [&](ConvPass pass, Conv2dImpl impl) {
    return fastest(ctx, operands, only(pass, desc), pass, impl);
  };
  Conv2dPasses passes = usual;
  passes.forward = choose(ConvPass::forward, usual.forward);
  passes.data = desc.backward_data ? choose(ConvPass::data, usual.data) : passes.forward;
  passes.weights =
      desc.backward_weights ? choose(ConvPass::weights, usual.weights) : passes.forward;
  cache.keep(key, {.engine = text_of(passes)});
  return passes;
}

}  // namespace lamina::cpu
