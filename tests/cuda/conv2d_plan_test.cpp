// Convolutions planned by cuDNN for devices that are only described. What the plans compute is for
// the kernel tests on a GPU; here every pass has to find an engine, of the right kind.
// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <vector>

#include <cudnn.h>
#include <gtest/gtest.h>

#include "kernels/cuda/conv2d_graph.h"
#include "kernels/cuda/conv2d_impl.h"
#include "kernels/suite/data.h"
#include "tests/cuda/plan_device.h"

namespace lamina::test {
namespace {

using cuda::CudnnPlan;
using cuda::F32Math;

const std::string kDevices = LAMINA_DEVICES;  // the folder
const std::vector<DType> kDTypes{DType::f32, DType::bf16, DType::f16};

std::string text_of(const Conv2dDesc& d) {
  return fmt::format("{} {} filters {}x{} stride {},{} pad {},{} dilation {},{} groups {} in {}",
                     d.x.to_string(),
                     d.k,
                     d.r,
                     d.s,
                     d.stride_h,
                     d.stride_w,
                     d.pad_h,
                     d.pad_w,
                     d.dilation_h,
                     d.dilation_w,
                     d.groups,
                     name_of(d.dtype));
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class PlannedDevice : public testing::TestWithParam<std::string> {
 protected:
  Context context(F32Math f32 = F32Math::exact) const {
    return plan_context(kDevices + "/" + GetParam() + ".json", f32);
  }

  // All passes, with bias and relu fused.
  void expect_plans(Context& ctx, Conv2dDesc desc) const {
    desc.act = Act::relu;
    for (DType dtype : kDTypes) {
      desc.dtype = dtype;
      SCOPED_TRACE(text_of(desc));
      try {
        const std::string plan = cuda::make_cudnn_conv2d(ctx, desc)->describe();
        EXPECT_TRUE(mentions(plan, "forward+bias+relu eng")) << plan;
        EXPECT_TRUE(mentions(plan, "; backward_data eng")) << plan;
        EXPECT_TRUE(mentions(plan, "; backward_weights eng")) << plan;
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, PlannedDevice, testing::Values("a100", "h100"), [](const auto& device) {
  return device.param;
});

TEST_P(PlannedDevice, PlansTheLayersOfRealNets) {
  Context ctx = context();
  for (const Conv2dDesc& desc : {
           Conv2dDesc{.x = {64, 32, 32, 1}, .k = 6, .r = 5, .s = 5},
           Conv2dDesc{.x = {64, 14, 14, 6}, .k = 16, .r = 5, .s = 5},
           Conv2dDesc{.x = {64, 5, 5, 16}, .k = 120, .r = 5, .s = 5},
           Conv2dDesc{.x = {64, 28, 28, 1}, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
           Conv2dDesc{.x = {64, 224, 224, 3},
           .k = 64,
           .r = 7,
           .s = 7,
           .stride_h = 2,
           .stride_w = 2,
           .pad_h = 3,
           .pad_w = 3},
           Conv2dDesc{.x = {64, 56, 56, 64}, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
           Conv2dDesc{.x = {64, 17, 17, 128}, .k = 192, .r = 1, .s = 7, .pad_w = 3},
           Conv2dDesc{.x = {64, 28, 28, 32},
           .k = 32,
           .r = 3,
           .s = 3,
           .pad_h = 1,
           .pad_w = 1,
           .groups = 32},
       })
    expect_plans(ctx, desc);
}

TEST_P(PlannedDevice, PlansRandomShapes) {
  Context ctx = context();
  suite::Draw draw("PlansRandomShapes");
  for (int i = 0; i < 40;) {
    Conv2dDesc desc;
    desc.groups = draw.roll(0, 1) == 0 ? 1 : draw.roll(1, 5);
    desc.x = {draw.roll(1, 8), draw.roll(1, 30), draw.roll(1, 30), draw.roll(1, 20) * desc.groups};
    desc.k = draw.roll(1, 20) * desc.groups;
    desc.r = draw.roll(1, 7), desc.s = draw.roll(1, 7);
    desc.stride_h = draw.roll(1, 3), desc.stride_w = draw.roll(1, 3);
    desc.pad_h = draw.roll(0, 3), desc.pad_w = draw.roll(0, 3);
    desc.dilation_h = draw.roll(1, 2), desc.dilation_w = draw.roll(1, 2);
    if (desc.dilation_h * (desc.r - 1) >= desc.x.h + 2 * desc.pad_h ||
        desc.dilation_w * (desc.s - 1) >= desc.x.w + 2 * desc.pad_w)
      continue;  // the window does not fit
    expect_plans(ctx, desc);
    ++i;
  }
}

TEST_P(PlannedDevice, KeepsExactF32OffTheTensorCores) {
  Conv2dDesc desc{.x = {64, 56, 56, 64}, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  Context exact = context(F32Math::exact), tf32 = context(F32Math::tf32);
  const auto plan = [&](Context& ctx) { return make_conv2d(ctx, desc)->describe(); };
  EXPECT_NE(plan(exact), plan(tf32));
  desc.dtype = DType::bf16;
  EXPECT_EQ(plan(exact), plan(tf32));
}

// cuDNN does not tell the notes of a finished plan, so by number: these two are first in line for
// this convolution and add up with atomics.
TEST_P(PlannedDevice, TakesNoEngineThatDoesNotRepeat) {
  if (cudnnGetVersion() / 100 != 919) GTEST_SKIP() << "the numbers are those of cuDNN 9.19";
  Context ctx = context();
  const Conv2dDesc desc{.x = {64, 14, 14, 6}, .k = 16, .r = 5, .s = 5};
  const std::string plan = make_conv2d(ctx, desc)->describe();
  EXPECT_FALSE(mentions(plan, "backward_data eng25")) << plan;
  EXPECT_FALSE(mentions(plan, "backward_weights eng20")) << plan;
}

TEST_P(PlannedDevice, PlansOnlyThePassesWanted) {
  Context ctx = context();
  Conv2dDesc desc{.x = {2, 9, 9, 8}, .k = 8, .r = 3, .s = 3, .backward_data = false};
  EXPECT_FALSE(mentions(make_conv2d(ctx, desc)->describe(), "backward_data"));
  desc.backward_weights = false;
  EXPECT_FALSE(mentions(make_conv2d(ctx, desc)->describe(), "backward"));
  desc.bias = false;
  EXPECT_TRUE(mentions(make_conv2d(ctx, desc)->describe(), "forward eng"));
}

TEST_P(PlannedDevice, GivesTheLargestWorkspace) {
  Context ctx = context();
  const Conv2dDesc desc{.x = {64, 14, 14, 6}, .k = 16, .r = 5, .s = 5, .dtype = DType::bf16};
  const CudnnPlan weights(cuda::cudnn_target_of(ctx),
                          desc.dtype,
                          cuda::conv2d_graph(desc, cuda::Conv2dPass::backward_weights));
  EXPECT_GT(weights.workspace_bytes(), 0U);
  EXPECT_GE(make_conv2d(ctx, desc)->workspace_bytes(), weights.workspace_bytes());
}

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(DescribedDevice, SaysWhichConvolutionHasNoEngine) {
  // The same card without bf16, as a Turing card is.
  std::ifstream file(kDevices + "/a100.json");
  std::string json{std::istreambuf_iterator<char>(file), {}};
  const std::string version = "\"deviceVer\":800";
  ASSERT_TRUE(mentions(json, version));
  json.replace(json.find(version), version.size(), "\"deviceVer\":750");
  const std::string turing = testing::TempDir() + "turing.json";
  std::ofstream(turing) << json;
  Context ctx = plan_context(turing, F32Math::exact);
  Conv2dDesc desc{.x = {64, 14, 14, 6}, .k = 16, .r = 5, .s = 5};
  EXPECT_TRUE(mentions(make_conv2d(ctx, desc)->describe(), "forward+bias eng"));
  desc.dtype = DType::bf16;
  const std::string error = error_of([&] { make_conv2d(ctx, desc); });
  EXPECT_TRUE(mentions(error,
                       "cuDNN has no engine for forward of [64, 6, 14, 14] with 16 filters of "
                       "5 x 5 in bf16: "))
      << error;
  EXPECT_TRUE(mentions(error, "hardware_bfloat16_supported")) << error;
  EXPECT_LT(error.size(), 300U);
}

TEST(DescribedDevice, IsRefusedWhenIncomplete) {
  const std::string error = error_of([] { cuda::described_target("{}"); });
  EXPECT_TRUE(mentions(error, "cuDNN failed to read the description of a device")) << error;
}

TEST(DescribedDevice, RunsNothing) {
  Context ctx = plan_context(kDevices + "/h100.json", F32Math::exact);
  const Conv2dDesc desc{.x = {1, 4, 4, 8}, .k = 8, .bias = false};
  const auto conv = make_conv2d(ctx, desc);
  const Buffer memory = ctx.allocate(4096);
  const auto forward = [&](std::size_t offset) {
    return error_of([&] {
      conv->forward({memory.bytes_at(offset), DType::f32, desc.x},
                    vector_view(memory.bytes_at(1024), DType::f32, desc.weights()),
                    {},
                    {memory.bytes_at(2048), DType::f32, desc.y()},
                    memory.bytes_at(3072));
    });
  };
  EXPECT_TRUE(mentions(forward(0), "cannot run")) << forward(0);
  EXPECT_TRUE(mentions(forward(4), "multiple of 16 bytes")) << forward(4);
}

}  // namespace
}  // namespace lamina::test
