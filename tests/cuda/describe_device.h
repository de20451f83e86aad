// What cuDNN itself writes of the GPU at hand: the form of the files in tests/cuda/devices.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace lamina::test {

// JSON. Throws where there is no GPU.
std::string describe_device();

}  // namespace lamina::test
