// Plans on disk: written once, taken back, never for anything but what they were made for.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/plan_cache.h"

#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <cudnn_frontend_version.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "engine/files/atomic_file.h"
#include "kernels/cuda/conv2d_graph.h"
#include "tests/cuda/plan_device.h"

namespace lamina::test {
namespace {

namespace fs = std::filesystem;
using cuda::Conv2dPass;
using cuda::CudnnPlan;
using cuda::Epilogue;
using cuda::F32Math;

const std::string kDevices = LAMINA_DEVICES;  // the folder
const Conv2dDesc kDesc{.x = {8, 14, 14, 16}, .k = 32, .r = 3, .s = 3, .dtype = DType::f16};

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class PlanCacheTest : public testing::Test {
 protected:
  PlanCacheTest() {
    const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / fmt::format("plans-{}-{}", test->name(), getpid());
    fs::remove_all(folder_);
    cache_ = std::make_unique<PlanCache>(folder_);
    target_ = plan_target(kDevices + "/h100.json");
    target_.cache = cache_.get();
  }
  ~PlanCacheTest() override { fs::remove_all(folder_); }

  CudnnPlan plan(const Conv2dDesc& desc = kDesc,
                 Conv2dPass pass = Conv2dPass::forward,
                 Epilogue epilogue = Epilogue::none) const {
    return {target_, desc.dtype, conv2d_graph(desc, pass, epilogue)};
  }
  std::set<fs::path> files() const {
    std::set<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.insert(entry.path());
    return found;
  }
  // A plan that is made anew is written anew: younger than this.
  static void make_old(const fs::path& file) { fs::last_write_time(file, kOld); }
  static bool is_old(const fs::path& file) { return fs::last_write_time(file) == kOld; }

  static constexpr fs::file_time_type kOld{};
  fs::path folder_;
  std::unique_ptr<PlanCache> cache_;
  cuda::CudnnTarget target_;
};

TEST_F(PlanCacheTest, GivesBackThePlanThatWasMade) {
  const Conv2dDesc lenet{.x = {64, 14, 14, 6}, .k = 16, .r = 5, .s = 5, .dtype = DType::bf16};
  for (const Conv2dDesc& desc : {kDesc, lenet}) {
    for (Conv2dPass pass :
         {Conv2dPass::forward, Conv2dPass::backward_data, Conv2dPass::backward_weights}) {
      for (Epilogue epilogue : {Epilogue::none, Epilogue::bias_relu}) {
        if (epilogue != Epilogue::none && pass != Conv2dPass::forward) continue;
        fs::remove_all(folder_);
        const CudnnPlan made = plan(desc, pass, epilogue);
        ASSERT_TRUE(made) << made.why_not();
        ASSERT_EQ(files().size(), 1U);
        make_old(*files().begin());
        const CudnnPlan found = plan(desc, pass, epilogue);
        ASSERT_TRUE(found);
        EXPECT_EQ(found.engine(), made.engine());
        EXPECT_EQ(found.workspace_bytes(), made.workspace_bytes());
        EXPECT_TRUE(is_old(*files().begin())) << "was made again";
      }
    }
  }
}

TEST_F(PlanCacheTest, TellsEveryFieldOfAConvolutionApart) {
  struct Change {
    const char* field;
    void (*make)(Conv2dDesc&);
  };
  const std::vector<Change> changes{
      {"x.n", [](Conv2dDesc& d) { d.x.n = 9; }},
      {"x.h", [](Conv2dDesc& d) { d.x.h = 15; }},
      {"x.w", [](Conv2dDesc& d) { d.x.w = 15; }},
      {"x.c", [](Conv2dDesc& d) { d.x.c = 24; }},
      {"k", [](Conv2dDesc& d) { d.k = 40; }},
      {"r", [](Conv2dDesc& d) { d.r = 5; }},
      {"s", [](Conv2dDesc& d) { d.s = 5; }},
      {"stride_h", [](Conv2dDesc& d) { d.stride_h = 2; }},
      {"stride_w", [](Conv2dDesc& d) { d.stride_w = 2; }},
      {"pad_h", [](Conv2dDesc& d) { d.pad_h = 1; }},
      {"pad_w", [](Conv2dDesc& d) { d.pad_w = 1; }},
      {"dilation_h", [](Conv2dDesc& d) { d.dilation_h = 2; }},
      {"dilation_w", [](Conv2dDesc& d) { d.dilation_w = 2; }},
      {"groups", [](Conv2dDesc& d) { d.groups = 2; }},
      {"dtype", [](Conv2dDesc& d) { d.dtype = DType::bf16; }},
      // These give shapes that others above have given too.
      {"dilation_h as stride_h", [](Conv2dDesc& d) { d.dilation_h = 4; }},
      {"dilation_w as stride_w", [](Conv2dDesc& d) { d.dilation_w = 4; }},
      {"dilation_h and pad_h as pad_h", [](Conv2dDesc& d) { d.dilation_h = d.pad_h = 2; }},
      {"dilation_w and pad_w as pad_w", [](Conv2dDesc& d) { d.dilation_w = d.pad_w = 2; }},
  };
  std::size_t count = 0;
  for (Epilogue epilogue : {Epilogue::none, Epilogue::bias, Epilogue::bias_relu}) {
    ASSERT_TRUE(plan(kDesc, Conv2dPass::forward, epilogue));
    EXPECT_EQ(files().size(), ++count);
  }
  for (const Change& change : changes) {
    Conv2dDesc desc = kDesc;
    change.make(desc);
    ASSERT_TRUE(plan(desc)) << change.field;
    EXPECT_EQ(files().size(), ++count) << change.field;
  }
}

TEST_F(PlanCacheTest, TellsPassesDevicesAndArithmeticApart) {
  Conv2dDesc desc = kDesc;
  desc.dtype = DType::f32;
  std::size_t count = 0;
  const auto expect_new = [&](const char* what, Conv2dPass pass) {
    ASSERT_TRUE(plan(desc, pass)) << what;
    EXPECT_EQ(files().size(), ++count) << what;
  };
  expect_new("forward", Conv2dPass::forward);
  expect_new("backward_data", Conv2dPass::backward_data);
  expect_new("backward_weights", Conv2dPass::backward_weights);
  target_.f32 = F32Math::tf32;
  expect_new("tf32", Conv2dPass::forward);
  target_ = plan_target(kDevices + "/h200.json");
  target_.cache = cache_.get();
  expect_new("another device", Conv2dPass::forward);
}

TEST_F(PlanCacheTest, WritesTheVersionsIntoTheKey) {
  plan();
  const std::string text = read_text_file(*files().begin());
  EXPECT_TRUE(mentions(text, fmt::format("\\ncuDNN {}\\n", cudnnGetVersion()))) << text;
  EXPECT_TRUE(mentions(text, fmt::format("\\ncudnn-frontend {}\\n", CUDNN_FRONTEND_VERSION)));
  EXPECT_TRUE(mentions(text, fmt::format("\\nCUDA {}\\n", CUDART_VERSION)));
  EXPECT_TRUE(mentions(text, "device {\\\"maxGridSize\\\":"));
  EXPECT_TRUE(mentions(text, "\\nchosen by heuristics\\n"));
}

// What else a desc says is no business of the forward graph: such layers share the plan.
TEST_F(PlanCacheTest, SharesThePlanOfEqualGraphs) {
  plan();
  Conv2dDesc desc = kDesc;
  desc.act = Act::tanh;
  desc.backward_data = false;
  plan(desc);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(PlanCacheTest, WritesAnewWhatIsDamagedOrForeign) {
  const CudnnPlan made = plan();
  const fs::path file = *files().begin();
  const std::string good = read_text_file(file);
  Conv2dDesc other = kDesc;
  other.k = 40;
  plan(other);
  std::set<fs::path> both = files();
  both.erase(file);
  const std::string foreign = read_text_file(*both.begin());
  fs::remove(*both.begin());

  const auto with = [&](const std::string& from, const std::string& to) {
    EXPECT_TRUE(mentions(good, from));
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& bad : {std::string(),
                                 std::string("[]"),
                                 std::string("{\"key\": 1}"),
                                 good.substr(0, good.size() / 2),
                                 good.substr(1),
                                 foreign,
                                 with("\"engine\": \"eng", "\"engine\": \"Eng"),
                                 with("\"fe_workspace_size\": 0", "\"fe_workspace_size\": 1"),
                                 with("\\ndtype f16", "\\ndtype f17")}) {
    std::ofstream(file) << bad;
    make_old(file);
    const CudnnPlan again = plan();
    ASSERT_TRUE(again);
    EXPECT_EQ(again.engine(), made.engine());
    EXPECT_EQ(again.workspace_bytes(), made.workspace_bytes());
    EXPECT_FALSE(is_old(file)) << bad;
    EXPECT_EQ(read_text_file(file), good);
    EXPECT_EQ(files().size(), 1U);
  }
}

// The sum is right, but cuDNN cannot read the plan.
TEST_F(PlanCacheTest, WritesAnewWhatCudnnDoesNotTake) {
  plan();
  const fs::path file = *files().begin();
  const std::string good = read_text_file(file);
  const auto key = nlohmann::json::parse(good).at("key").get<std::string>();
  const CachedPlan cached = cache_->find(key).value();
  for (const char* field : {"json_version", "cudnn_backend_data", "variant_pack_uids"}) {
    auto json = nlohmann::json::from_ubjson(cached.bytes);
    json.at(field) = "{}";
    cache_->keep(key, {cached.engine, nlohmann::json::to_ubjson(json)});
    ASSERT_TRUE(cache_->find(key));
    ASSERT_NE(read_text_file(file), good);
    EXPECT_TRUE(plan());
    EXPECT_EQ(read_text_file(file), good) << field;
  }
}

TEST_F(PlanCacheTest, WritesNothingWhenOff) {
  const fs::path before = fs::current_path();
  fs::create_directories(folder_);
  fs::current_path(folder_);  // where a cache without a folder could write
  testing::internal::CaptureStderr();
  target_.cache = nullptr;
  EXPECT_TRUE(plan());
  PlanCache off{fs::path()};
  target_.cache = &off;
  EXPECT_TRUE(plan());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_TRUE(files().empty());
  fs::current_path(before);
}

TEST_F(PlanCacheTest, WarnsOnceWhereItCannotWrite) {
  std::ofstream(folder_) << "a file where the folder should be";
  testing::internal::CaptureStderr();
  EXPECT_TRUE(plan());
  const std::string warning = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(mentions(warning, "warning: plans are not kept")) << warning;
  EXPECT_TRUE(mentions(warning, folder_.string())) << warning;
  testing::internal::CaptureStderr();
  EXPECT_TRUE(plan());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// Sets a variable of the environment, or unsets it, for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* const old = std::getenv(name)) old_ = old;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(old_ ? old_->c_str() : nullptr); }

 private:
  void set(const char* value) const {
    if (value != nullptr)
      setenv(name_, value, 1);
    else
      unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> old_;
};

TEST(PlanCacheFolder, IsNamedByTheEnvironment) {
  const auto folder = [](const char* own, const char* xdg, const char* home) {
    const Variable a("LAMINA_PLAN_CACHE", own), b("XDG_CACHE_HOME", xdg), c("HOME", home);
    return PlanCache::usual_folder();
  };
  EXPECT_EQ(folder(nullptr, nullptr, "/home/me"), "/home/me/.cache/lamina/plans");
  EXPECT_EQ(folder(nullptr, "/cache", "/home/me"), "/cache/lamina/plans");
  EXPECT_EQ(folder(nullptr, "relative", "/home/me"), "/home/me/.cache/lamina/plans");
  EXPECT_EQ(folder("elsewhere", "/cache", "/home/me"), "elsewhere");
  EXPECT_EQ(folder("off", "/cache", "/home/me"), "");
  EXPECT_EQ(folder(nullptr, nullptr, nullptr), "");
}

}  // namespace
}  // namespace lamina::test
