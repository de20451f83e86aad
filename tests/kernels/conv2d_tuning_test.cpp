// Convolutions chosen by their time, and the file that keeps the choice.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "kernels/context.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/plan_cache.h"

namespace lamina::test {
namespace {

namespace fs = std::filesystem;
using cpu::conv2d_tuning_key;
using cpu::Conv2dImpl;
using cpu::Conv2dPasses;

constexpr Conv2dPasses kDnnl{Conv2dImpl::dnnl, Conv2dImpl::dnnl, Conv2dImpl::dnnl};

class Conv2dTuning : public testing::Test {
 protected:
  Conv2dTuning()
      : folder_(fs::temp_directory_path() / fmt::format("lamina-tuning-{}", getpid())),
        ctx_(make_context({.backend = BackendKind::cpu, .winograd = true})) {
    fs::remove_all(folder_);
  }
  ~Conv2dTuning() override { fs::remove_all(folder_); }

  Conv2dPasses tuned(const Conv2dDesc& desc) {
    PlanCache cache(folder_);
    return tuned_conv2d_passes(ctx_, desc, kDnnl, cache);
  }
  void keep(const Conv2dDesc& desc, const std::string& choice) {
    PlanCache(folder_).keep(conv2d_tuning_key(ctx_, desc), {.engine = choice});
  }
  std::string kept(const Conv2dDesc& desc) {
    const auto plan = PlanCache(folder_).find(conv2d_tuning_key(ctx_, desc));
    return plan ? plan->engine : "nothing";
  }

  fs::path folder_;
  Context ctx_;
  // Small enough for sanitizers; all three can run each pass.
  const Conv2dDesc small_{.x = {2, 9, 9, 16}, .k = 16, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
};

std::vector<Conv2dImpl> list(const Conv2dPasses& p) { return {p.forward, p.data, p.weights}; }

TEST_F(Conv2dTuning, KeepsItsChoice) {
  EXPECT_EQ(kept(small_), "nothing");
  const Conv2dPasses first = tuned(small_);
  EXPECT_NE(kept(small_), "nothing");
  EXPECT_EQ(list(tuned(small_)), list(first));
}

TEST_F(Conv2dTuning, BelievesWhatWasKept) {
  keep(small_, "images,Winograd,oneDNN");
  EXPECT_EQ(list(tuned(small_)),
            (std::vector{Conv2dImpl::images, Conv2dImpl::winograd, Conv2dImpl::dnnl}));
  keep(small_, "Winograd,oneDNN,images");
  EXPECT_EQ(list(tuned(small_)),
            (std::vector{Conv2dImpl::winograd, Conv2dImpl::dnnl, Conv2dImpl::images}));
}

TEST_F(Conv2dTuning, TimesAnewWhatCannotBeMeant) {
  Conv2dDesc pointwise = small_;
  pointwise.r = pointwise.s = 1;
  pointwise.pad_h = pointwise.pad_w = 0;
  for (const char* choice : {"", "oneDNN", "oneDNN,oneDNN,fast", "Winograd,oneDNN,oneDNN"}) {
    keep(pointwise, choice);
    for (Conv2dImpl impl : list(tuned(pointwise))) EXPECT_NE(impl, Conv2dImpl::winograd) << choice;
    EXPECT_NE(kept(pointwise), choice);
  }
}

TEST_F(Conv2dTuning, TellsShapesApart) {
  std::vector<Conv2dDesc> others(4, small_);
  others[0].x.n = 3;
  others[1].act = Act::relu;
  others[2].backward_data = false;
  others[3].bias = false;
  for (const Conv2dDesc& other : others)
    EXPECT_NE(conv2d_tuning_key(ctx_, other), conv2d_tuning_key(ctx_, small_));
  Context direct = make_context({.backend = BackendKind::cpu});
  EXPECT_NE(conv2d_tuning_key(direct, small_), conv2d_tuning_key(ctx_, small_));
}

// oneDNN has nothing to fill its vectors with where the input has one channel.
TEST_F(Conv2dTuning, FindsTheFaster) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "our kernels are slowed down, those of oneDNN are not";
#endif
  const Conv2dDesc first{.x = {64, 28, 28, 1}, .k = 8, .r = 5, .s = 5, .pad_h = 2, .pad_w = 2};
  if (!cpu::own_passes(first).data) GTEST_SKIP() << "our kernels are slow without AVX2";
  EXPECT_EQ(tuned(first).data, Conv2dImpl::images);
}

TEST_F(Conv2dTuning, IsAskedForByTheContext) {
  const Conv2dDesc first{.x = {64, 28, 28, 1}, .k = 8, .r = 5, .s = 5};
  const char* const old = std::getenv("LAMINA_PLAN_CACHE");
  const std::string before = old != nullptr ? old : "";
  setenv("LAMINA_PLAN_CACHE", folder_.c_str(), 1);
  Context tuning = make_context({.backend = BackendKind::cpu, .autotune = true});
  for (const char* choice : {"oneDNN", "images"}) {
    PlanCache(folder_).keep(conv2d_tuning_key(tuning, first),
                            {.engine = fmt::format("{0},{0},{0}", choice)});
    EXPECT_EQ(make_conv2d(tuning, first)->describe().find(choice), 0u);
  }
  if (old != nullptr)
    setenv("LAMINA_PLAN_CACHE", before.c_str(), 1);
  else
    unsetenv("LAMINA_PLAN_CACHE");
}

}  // namespace
}  // namespace lamina::test
