// Calls of cuDNN and of its graph interface, with their errors turned into ours.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cudnn.h"

#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <cudnn_frontend.h>

#include <optional>

#include "kernels/cuda/cublaslt.h"
#include "kernels/plan_cache.h"

namespace lamina::cuda {

namespace fe = cudnn_frontend;
using GraphRef = std::shared_ptr<fe::graph::Graph>;

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

// Which engines a plan may not use. What changes here wants another kRules below.
void deselect(fe::graph::Graph& graph, DType dtype, F32Math f32) {
  using Note = fe::NumericalNote_t;
  graph.deselect_numeric_notes({Note::NONDETERMINISTIC, Note::REDUCED_PRECISION_REDUCTION});
  // Tensor cores know no f32: they would take it as TF32.
  if (dtype == DType::f32 && f32 == F32Math::exact)
    graph.deselect_numeric_notes({Note::TENSOR_CORE, Note::DOWN_CONVERT_INPUTS});
}

// The steps that the graph interface wants behind validate(), in its order, but for
// check_support(): that asks the driver for a device, and build_plans() looks at each engine's
// support anyway.
fe::error_t build(fe::graph::Graph& graph, const CudnnTarget& target, DType dtype) {
  if (target.properties) graph.set_device_properties(target.properties);
  if (auto error = graph.build_operation_graph(target.handle); error.is_bad()) return error;
  if (auto error = graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
      error.is_bad())
    return error;
  deselect(graph, dtype, target.f32);
  return graph.build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE);
}

// Memory for each tensor of a graph whose plans are built.
class TuningTensors {
 public:
  TuningTensors(const fe::graph::Graph& graph, DType dtype, PlanTimer& timer) {
    for (const std::int64_t uid : graph.get_variant_pack_uids_sorted()) {
      fe::graph::Tensor_attributes tensor;
      check(graph.query_tensor_attributes_of_uid(uid, tensor), "tell the size of a tensor");
      std::size_t bytes = size_of(dtype);  // our tensors are dense
      for (const std::int64_t dim : tensor.get_dim()) bytes *= static_cast<std::size_t>(dim);
      pointers_[uid] = buffers_.emplace_back(timer.zeros(bytes)).data();
    }
  }
  CudnnPlan::Pointers& pointers() { return pointers_; }

 private:
  std::vector<Buffer> buffers_;
  CudnnPlan::Pointers pointers_;
};

// Makes the fastest plan of a built graph its choice; of two as fast, the earlier. A plan that does
// not run here, for want of memory to begin with, is passed over.
void choose_fastest(fe::graph::Graph& graph, const CudnnTarget& target, DType dtype) {
  TuningTensors tensors(graph, dtype, *target.timer);
  std::optional<std::int64_t> fastest;
  double least = 0;
  std::string reason;
  for (std::int64_t plan = 0; plan < graph.get_execution_plan_count(); ++plan) {
    if (graph.build_plan_at_index(plan).is_bad()) continue;  // one of those deselected, or unfit
    try {
      std::int64_t bytes = 0;
      check(graph.get_workspace_size_plan_at_index(plan, bytes), "tell the workspace of a plan");
      const Buffer workspace = target.timer->zeros(static_cast<std::size_t>(bytes));
      const double time = target.timer->milliseconds([&] {
        check(
            graph.execute_plan_at_index(target.handle, tensors.pointers(), workspace.data(), plan),
            "run a plan");
      });
      if (!fastest || time < least) fastest = plan, least = time;
    } catch (const Error& error) {
      reason = error.what();
    }
  }
  if (!fastest) fail("none of cuDNN's plans could be timed: {}", reason);
  check(graph.build_plan_at_index(*fastest), "choose a plan");
}

// Releases of the graph interface after 1.23 have options for writing a plan down and taking it
// back. What is left out here 1.23 does not do.
template <class Graph>
fe::error_t write_down(const Graph& graph, std::vector<std::uint8_t>& bytes) {
  if constexpr (requires { graph.serialize(bytes, false); })
    return graph.serialize(bytes, false);
  else
    return graph.serialize(bytes);
}

template <class Graph>
fe::error_t take_back(Graph& graph, cudnnHandle_t handle, const std::vector<std::uint8_t>& bytes) {
  // The warm-up would record the plan once; a plan that was just made has none either.
  constexpr bool precompiled_only = false, warm_up = false;
  if constexpr (requires { graph.deserialize(handle, bytes, precompiled_only, warm_up); })
    return graph.deserialize(handle, bytes, precompiled_only, warm_up);
  else
    return graph.deserialize(handle, bytes);
}

// Empty where cuDNN cannot write the plan down.
std::vector<std::uint8_t> serialised(const fe::graph::Graph& graph) {
  std::vector<std::uint8_t> bytes;
  try {
    if (write_down(graph, bytes).is_bad()) bytes.clear();
  } catch (const fe::cudnnException&) {
    bytes.clear();
  }
  return bytes;
}

// Empty where cuDNN does not take the plan back.
GraphRef deserialised(const std::vector<std::uint8_t>& bytes, const CudnnTarget& target) {
  auto graph = std::make_shared<fe::graph::Graph>();
  try {
    if (target.properties) {
      graph->set_device_properties(target.properties);
      return graph->deserialize(bytes).is_good() ? graph : nullptr;
    }
    return take_back(*graph, target.handle, bytes).is_good() ? graph : nullptr;
  } catch (const std::exception&) {
    return nullptr;  // the graph interface throws on a field that is missing
  }
}

// All that the choice of a plan depends on, as text. The graph tells its operations and tensors
// itself, so that no field of an op's description can be forgotten.
std::string key_of(const fe::graph::Graph& graph, const CudnnTarget& target, DType dtype) {
  constexpr int kRules = 1;  // counts up when plans are chosen or serialised otherwise
  nlohmann::json operations;
  graph.serialize(operations);
  operations.erase("gid");  // counts the graphs of this process
  return fmt::format(
      "rules {}\ndevice {}\ncuDNN {}\ncudnn-frontend {}\nCUDA {}\ndtype {}\nf32 {}\n"
      "engines deterministic\nchosen by {}\ngraph {}",
      kRules,
      target.device,
      cudnnGetVersion(),
      CUDNN_FRONTEND_VERSION,
      CUDART_VERSION,  // the runtime is linked statically
      name_of(dtype),
      target.f32 == F32Math::tf32 ? "tf32" : "exact",
      target.timer != nullptr ? "time" : "heuristics",
      operations.dump());
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
  cublaslt_library();
  auto properties = std::make_shared<fe::DeviceProperties>();
  check(properties->deserialize({json.begin(), json.end()}), "read the description of a device");
  return {.handle = nullptr, .properties = std::move(properties), .f32 = f32, .device = json};
}

CudnnPlan::CudnnPlan(const CudnnTarget& target, DType dtype, GraphRef graph) {
  fe::error_t error = graph->validate();
  std::string key;
  if (error.is_good() && target.cache != nullptr) {
    key = key_of(*graph, target, dtype);
    if (const auto cached = target.cache->find(key)) {
      graph_ = deserialised(cached->bytes, target);
      engine_ = cached->engine;
    }
  }
  if (!graph_) {
    if (error.is_good()) error = build(*graph, target, dtype);
    if (error.is_bad()) {
      why_not_ = first_reason(error.err_msg);
      return;
    }
    if (target.timer != nullptr) choose_fastest(*graph, target, dtype);
    check(graph->get_plan_name(engine_), "name the engine of a plan");
    if (target.cache != nullptr || target.timer != nullptr) {
      const CachedPlan chosen{engine_, serialised(*graph)};
      if (target.cache != nullptr && !chosen.bytes.empty()) target.cache->keep(key, chosen);
      // Brought back, the fastest is without the plans that it was compared with.
      if (target.timer != nullptr) graph_ = deserialised(chosen.bytes, target);
    }
    if (!graph_) graph_ = std::move(graph);
  }
  std::int64_t bytes = 0;
  check(graph_->get_workspace_size(bytes), "tell the workspace of a plan");
  workspace_bytes_ = static_cast<std::size_t>(bytes);
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
