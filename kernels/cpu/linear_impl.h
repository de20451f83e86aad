// The implementations behind cpu::make_linear, for it and for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/linear.h"

namespace lamina::cpu {

enum class LinearImpl { automatic, direct, dnnl, widened };

// Whether automatic means direct.
bool linear_is_own(const LinearDesc& desc);

// Our own products, for layers whose weights stay in the cache (linear_direct.cpp); any shape.
std::unique_ptr<Linear> make_direct_linear(Context& ctx, const LinearDesc& desc);

// oneDNN, any shape (linear_dnnl.cpp).
std::unique_ptr<Linear> make_dnnl_linear(Context& ctx, const LinearDesc& desc);

// Of bf16 tensors: on oneDNN, or by the above (linear_bf16.cpp); any shape.
std::unique_ptr<Linear> make_bf16_linear(Context& ctx, const LinearDesc& desc);
std::unique_ptr<Linear> make_widened_linear(Context& ctx, const LinearDesc& desc);

// db[k] = sum over n of dy[n][k].
void sum_rows(const LinearDesc& desc, const Tensor& dy, const Tensor& db);

// make_linear with the choice made by the caller.
std::unique_ptr<Linear> make_linear_by(Context& ctx, const LinearDesc& desc, LinearImpl impl);

}  // namespace lamina::cpu
