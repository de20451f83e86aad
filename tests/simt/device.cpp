// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/device.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/context.h"
#include "kernels/cuda/stream.h"

namespace lamina::simt {
namespace {

// Replayed while another recording is made, it becomes part of that.
class LaunchList final : public Recording {
 public:
  LaunchList(SimtDevice& device, std::vector<std::function<void()>> work)
      : device_(device), work_(std::move(work)) {}
  void replay() override {
    for (const std::function<void()>& work : work_) device_.submit(work);
  }

 private:
  SimtDevice& device_;
  std::vector<std::function<void()>> work_;
};

}  // namespace

SimtDevice::SimtDevice() {
  constexpr std::size_t kBytes = cuda::kTickets * sizeof(std::uint32_t);
  scratch_ = SimtDevice::allocate(cuda::kScratchBytes);
  tickets_ = SimtDevice::allocate(kBytes);
  std::memset(tickets_, 0, kBytes);
}

SimtDevice::~SimtDevice() {
  release(tickets_);
  release(scratch_);
}

void* SimtDevice::allocate(std::size_t bytes) {
  refuse_while_recording("allocate");
  void* data = nullptr;
  if (posix_memalign(&data, 256, bytes == 0 ? 1 : bytes) != 0)
    fail("could not allocate {} MB of host memory; lower the batch size.", bytes >> 20);
  std::memset(data, 0xFF, bytes);
  return data;
}

void SimtDevice::copy_in(void* device, const void* host, std::size_t bytes) {
  refuse_while_recording("copy_in");
  HostDevice::copy_in(device, host, bytes);
}

void SimtDevice::copy_out(void* host, const void* device, std::size_t bytes) {
  refuse_while_recording("copy_out");
  HostDevice::copy_out(host, device, bytes);
}

void SimtDevice::zero(void* device, std::size_t bytes) {
  submit([this, device, bytes] { HostDevice::zero(device, bytes); });
}

void SimtDevice::synchronize() { refuse_while_recording("synchronize"); }

std::optional<std::size_t> SimtDevice::free_bytes() const {
  const char* const text = std::getenv("LAMINA_SIMT_MEMORY");
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::string SimtDevice::describe() const { return "CUDA kernels on the host, one thread"; }

void SimtDevice::submit(std::function<void()> work) {
  ++submitted_;
  if (recording_) {
    recorded_.push_back(std::move(work));
  } else {
    work();
  }
}

void SimtDevice::begin_recording() {
  refuse_while_recording("begin_recording");
  recording_ = true;
}

std::unique_ptr<Recording> SimtDevice::end_recording() {
  LAMINA_CHECK(recording_, "end_recording without begin_recording.");
  recording_ = false;
  return std::make_unique<LaunchList>(*this, std::exchange(recorded_, {}));
}

void SimtDevice::refuse_while_recording(const char* what) const {
  LAMINA_CHECK(!recording_, "{} cannot be part of a recorded step.", what);
}

SimtDevice& device_of(Context& ctx) {
  auto* const device = dynamic_cast<SimtDevice*>(&ctx.device());
  LAMINA_CHECK(device != nullptr,
               "a kernel was launched on the {} backend; it runs on cuda only.",
               name_of(ctx.backend()));
  return *device;
}

}  // namespace lamina::simt

namespace lamina::cuda {

std::unique_ptr<Device> make_device(const ContextOpts&) {
  return std::make_unique<simt::SimtDevice>();
}

CUstream_st* stream_of(Context&) { return nullptr; }

void after_launch(Context&, const char*) {}

void* scratch_of(Context& ctx) { return simt::device_of(ctx).scratch(); }
std::uint32_t* tickets_of(Context& ctx) { return simt::device_of(ctx).tickets(); }

}  // namespace lamina::cuda
