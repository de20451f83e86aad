// What PyTorch computed for a net, from tests/fixtures/NET.safetensors, and the weights and images
// it computed it from. The formulas stand in tests/fixtures/make_fixtures.py.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/files/safetensors.h"
#include "engine/graph/graph.h"
#include "engine/graph/model.h"

namespace lamina::test {

class TorchFixture {
 public:
  explicit TorchFixture(const std::string& net);

  TensorFile state_dict(const Model& model) const;
  std::vector<float> images(const Shape& shape) const;  // in NCHW order
  std::vector<std::int32_t> labels(std::int64_t batch) const;

  // How far `ours`, a whole tensor in PyTorch's element order, is from PyTorch's float64 result.
  struct Verdict {
    double distance = 0.0;  // over the stored positions
    double budget = 0.0;
    double share() const { return distance > 0.0 ? distance / budget : 0.0; }
    bool passes() const { return distance <= budget; }  // not a number fails
  };
  // key: "b7.train.grad.fc1.weight". Throws when the fixture lacks it or the size differs.
  Verdict judge(const std::string& key, const std::vector<double>& ours, DType computed_in) const;

  std::size_t count_keys(const std::string& prefix) const;  // of results, without the judge rows

 private:
  std::uint32_t bits(std::uint32_t stream_offset, std::int64_t element) const;
  double uniform(std::uint32_t stream_offset, std::int64_t element) const;

  std::string net_;
  TensorFile file_;
  std::uint64_t seed_;
};

}  // namespace lamina::test
