// Calls of cuDNN and of its graph interface, with their errors turned into ours.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cudnn.h"

#include <cudnn.h>
#include <cudnn_frontend.h>

namespace lamina::cuda {

namespace fe = cudnn_frontend;

void cudnn_failed(int status, const char* expression, const char* file, int line) {
  char detail[512] = "";
  cudnnGetLastErrorString(detail, sizeof(detail));
  const char* const text = cudnnGetErrorString(static_cast<cudnnStatus_t>(status));
  throw Error(ErrorKind::failure,
              fmt::format("cuDNN failed: {}.", text),
              {expression, file, line, "cuDNN", status, fmt::format("{}; {}", text, detail)});
}

namespace {

// The graph interface answers with a code of its own and a text.
void check(const fe::error_t& error, const char* what) {
  if (error.is_good()) return;
  throw Error(ErrorKind::failure,
              fmt::format("cuDNN failed to {}: {}", what, error.err_msg),
              {what, __FILE__, __LINE__, "cuDNN", static_cast<int>(error.code), error.err_msg});
}

// Which engines a plan may not use.
void deselect(fe::graph::Graph& graph, DType dtype, F32Math f32) {
  using Note = fe::NumericalNote_t;
  graph.deselect_numeric_notes({Note::NONDETERMINISTIC, Note::REDUCED_PRECISION_REDUCTION});
  // Tensor cores know no f32: they would take it as TF32.
  if (dtype == DType::f32 && f32 == F32Math::exact)
    graph.deselect_numeric_notes({Note::TENSOR_CORE, Note::DOWN_CONVERT_INPUTS});
}

// The steps that the graph interface wants, in its order, but for check_support(): that asks the
// driver for a device, and build_plans() looks at each engine's support anyway.
fe::error_t build(fe::graph::Graph& graph, const CudnnTarget& target, DType dtype) {
  if (auto error = graph.validate(); error.is_bad()) return error;
  if (target.properties) graph.set_device_properties(target.properties);
  if (auto error = graph.build_operation_graph(target.handle); error.is_bad()) return error;
  if (auto error = graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
      error.is_bad())
    return error;
  deselect(graph, dtype, target.f32);
  return graph.build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE);
}

// What cuDNN says when it has no engine is a line for each engine and each of its rooms; the first
// reason among them is the one to start from. CUDNN_LOGLEVEL_DBG=2 shows all.
std::string first_reason(const std::string& text) {
  constexpr std::string_view mark = "Reason: ";
  const std::size_t found = text.find(mark);
  const std::size_t start = found == std::string::npos ? 0 : found + mark.size();
  return text.substr(start, text.find('\n', start) - start);
}

}  // namespace

CudnnTarget cudnn_target_of(Context& ctx) {
  auto* const device = dynamic_cast<CudnnDevice*>(&ctx.device());
  LAMINA_CHECK(device != nullptr, "cuDNN: {} is no CUDA device.", ctx.device().describe());
  return device->cudnn_target();
}

cudnnContext* cudnn_of(Context& ctx) { return cudnn_target_of(ctx).handle; }

CudnnTarget described_target(const std::string& json, F32Math f32) {
  auto properties = std::make_shared<fe::DeviceProperties>();
  check(properties->deserialize({json.begin(), json.end()}), "read the description of a device");
  return {.handle = nullptr, .properties = std::move(properties), .f32 = f32};
}

CudnnPlan::CudnnPlan(const CudnnTarget& target,
                     DType dtype,
                     std::shared_ptr<fe::graph::Graph> graph) {
  if (const auto error = build(*graph, target, dtype); error.is_bad()) {
    why_not_ = first_reason(error.err_msg);
    return;
  }
  std::int64_t bytes = 0;
  check(graph->get_workspace_size(bytes), "tell the workspace of a plan");
  check(graph->get_plan_name(engine_), "name the engine of a plan");
  workspace_bytes_ = static_cast<std::size_t>(bytes);
  graph_ = std::move(graph);
}

void CudnnPlan::run(cudnnContext* handle, Pointers tensors, void* workspace) const {
  for (const auto& [uid, data] : tensors) {
    LAMINA_CHECK(reinterpret_cast<std::uintptr_t>(data) % kAlignment == 0,
                 "cuDNN: tensor {} of plan {} lies at {}; it must start at a multiple of {} bytes.",
                 uid,
                 engine_,
                 data,
                 kAlignment);
  }
  LAMINA_CHECK(handle != nullptr, "cuDNN: a plan made for a described device cannot run.");
  check(graph_->execute(handle, tensors, workspace), "run a plan");
}

}  // namespace lamina::cuda
