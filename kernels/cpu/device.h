// The device behind the `cpu` backend: host memory, oneDNN's engine and stream, and a scratch area.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "kernels/context.h"
#include "kernels/cpu/dnnl.h"
#include "kernels/host_memory.h"
#include "kernels/plan_cache.h"

namespace lamina::cpu {

class CpuDevice : public HostDevice {
 public:
  explicit CpuDevice(const ContextOpts& opts);

  std::string describe() const override;
  void* allocate(std::size_t bytes) override;

  const dnnl::engine& engine() const { return engine_; }
  dnnl::stream& stream() { return stream_; }
  bool winograd() const { return winograd_; }  // ContextOpts::winograd
  // What is chosen by its time, ContextOpts::autotune; null: nothing is.
  PlanCache* tuned_plans() { return tuned_plans_ ? &*tuned_plans_ : nullptr; }

  // Memory for the temporaries of one call of an op without a workspace of its own; the next call
  // takes it again. It only grows, so a training loop allocates in its first step alone.
  template <class T>
  T* scratch(std::size_t count) {
    return static_cast<T*>(scratch_bytes(count * sizeof(T)));
  }

 private:
  void* scratch_bytes(std::size_t bytes);

  int threads_;
  bool winograd_;
  std::optional<PlanCache> tuned_plans_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  Buffer scratch_;
};

inline CpuDevice& device_of(const Context& ctx) { return static_cast<CpuDevice&>(ctx.device()); }

}  // namespace lamina::cpu
