// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/net_layers.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "engine/graph/fuse.h"
#include "kernels/add.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/dropout.h"
#include "kernels/linear.h"
#include "kernels/lrn.h"
#include "kernels/pool.h"
#include "nets/registry.h"

namespace lamina::cli {
namespace {

// Of one tensor; the first linear layer of a VGG has a hundred million weights.
constexpr std::int64_t kMostElements = 20'000'000;
constexpr std::int64_t kLargeSample = 3 * 128 * 128;  // elements of an image

// All that the options of a kernel say, to tell equal layers by.
std::string text_of(const std::any& opts) {
  if (const auto* d = std::any_cast<Conv2dDesc>(&opts))
    return fmt::format("{} {}x{} {},{} {},{} {},{} {} {} {}",
                       d->k,
                       d->r,
                       d->s,
                       d->stride_h,
                       d->stride_w,
                       d->pad_h,
                       d->pad_w,
                       d->dilation_h,
                       d->dilation_w,
                       d->groups,
                       d->bias,
                       name_of(d->act));
  if (const auto* d = std::any_cast<LinearDesc>(&opts))
    return fmt::format("{} {} {}", d->k, d->bias, name_of(d->act));
  if (const auto* o = std::any_cast<BatchNormOpts>(&opts))
    return fmt::format("{} {} {}", o->eps, o->momentum, name_of(o->act));
  if (const auto* o = std::any_cast<PoolOpts>(&opts))
    return fmt::format("{}x{} {},{} {},{} {} {}",
                       o->r,
                       o->s,
                       o->stride_h,
                       o->stride_w,
                       o->pad_h,
                       o->pad_w,
                       o->ceil_mode,
                       o->count_include_pad);
  if (const auto* o = std::any_cast<AddOpts>(&opts))
    return fmt::format("{} {}", name_of(o->act), o->scale);
  if (const auto* o = std::any_cast<DropoutOpts>(&opts)) return fmt::format("{}", o->p);
  if (const auto* o = std::any_cast<LrnOpts>(&opts))
    return fmt::format("{} {} {} {}", o->size, o->alpha, o->beta, o->k);
  if (const auto* act = std::any_cast<Act>(&opts)) return std::string(name_of(*act));
  return {};
}

std::string signature(const KernelWork& work, const std::vector<Shape>& x, const Shape& y) {
  std::string text = work.op;
  for (const Shape& shape : x) text += " " + shape.to_string();
  return text + " " + y.to_string() + " " + text_of(work.opts);
}

// The largest tensor of the layer, its weights among them.
std::int64_t largest(const Layer& layer, const std::vector<Shape>& x, const Shape& y) {
  std::int64_t most = y.numel();
  for (const Shape& shape : x) most = std::max(most, shape.numel());
  for (const ParamSpec& spec : layer.params(x)) most = std::max(most, spec.numel());
  return most;
}

}  // namespace

void add_net_layers(suite::Suite& suite, const CaseFlags& flags) {
  std::map<std::string, std::vector<suite::LayerCase>> layers;  // by op
  std::set<std::string> seen;
  for (const NetInfo& net : lamina::nets()) {
    if (!any_matches(flags.nets, net.id)) continue;
    const Graph graph = fuse(net.build({}));
    const std::int64_t sample = graph.shape(graph.input()).numel();
    const std::int64_t batch = flags.batch > 0 ? flags.batch : sample >= kLargeSample ? 1 : 2;
    for (const Node& node : graph.nodes()) {
      const std::vector<Shape> x = graph.input_shapes(node, batch);
      const Shape y = graph.shape(node.output).with_n(batch);
      const KernelWork work = node.layer->kernel(x);
      if (work.op.empty() || node.layer->is_view(Mode::train) ||
          !any_matches(flags.layers, node.name))
        continue;
      if (flags.nets.empty() && (largest(*node.layer, x, y) > kMostElements ||
                                 !seen.insert(signature(work, x, y)).second))
        continue;
      layers[work.op].push_back(
          {fmt::format("{}/{}@{}", net.id, node.name, batch), x, y, work.opts});
    }
  }
  for (auto& [op, cases] : layers) {
    const auto check = suite.layer_check(op);
    LAMINA_CHECK(check != nullptr, "kernels/suite has no cases for the layers of {}.", op);
    suite.add({suite.file_of(op),
               suite::kLayersOfNets,
               [check, list = std::move(cases)](suite::Table& table) {
                 for (const suite::LayerCase& layer : list) check(table, layer);
               }});
  }
}

}  // namespace lamina::cli
