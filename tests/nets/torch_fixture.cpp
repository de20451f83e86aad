// SPDX-License-Identifier: Apache-2.0
#include "tests/nets/torch_fixture.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/core/philox.h"

namespace lamina::test {
namespace {

constexpr std::int64_t kStored = 256;
constexpr std::uint32_t kImageStream = 4096, kLabelStream = 4097;
// The rule of tools/torch_oracle.py for float32; float64 against float64 leaves only the order of
// the sums.
constexpr double kFactor = 5.0;
constexpr double kRounding = 0x1p-24;
constexpr double kF64Bound = 1e-12;

std::int64_t stored_position(std::int64_t k, std::int64_t count) {
  return count <= kStored ? k : k * count / kStored + (k * 7919) % (count / kStored);
}

double norm(std::span<const double> values) {
  double sum = 0.0;
  for (double value : values) sum += value * value;
  return std::sqrt(sum);
}

}  // namespace

TorchFixture::TorchFixture(const std::string& net)
    : net_(net),
      file_(read_safetensors(LAMINA_FIXTURES "/" + net + ".safetensors")),
      seed_(std::stoull(file_.metadata.at("seed"))) {}

std::uint32_t TorchFixture::bits(std::uint32_t stream_offset, std::int64_t element) const {
  const std::uint32_t id = stream::kTest + stream_offset;
  return philox_u32(seed_, id, 0, static_cast<std::uint64_t>(element));
}

double TorchFixture::uniform(std::uint32_t stream_offset, std::int64_t element) const {
  return uniform_from_bits(bits(stream_offset, element));
}

TensorFile TorchFixture::state_dict(const Model& model) const {
  const double gain = net_ == "lenet_fashion" ? 2.0 : 1.0;
  TensorFile state;
  for (std::size_t j = 0; j < model.entries().size(); ++j) {
    const Model::Entry& entry = model.entries()[j];
    const ParamSpec& spec = entry.spec;
    if (spec.kind == ParamSpec::Kind::counter) {
      state.tensors.push_back(make_host_tensor(entry.name, DType::i64, spec.shape));
      state.tensors.back().as<std::int64_t>()[0] = 5;
      continue;
    }
    double center = 0.0, width = 0.2;
    if (spec.shape.size() >= 2) {
      width = std::sqrt(3.0 / static_cast<double>(spec.numel() / spec.shape[0])) * gain;
    } else if (entry.name.ends_with(".running_var") || entry.name.ends_with(".weight")) {
      center = 1.0;
      width = 0.5;
    }
    state.tensors.push_back(make_host_tensor(entry.name, DType::f32, spec.shape));
    const std::span<float> values = state.tensors.back().as<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double u = uniform(static_cast<std::uint32_t>(j), static_cast<std::int64_t>(i));
      values[i] = static_cast<float>(center + width * (2.0 * u - 1.0));
    }
  }
  return state;
}

std::vector<float> TorchFixture::images(const Shape& shape) const {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double u = uniform(kImageStream, static_cast<std::int64_t>(i));
    values[i] = static_cast<float>((u - 0.5) * std::sqrt(12.0));
  }
  return values;
}

std::vector<std::int32_t> TorchFixture::labels(std::int64_t batch) const {
  std::vector<std::int32_t> values;
  for (std::int64_t i = 0; i < batch; ++i)
    values.push_back(static_cast<std::int32_t>((bits(kLabelStream, i) >> 8) % 10));
  return values;
}

TorchFixture::Verdict TorchFixture::judge(const std::string& key,
                                          const std::vector<double>& ours,
                                          DType computed_in) const {
  const HostTensor* stored = file_.find(key);
  const HostTensor* judge = file_.find(key + ":judge");
  LAMINA_CHECK(stored != nullptr && judge != nullptr,
               "the fixture of {} has no '{}'; make it again with make_fixtures.py.",
               net_,
               key);
  const std::span<const double> truth = stored->as<double>();
  const auto count = static_cast<std::int64_t>(ours.size());
  LAMINA_CHECK(static_cast<std::int64_t>(truth.size()) == std::min(count, kStored),
               "'{}' of {} has {} elements, which does not fit the {} of its fixture.",
               key,
               net_,
               count,
               truth.size());
  std::vector<double> difference;
  for (std::size_t k = 0; k < truth.size(); ++k) {
    const auto at = stored_position(static_cast<std::int64_t>(k), count);
    difference.push_back(ours[static_cast<std::size_t>(at)] - truth[k]);
  }
  // What the whole tensor's distances come to over the stored part, if that part is no better.
  const double part = std::sqrt(static_cast<double>(truth.size()) / static_cast<double>(count));
  const std::span<const double> row = judge->as<double>();
  const double torch_distance = std::max(row[1], row[0] * part);
  const double scale = std::max(norm(truth), row[4] * part);
  const double budget = computed_in == DType::f64
                            ? kF64Bound * scale
                            : std::max(kFactor * torch_distance, kRounding * scale);
  return {norm(difference), budget};
}

std::size_t TorchFixture::count_keys(const std::string& prefix) const {
  return static_cast<std::size_t>(
      std::count_if(file_.tensors.begin(), file_.tensors.end(), [&](const HostTensor& tensor) {
        return tensor.name.starts_with(prefix) && !tensor.name.ends_with(":judge");
      }));
}

}  // namespace lamina::test
