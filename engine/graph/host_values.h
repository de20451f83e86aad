// Device tensors as host floats and back, whatever their dtype.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "engine/core/context.h"

namespace lamina {

// f32, bf16 or f16 tensors, in the order of their memory.
std::vector<float> read_values(Context& ctx, const Tensor& from);
void write_values(Context& ctx, std::span<const float> values, const Tensor& to);

}  // namespace lamina
