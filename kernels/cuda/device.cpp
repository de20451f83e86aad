// The link-time stand-in for a build without CUDA; the contract is kernels/context.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/context.h"

namespace lamina::cuda {

std::unique_ptr<Device> make_device() {
  fail_request("this build has no CUDA backend; run with --device cpu.");
}

}  // namespace lamina::cuda
