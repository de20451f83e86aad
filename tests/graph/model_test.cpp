// Parameters: initial values, PyTorch's order at the border, and files that do not fit.
// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/context.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "nets/registry.h"

namespace lamina {
namespace {

TEST(Model, StateDictRoundTripsAndMemoryIsKrsc) {
  Context ctx = make_context({.backend = BackendKind::ref});
  Graph g("Net", {1, 3, 2, 2});
  ValueId x = nn::conv2d(g, "conv", g.input(), {.k = 2, .kernel = {3, 2}, .pad = 1});
  x = nn::flatten(g, "flat", x);
  g.set_output(nn::linear(g, "fc", x, {.k = 2}));
  Model model(ctx, std::move(g));
  TensorFile file = model.state_dict();
  ASSERT_EQ(file.tensors[0].shape, (std::vector<std::int64_t>{2, 2, 3, 2}));
  for (HostTensor& tensor : file.tensors) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.numel()); ++i)
      tensor.as<float>()[i] = static_cast<float>(i);
  }
  model.load_state_dict(file, "memory");
  // PyTorch's element (k, c, r, s) = (1, 0, 2, 1) is number 12 + 0 + 5; here it stands at
  // ((1*3+2)*2+1)*2+0.
  EXPECT_EQ(model.value(0).as<float>()[22], 17.0f);
  const TensorFile back = model.state_dict();
  for (std::size_t i = 0; i < file.tensors.size(); ++i)
    EXPECT_EQ(back.tensors[i].data, file.tensors[i].data);
}

TEST(Model, InitialisationIsUniformWithinItsBoundAndRepeats) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Model model(ctx, build_net("lenet_bn"));
  model.initialise(4);
  const TensorFile first = model.state_dict();
  const HostTensor& weight = *first.find("fc1.weight");  // fan_in 400: bound 0.05
  double sum = 0, squares = 0, largest = 0;
  for (float value : weight.as<float>()) {
    sum += value;
    squares += static_cast<double>(value) * value;
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  const auto n = static_cast<double>(weight.numel());
  EXPECT_LE(largest, 0.05);
  EXPECT_GT(largest, 0.0499);
  EXPECT_NEAR(sum / n, 0.0, 5 * 0.05 / std::sqrt(3.0 * n));  // five standard errors
  EXPECT_NEAR(squares / n, 0.05 * 0.05 / 3, 0.02 * 0.05 * 0.05 / 3);
  EXPECT_EQ(first.find("conv1.1.weight")->as<float>()[0], 1.0f);
  EXPECT_EQ(first.find("conv1.1.running_var")->as<float>()[5], 1.0f);
  EXPECT_EQ(first.find("conv1.1.bias")->as<float>()[0], 0.0f);

  model.initialise(4);
  EXPECT_EQ(model.state_dict().find("fc1.weight")->data, weight.data);
  model.initialise(5);
  EXPECT_NE(model.state_dict().find("fc1.weight")->data, weight.data);
}

TEST(Model, AFileThatDoesNotFitIsNamed) {
  Context ctx = make_context({.backend = BackendKind::ref});
  Model model(ctx, build_net("cnn_mnist"));
  const auto error_of = [&](const TensorFile& file) -> std::string {
    try {
      model.load_state_dict(file, "w.safetensors");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  TensorFile missing = model.state_dict();
  missing.tensors.erase(missing.tensors.begin());
  EXPECT_NE(error_of(missing).find("conv1.weight"), std::string::npos) << error_of(missing);
  EXPECT_NE(error_of(missing).find("w.safetensors"), std::string::npos);

  TensorFile extra = model.state_dict();
  extra.tensors.push_back(make_host_tensor("fc9.weight", DType::f32, {1}));
  EXPECT_NE(error_of(extra).find("fc9.weight"), std::string::npos) << error_of(extra);

  TensorFile misshaped = model.state_dict();
  misshaped.tensors[0] = make_host_tensor("conv1.weight", DType::f32, {6, 1, 3, 3});
  const std::string text = error_of(misshaped);
  EXPECT_NE(text.find("[6, 1, 3, 3]"), std::string::npos) << text;
  EXPECT_NE(text.find("[6, 1, 5, 5]"), std::string::npos) << text;
}

TEST(Model, HalfPrecisionFilesAreRead) {
  Context ctx = make_context({.backend = BackendKind::ref});
  Model model(ctx, build_net("fc2_mnist"));
  model.initialise(1);
  TensorFile file = model.state_dict();
  for (HostTensor& tensor : file.tensors) {
    HostTensor half = make_host_tensor(tensor.name, DType::bf16, tensor.shape);
    for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.numel()); ++i)
      half.as<bf16>()[i] = to_bf16(tensor.as<float>()[i]);
    tensor = half;
  }
  const float expected = to_float(file.tensors[0].as<bf16>()[3]);
  model.load_state_dict(file, "half");
  EXPECT_EQ(model.state_dict().tensors[0].as<float>()[3], expected);
}

}  // namespace
}  // namespace lamina
