// Not yet run on a GPU.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/plan_timer.h"

#include <algorithm>
#include <array>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device.h"

namespace lamina::cuda {
namespace {

constexpr int kWarmUps = 3;
constexpr std::size_t kRuns = 10;

Event new_event() {
  cudaEvent_t event = nullptr;
  LAMINA_CUDA_CHECK(cudaEventCreate(&event));
  return Event(event);
}

class EventTimer final : public PlanTimer {
 public:
  EventTimer(Device& device, cudaStream_t stream) : device_(device), stream_(stream) {
    for (Event& event : events_) event = new_event();
  }

  Buffer zeros(std::size_t bytes) override {
    Buffer buffer(device_, bytes);
    device_.zero(buffer.data(), bytes);
    return buffer;
  }

  // Nothing waits between the runs, so that the GPU does not idle while the next is launched.
  double milliseconds(const Run& run) override {
    for (int i = 0; i < kWarmUps; ++i) run();
    record(events_.front());
    for (std::size_t i = 0; i < kRuns; ++i) {
      run();
      record(events_[i + 1]);
    }
    LAMINA_CUDA_CHECK(cudaStreamSynchronize(stream_));
    std::array<float, kRuns> times{};
    for (std::size_t i = 0; i < kRuns; ++i)
      LAMINA_CUDA_CHECK(cudaEventElapsedTime(&times[i], events_[i].get(), events_[i + 1].get()));
    const auto middle = times.begin() + kRuns / 2;
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
  }

 private:
  void record(const Event& event) const {
    LAMINA_CUDA_CHECK(cudaEventRecord(event.get(), stream_));
  }

  Device& device_;
  cudaStream_t stream_;
  std::array<Event, kRuns + 1> events_;
};

}  // namespace

std::unique_ptr<PlanTimer> make_plan_timer(Device& device, cudaStream_t stream) {
  return std::make_unique<EventTimer>(device, stream);
}

}  // namespace lamina::cuda
