// What the cuda room asks of cuDNN: checked calls, the device that plans are made for, and plans.
// Our own declarations only, so that no op has to read cuDNN's headers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/core/context.h"

struct cudnnContext;  // cudnnHandle_t is a pointer to it

namespace cudnn_frontend {
class DeviceProperties;
namespace graph {
class Graph;
}
}  // namespace cudnn_frontend

namespace lamina {
class PlanCache;
}

namespace lamina::cuda {

// How f32 tensors are multiplied. tf32 rounds the factors to 10 bits of mantissa for the tensor
// cores; exact keeps all 23.
enum class F32Math { exact, tf32 };

// What it takes to choose plans by their time: make_plan_timer() on a GPU.
class PlanTimer {
 public:
  using Run = std::function<void()>;  // asynchronous

  virtual ~PlanTimer() = default;
  virtual Buffer zeros(std::size_t bytes) = 0;
  virtual double milliseconds(const Run& run) = 0;  // throws what `run` throws
};

// What plans are made for: the device at hand, or one that is only described.
struct CudnnTarget {
  cudnnContext* handle = nullptr;  // null: plans can be made, not run
  std::shared_ptr<const cudnn_frontend::DeviceProperties> properties;  // null: ask the handle
  F32Math f32 = F32Math::exact;
  std::string device;  // all that a plan depends on of the device and its driver: a part of keys
  PlanCache* cache = nullptr;  // null: none
  PlanTimer* timer = nullptr;  // null: plans are chosen by cuDNN's heuristics
};

// What a device of the cuda room is besides a Device.
class CudnnDevice {
 public:
  virtual ~CudnnDevice() = default;
  virtual CudnnTarget cudnn_target() = 0;
};
CudnnTarget cudnn_target_of(Context& ctx);
cudnnContext* cudnn_of(Context& ctx);  // its handle, set to the context's stream

// The device that `json` describes, in the form that cuDNN itself writes (tests/cuda/devices).
// Without a cache and a timer.
CudnnTarget described_target(const std::string& json, F32Math f32 = F32Math::exact);

// One graph of operations, compiled for one device by the engine chosen for it.
class CudnnPlan {
 public:
  // What graphs should say of their tensors, in bytes. With less, cuDNN leaves out engines that
  // load 16 bytes at once; more brings no others.
  static constexpr std::int64_t kAlignment = 16;

  // Where the tensors of a run lie, by the uid the graph gave them.
  using Pointers = std::unordered_map<std::int64_t, void*>;

  CudnnPlan() = default;
  // Takes the plan from the target's cache, or chooses one and keeps it there. Candidates are those
  // of heuristics A, then the fallback list; the first that can be built is taken, or with a timer
  // the one that runs fastest. Engines that do not repeat bit for bit or add up in less than f32
  // are never taken. When none is left the plan is empty and says why.
  // `dtype` is that of all the tensors that the graph reads and writes.
  CudnnPlan(const CudnnTarget& target,
            DType dtype,
            std::shared_ptr<cudnn_frontend::graph::Graph> graph);

  explicit operator bool() const { return graph_ != nullptr; }
  const std::string& why_not() const { return why_not_; }
  const std::string& engine() const { return engine_; }  // "eng41_k2=10_k3=0"
  std::size_t workspace_bytes() const { return workspace_bytes_; }

  // Asynchronous on the handle's stream.
  void run(cudnnContext* handle, Pointers tensors, void* workspace) const;

 private:
  std::shared_ptr<cudnn_frontend::graph::Graph> graph_;
  std::string engine_, why_not_;
  std::size_t workspace_bytes_ = 0;
};

[[noreturn]] void cudnn_failed(int status, const char* expression, const char* file, int line);

}  // namespace lamina::cuda

// Throws when a call of cuDNN's C interface fails.
#define LAMINA_CUDNN_CHECK(expression)                                              \
  do {                                                                              \
    if (const int lamina_status = static_cast<int>(expression); lamina_status != 0) \
      ::lamina::cuda::cudnn_failed(lamina_status, #expression, __FILE__, __LINE__); \
  } while (false)
