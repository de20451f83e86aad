// What the cases of convolution and linear layers share where an activation is fused behind them.
//
// backward_weights() gets an output of its own, "saved", that no forward pass has computed: next to
// a kink the backends' own outputs may lie on different sides of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>

#include "kernels/activation.h"
#include "kernels/suite/problem.h"

namespace lamina::suite {

// What each pass of such a plan reads and writes.
inline const std::vector<Pass> kPasses{{"forward", {"x", "w", "b"}, {"y"}},
                                       {"weights", {"x", "saved"}, {"dy", "dw", "db"}},
                                       {"data", {"dy", "w"}, {"dx"}}};

// The rectifiers: whole numbers stay whole, in both directions.
inline bool stays_exact(Act act) { return act != Act::tanh && act != Act::sigmoid; }

// Outputs that the activation can have; of the rectifiers whole numbers, on the kinks too.
inline Values saved_output(Act act, Draw& draw, const Shape& shape) {
  if (act == Act::tanh) return draw.uniform(shape, -1, 1);
  if (act == Act::sigmoid) return draw.uniform(shape, 0, 1);
  Values values = draw.whole(shape, -1, 7);
  const double most = act == Act::relu6 ? 6 : 7;
  for (double& value : values) value = std::clamp(value, 0.0, most);
  values.front() = 1;  // of a tiny output something has to come back
  return values;
}

// dy: behind the activation, where one there is, and overwritten with that in front of it. The
// slopes of tanh and sigmoid are at most 1 and take three roundings of numbers of at most 1.
inline Slot gradient_slot(Act act, const Shape& shape, const Values& dy) {
  if (act == Act::none) return in("dy", shape, dy);
  return inout("dy", shape, dy, stays_exact(act) ? exactly() : Budget{4, absolute(dy)});
}

// The budget of a sum of products with dy in front of the activation.
inline Budget gradient_budget(Act act, std::int64_t length, Values magnitude) {
  Budget budget = sum_budget(length, std::move(magnitude));
  if (!stays_exact(act)) {
    budget.roundings += 3;
    budget.stores = 1;
  }
  return budget;
}

// The output that backward reads: against differences the one that forward has computed.
inline std::string output_for_backward(Act act, const std::string& regime) {
  return act == Act::none || regime == "difference" ? "y" : "saved";
}

// The passes whose outputs the problem has, by the plan that make(ctx, desc) gives.
template <class Make, class Desc>
void run_passes(Call& call, const Make& make, Desc desc, const std::string& output) {
  desc.dtype = call.dtype();
  auto& plan = call.keep([&] { return make(call.ctx(), desc); });
  const auto workspace = [&] { return call.workspace(plan.workspace_bytes()); };
  if (call["y"]) plan.forward(call["x"], call["w"], call["b"], call["y"], workspace());
  if (call["dw"])
    plan.backward_weights(call["x"], call[output], call["dy"], call["dw"], call["db"], workspace());
  if (call["dx"]) plan.backward_data(call["dy"], call["w"], call["dx"], workspace());
}

}  // namespace lamina::suite
