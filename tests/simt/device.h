// The device of the backend `cuda` in simt_tests: host memory, kernels that run on the host, and a
// list of launches in place of a CUDA graph.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "kernels/host_memory.h"

namespace lamina::simt {

class SimtDevice final : public HostDevice {
 public:
  SimtDevice();
  ~SimtDevice() override;

  // As cudaMalloc gives it: aligned to 256 bytes, holding garbage. No byte behind the end is ours.
  void* allocate(std::size_t bytes) override;
  void copy_in(void* device, const void* host, std::size_t bytes) override;
  void copy_out(void* host, const void* device, std::size_t bytes) override;
  void zero(void* device, std::size_t bytes) override;
  void synchronize() override;
  // As much as LAMINA_SIMT_MEMORY says, in bytes, whatever has been allocated; else unlimited.
  std::optional<std::size_t> free_bytes() const override;
  std::string describe() const override;

  // Does the work now or, while recording, when it is replayed.
  void submit(std::function<void()> work);

  // Launches and zero() are listed; what a CUDA stream refuses under capture throws.
  void begin_recording() override;
  std::unique_ptr<Recording> end_recording() override;

  void* scratch() const { return scratch_; }
  std::uint32_t* tickets() const { return static_cast<std::uint32_t*>(tickets_); }

  // What a GPU would be given to do since the start, kernels and fills, or be given when recordings
  // are replayed.
  std::int64_t submitted() const { return submitted_; }

 private:
  void refuse_while_recording(const char* what) const;

  void* scratch_ = nullptr;
  void* tickets_ = nullptr;
  std::int64_t submitted_ = 0;
  bool recording_ = false;
  std::vector<std::function<void()>> recorded_;
};

SimtDevice& device_of(Context& ctx);

}  // namespace lamina::simt
