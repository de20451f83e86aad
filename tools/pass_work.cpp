// SPDX-License-Identifier: Apache-2.0
#include "tools/pass_work.h"

#include <algorithm>

#include "kernels/suite/measure.h"

namespace lamina::cli {

namespace {

double bytes_of(const std::vector<Tensor>& tensors) {
  double sum = 0;
  for (const Tensor& tensor : tensors)
    if (tensor) sum += static_cast<double>(tensor.bytes());
  return sum;
}

// Of one product of the layer's matrices with y or dy.
double flops_of(const Node& node, const Bound& t) {
  double flops = 0;
  for (const ParamSpec& spec : node.layer->params(std::vector<Shape>{t.x[0].shape}))
    if (spec.is_matrix())
      flops += 2 * static_cast<double>(spec.numel() * t.y.numel() / t.y.shape.c);
  return flops;
}

PassWork work_of(const Node& node, const Bound& t, std::string_view pass) {
  const auto y = static_cast<double>(t.y.bytes());
  PassWork work{.flops = flops_of(node, t)};
  if (pass == "recompute") return {.bytes = bytes_of(t.x) + y};
  if (pass == "forward") {
    work.bytes = bytes_of(t.x) + bytes_of(t.p) + y;
    return work;
  }
  work.bytes = static_cast<double>(t.dy.bytes());
  if (pass != "backward weights") work.bytes += bytes_of(t.p) + bytes_of(t.dx);
  if (pass == "backward data") return work;
  work.bytes += bytes_of(t.dp);
  if (node.layer->backward_reads_y()) work.bytes += y;
  for (std::size_t i = 0; i < t.x.size(); ++i)
    if (node.layer->backward_reads_x(i)) work.bytes += static_cast<double>(t.x[i].bytes());
  return work;
}

}  // namespace

PassWork work_of(const Program& program, const std::string& layer, std::string_view pass) {
  const auto& nodes = program.graph().nodes();
  const auto node =
      std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == layer; });
  if (node == nodes.end()) return {};
  const auto index = static_cast<std::size_t>(node - nodes.begin());
  return work_of(*node, program.tensors_of(index), pass);
}

double Ceilings::floor_ms(const PassWork& work) const {
  return std::max(work.bytes / gbps / 1e6, work.flops / tflops / 1e9);
}

Ceilings measure_ceilings(Context& ctx, DType dtype) {
  suite::Stopwatch watch(ctx);
  return {.gbps = watch.copy_gbps(), .tflops = watch.matmul_tflops(dtype)};
}

}  // namespace lamina::cli
