// One pass of a graph over made-up samples, with everything it leaves behind.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "engine/core/philox.h"
#include "engine/graph/program.h"
#include "kernels/context.h"

namespace lamina::test {

struct PassResult {
  std::vector<double> output;
  double loss = 0;
  TensorFile gradients, state;
};

inline double element(const HostTensor& tensor, std::size_t i) {
  return tensor.dtype == DType::f64 ? tensor.as<double>()[i] : tensor.as<float>()[i];
}

// The `i`-th of endless inputs, about N(0,1) in scale.
inline double sample_value(std::size_t i) {
  return 3.4 * uniform_from_bits(philox_u32(11, stream::kTest, 0, i)) - 1.7;
}

// The graph's memory is filled with NaN first: a result that depends on what was there shows.
inline PassResult run_pass(Model& model, const ProgramOpts& opts, std::int64_t first_sample = 0) {
  Context& ctx = model.context();
  Program program(model, opts);
  Buffer arena = ctx.allocate(program.arena_bytes());
  std::memset(arena.data(), 0xFF, arena.size());
  Buffer state = ctx.allocate(sizeof(StepState));
  const StepState start{.step = 5};
  ctx.copy_in(state.data(), &start, sizeof start);
  program.bind(arena.bytes_at(0), static_cast<const StepState*>(state.data()));

  const Tensor x = program.input();
  const auto per_sample = static_cast<std::size_t>(x.shape.per_sample());
  const std::size_t offset = static_cast<std::size_t>(first_sample) * per_sample;
  for (std::size_t i = 0; i < static_cast<std::size_t>(x.numel()); ++i) {
    if (x.dtype == DType::f64)
      x.as<double>()[i] = sample_value(offset + i);
    else
      x.as<float>()[i] = static_cast<float>(sample_value(offset + i));
  }
  for (std::int64_t n = 0; n < opts.batch; ++n) {
    program.labels().as<std::int32_t>()[n] =
        static_cast<std::int32_t>((first_sample + n) * 7 % model.graph().classes());
  }
  program.forward();
  program.loss_and_gradient({});
  if (opts.backward) program.backward();

  PassResult result;
  const Tensor y = program.output();
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    result.output.push_back(y.dtype == DType::f64 ? y.as<double>()[i] : y.as<float>()[i]);
  }
  const Tensor loss = program.loss();
  result.loss = loss.dtype == DType::f64 ? *loss.as<double>() : *loss.as<float>();
  result.gradients = model.gradient_dict();
  result.state = model.state_dict();
  return result;
}

// Largest difference, as a share of the largest magnitude.
inline double relative_difference(const HostTensor& a, const HostTensor& b) {
  double difference = 0, magnitude = 1e-30;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.numel()); ++i) {
    difference = std::max(difference, std::abs(element(a, i) - element(b, i)));
    if (!(std::abs(element(a, i) - element(b, i)) >= 0)) return INFINITY;  // NaN
    magnitude = std::max(magnitude, std::abs(element(b, i)));
  }
  return difference / magnitude;
}

}  // namespace lamina::test
