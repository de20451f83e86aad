// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/plan_device.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "kernels/host_memory.h"

namespace lamina::test {
namespace {

class PlanDevice final : public HostDevice, public cuda::CudnnDevice {
 public:
  PlanDevice(std::string file, cuda::CudnnTarget target)
      : file_(std::move(file)), target_(std::move(target)) {}

  cuda::CudnnTarget cudnn_target() override { return target_; }
  std::string describe() const override { return "the device described in " + file_; }

 private:
  std::string file_;
  cuda::CudnnTarget target_;
};

std::string read_text(const std::string& file) {
  std::ifstream stream(file);
  LAMINA_CHECK(stream, "{} cannot be opened.", file);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  // cuDNN wants the bare object.
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

cuda::CudnnTarget plan_target(const std::string& file, cuda::F32Math f32) {
  return cuda::described_target(read_text(file), f32);
}

Context plan_context(const std::string& file, cuda::F32Math f32) {
  return {BackendKind::cuda, 1, std::make_unique<PlanDevice>(file, plan_target(file, f32))};
}

}  // namespace lamina::test
