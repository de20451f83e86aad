// A batch that does not fit the device is refused before training, with one that does.
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "engine/train/batch_walk.h"
#include "kernels/context.h"
#include "nets/registry.h"
#include "tests/graph/runner.h"

namespace lamina {
namespace {

TEST(SimtMemory, NamesTheLargestBatchThatFits) {
  Context ctx = make_context({.backend = BackendKind::cuda});
  Model model(ctx, build_net("lenet_bn"));
  const auto bytes_of = [&](std::int64_t batch) {
    return Program(model, {.batch = batch}).arena_bytes();
  };
  const std::size_t planned = bytes_of(64), limit = planned / 3;
  setenv("LAMINA_SIMT_MEMORY", std::to_string(limit).c_str(), 1);
  std::string text;
  try {
    check_memory(model, {.batch = 64}, planned);
  } catch (const Error& error) {
    text = error.what();
  }
  unsetenv("LAMINA_SIMT_MEMORY");
  const std::size_t at = text.find("a batch of ", text.find("free"));
  ASSERT_NE(at, std::string::npos) << text;
  const std::int64_t fits = std::stoll(text.substr(at + 11));
  EXPECT_LE(bytes_of(fits), limit) << text;
  EXPECT_GT(bytes_of(fits + 4), limit) << text;  // and not much less than what would
  EXPECT_NO_THROW(check_memory(model, {.batch = 64}, planned));
}

// Tensors are made again in the backward pass, by the kernels of a GPU, and nothing else changes.
TEST(SimtMemory, RecomputesTheSameBits) {
  Context ctx = make_context({.backend = BackendKind::cuda});
  const auto result = [&](std::optional<std::size_t> memory) {
    Model model(ctx, build_net("lenet_bn"));
    model.initialise(7);
    return test::run_pass(model, {.batch = 3, .seed = 9, .memory = memory});
  };
  const test::PassResult kept = result(std::nullopt), again = result(0);
  EXPECT_EQ(again.output, kept.output);
  for (std::size_t i = 0; i < kept.gradients.tensors.size(); ++i)
    EXPECT_EQ(again.gradients.tensors[i].data, kept.gradients.tensors[i].data)
        << kept.gradients.tensors[i].name;
}

TEST(SimtMemory, SaysWhenNothingFits) {
  Context ctx = make_context({.backend = BackendKind::cuda});
  Model model(ctx, build_net("lenet_bn"));
  setenv("LAMINA_SIMT_MEMORY", "100", 1);
  std::string text;
  try {
    check_memory(model, {.batch = 64}, 1000000);
  } catch (const Error& error) {
    text = error.what();
  }
  unsetenv("LAMINA_SIMT_MEMORY");
  EXPECT_NE(text.find("not even a batch of 1 fits"), std::string::npos) << text;
}

}  // namespace
}  // namespace lamina
