// The reference device: host memory and one thread.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/context.h"
#include "kernels/host_memory.h"

namespace lamina {
namespace {

class RefDevice final : public HostDevice {
 public:
  std::string describe() const override {
    return "reference: plain loops in f64 on one thread, for checking and not for speed";
  }
};

}  // namespace

std::unique_ptr<Device> ref::make_device(int) { return std::make_unique<RefDevice>(); }

}  // namespace lamina
