// A GPU: its memory, one stream and the library handles that work on it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "engine/core/handle.h"
#include "kernels/context.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/plan_cache.h"

namespace lamina::cuda {

using Stream = Handle<cudaStream_t, &cudaStreamDestroy>;
using Event = Handle<cudaEvent_t, &cudaEventDestroy>;
using CudnnHandle = Handle<cudnnHandle_t, &cudnnDestroy>;

class CudaDevice final : public Device, public CudnnDevice {
 public:
  explicit CudaDevice(const ContextOpts& opts);
  ~CudaDevice() override;

  void* allocate(std::size_t bytes) override;
  void release(void* data) noexcept override;
  void copy_in(void* device, const void* host, std::size_t bytes) override;
  void copy_out(void* host, const void* device, std::size_t bytes) override;
  void copy_on(void* to, const void* from, std::size_t bytes) override;
  void zero(void* device, std::size_t bytes) override;
  void synchronize() override;
  double time_ms(const std::function<void()>& body) override;
  std::optional<std::size_t> free_bytes() const override;
  std::string describe() const override;
  void begin_range(std::string_view name, std::string_view pass) override;
  void end_range() override;
  void begin_profile() override;
  void end_profile() override;
  void begin_recording() override;
  std::unique_ptr<Recording> end_recording() override;
  CudnnTarget cudnn_target() override;

  cudaStream_t stream() const { return stream_.get(); }
  cublasLtHandle_t cublaslt() const { return cublaslt_.get(); }
  void* scratch() const { return scratch_; }
  std::uint32_t* tickets() const { return static_cast<std::uint32_t*>(tickets_); }
  bool checks_launches() const { return checks_launches_; }

 private:
  cudaDeviceProp properties_{};
  F32Math f32_;
  Stream stream_;
  Event begin_, end_;  // of time_ms
  LtHandle cublaslt_;
  CudnnHandle cudnn_;
  PlanCache plans_{PlanCache::usual_folder()};
  std::unique_ptr<PlanTimer> timer_;  // null: no autotuning
  void* scratch_ = nullptr;
  void* tickets_ = nullptr;
  bool checks_launches_ = false;
};

}  // namespace lamina::cuda
