// The harness itself: each kind of wrong kernel has to be caught, or its silence proves nothing.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/suite/report.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

constexpr std::int64_t kCount = 64;

// y = 2x, with a misdeed when it is the f32 run, the one under test.
Problem doubling(const std::function<void(Call&, float* x, float* y)>& misdeed) {
  const Shape shape = features(1, kCount);
  Problem problem{.name = "harness/doubling", .pass = "forward"};
  problem.slots = {in("x", shape, Draw("harness").normal(shape)), out("y", shape, {1})};
  problem.body = [misdeed](Call& call) {
    visit_real(call.dtype(), "doubling", [&]<class T>(T) {
      for (std::int64_t i = 0; i < kCount; ++i) call["y"].as<T>()[i] = 2 * call["x"].as<T>()[i];
    });
    if (call.dtype() == DType::f32) misdeed(call, call["x"].as<float>(), call["y"].as<float>());
  };
  return problem;
}

// What collects failures, joined, of the table it is given to.
TableOpts collecting(std::string& all) {
  return {.backend = BackendKind::ref, .report = [&all](const CaseReport& report) {
            for (const std::string& failure : report.failures)
              all += failure_text(report.key, failure) + "\n" +
                     rerun_line("lamina", report.key, "op.Table") + "\n";
          }};
}

// The failures that a check of the problem reports.
std::string failures_of(const Problem& problem) {
  std::string all;
  Table table(collecting(all));
  table.check(problem);
  return all;
}

void expect_caught(const Problem& problem, const std::string& text) {
  const std::string failures = failures_of(problem);
  EXPECT_NE(failures.find(text), std::string::npos) << "reported: " << failures;
  EXPECT_NE(failures.find("--case 'harness/doubling' --pass forward --dtype f32 --device ref"),
            std::string::npos)
      << failures;
}

TEST(Harness, PassesARightKernel) {
  EXPECT_EQ(failures_of(doubling([](Call&, float*, float*) {})), "");
}

TEST(Harness, CatchesAWrongElement) {
  expect_caught(doubling([](Call&, float*, float* y) { y[13] *= 1.000001f; }),
                "1 of 64 elements of y are off; the worst at [n=0 h=0 w=0 c=13]");
}

TEST(Harness, CatchesAnElementNeverWritten) {
  const Problem problem = doubling([](Call&, float*, float*) {});
  Problem lazy = problem;
  lazy.body = [](Call& call) {
    visit_real(call.dtype(), "doubling", [&]<class T>(T) {
      const std::int64_t end = call.dtype() == DType::f32 ? kCount - 1 : kCount;
      for (std::int64_t i = 0; i < end; ++i) call["y"].as<T>()[i] = 2 * call["x"].as<T>()[i];
    });
  };
  expect_caught(lazy, "[n=0 h=0 w=0 c=63] is nan");
}

TEST(Harness, CatchesWritesAroundTheOutput) {
  expect_caught(doubling([](Call&, float*, float* y) { y[kCount] = 0; }), "behind the end of y");
  expect_caught(doubling([](Call&, float*, float* y) { y[-1] = 0; }), "before the start of y");
}

TEST(Harness, CatchesAWriteToAnInput) {
  expect_caught(doubling([](Call&, float* x, float*) { x[5] = 0; }), "wrote to input x");
}

TEST(Harness, CatchesAWriteBehindTheWorkspace) {
  expect_caught(doubling([](Call& call, float*, float*) {
                  static_cast<char*>(call.workspace(100))[100] = 0;
                }),
                "behind the end of the workspace");
}

TEST(Harness, CatchesTheUseOfGarbage) {
  expect_caught(doubling([](Call& call, float*, float* y) {
                  // Garbage that is not NaN leaks into the result of the second run only.
                  const auto* garbage = static_cast<unsigned char*>(call.workspace(64));
                  if (*garbage == 0x7F) y[0] = std::nextafter(y[0], 0.0f);
                }),
                "gives other bits in y");
}

TEST(Harness, CatchesAKernelThatNeedsAlignment) {
  expect_caught(doubling([](Call&, float*, float* y) {
                  if (reinterpret_cast<std::uintptr_t>(y) % 16 != 0) y[1] = 0;
                }),
                "elements of y are off");
}

TEST(Harness, CatchesAKernelThatCannotRunInPlace) {
  Problem problem = doubling([](Call&, float*, float*) {});
  problem.in_place = {{"y", "x"}};
  EXPECT_EQ(failures_of(problem), "");
  problem.body = [](Call& call) {
    visit_real(call.dtype(), "doubling", [&]<class T>(T) {
      const T *const x = call["x"].as<T>(), first = *x;
      T* const y = call["y"].as<T>();
      for (std::int64_t i = 0; i < kCount; ++i) y[i] = i > 0 && x[0] != first ? T{0} : 2 * x[i];
    });
  };
  expect_caught(problem, "running in place gives other bits in y");
}

TEST(Harness, MistrustsAConstantTruth) {
  Problem problem = doubling([](Call&, float*, float*) {});
  std::fill(problem.slot("x").values.begin(), problem.slot("x").values.end() - 1, 0.0);
  expect_caught(problem, "MISTRUSTED");
  problem.slot("y").sparse = true;
  EXPECT_EQ(failures_of(problem), "");
}

TEST(Harness, CountsAThrowAsAFailure) {
  expect_caught(doubling([](Call&, float*, float*) { fail("not implemented."); }),
                "it threw: not implemented.");
}

// y = 2.1x, as bf16 when that is the run under test.
Problem in_bf16(const std::function<bf16(float)>& kernel) {
  const Shape shape = features(1, kCount);
  Problem problem{.name = "harness/in_bf16", .dtype = DType::bf16};
  problem.slots = {in("x", shape, Draw("harness").normal(shape)), out("y", shape, {4})};
  problem.round_inputs();
  problem.body = [kernel](Call& call) {
    for (std::int64_t i = 0; i < kCount; ++i) {
      if (call.dtype() == DType::bf16) {
        call["y"].as<bf16>()[i] = kernel(to_float(call["x"].as<bf16>()[i]));
      } else {
        call["y"].as<double>()[i] = 2.1 * call["x"].as<double>()[i];
      }
    }
  };
  return problem;
}

bf16 truncated(float value) {
  return {static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16)};
}

TEST(Harness, AllowsOneRoundingTo16Bits) {
  EXPECT_EQ(failures_of(in_bf16([](float x) { return to_bf16(2.1f * x); })), "");
  const auto expect_off = [](const std::function<bf16(float)>& kernel) {
    const std::string failures = failures_of(in_bf16(kernel));
    EXPECT_NE(failures.find("in bf16 on ref: "), std::string::npos) << failures;
    EXPECT_NE(failures.find("elements of y are off"), std::string::npos) << failures;
    EXPECT_NE(failures.find("--dtype bf16"), std::string::npos) << failures;
  };
  expect_off([](float x) { return truncated(2.1f * x); });
  expect_off([](float x) { return bf16{static_cast<std::uint16_t>(to_bf16(2.1f * x).bits ^ 1)}; });
  expect_off([](float x) { return to_bf16(2.102f * x); });
}

TEST(Harness, AllowsTwoRoundingsTo16BitsWhereTheBudgetSaysSo) {
  Problem problem = in_bf16([](float x) { return to_bf16(x + to_float(to_bf16(1.1f * x))); });
  EXPECT_NE(failures_of(problem), "");
  problem.slot("y").budget.stores = 1;
  EXPECT_EQ(failures_of(problem), "");
}

TEST(Harness, RefusesDataThatTheDtypeDoesNotHold) {
  Problem problem = in_bf16([](float x) { return to_bf16(2.1f * x); });
  problem.slot("x").values[7] = 0.1;
  EXPECT_NE(failures_of(problem).find("tensor x has a value that bf16 does not hold"),
            std::string::npos);
}

// Up to the limits that before_store() gives a number is stored as `got`, beyond them it is not.
TEST(Harness, KnowsWhatIsStoredAsWhat) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto beside = [](double limit, double towards) -> double {
    return std::nextafter(static_cast<float>(limit), static_cast<float>(towards));
  };
  for (DType dtype : {DType::bf16, DType::f16}) {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
      const auto pattern = static_cast<std::uint16_t>(bits);
      const double got = dtype == DType::bf16 ? to_float(bf16{pattern}) : to_float(f16{pattern});
      if (std::isnan(got)) continue;
      for (double end : {-infinity, infinity}) {
        if (got == end) continue;
        const double limit = before_store(dtype, got, end);
        ASSERT_EQ(rounded(dtype, beside(limit, -end)), got) << got << " " << limit;
        ASSERT_NE(rounded(dtype, beside(limit, end)), got) << got << " " << limit;
      }
    }
  }
}

TEST(Harness, CatchesAWrongGradient) {
  const Shape shape = features(1, 9);
  Problem problem{.name = "harness/square"};
  problem.slots = {in("x", shape, Draw("square").normal(shape)),
                   in("dy", shape, Draw("square/dy").normal(shape)),
                   out("y", shape, {}),
                   out("dx", shape, {})};
  const auto body = [](double factor) {
    return [factor](Call& call) {
      const double *x = call["x"].as<double>(), *dy = call["dy"].as<double>();
      for (int i = 0; i < 9; ++i) {
        call["y"].as<double>()[i] = x[i] * x[i];
        call["dx"].as<double>()[i] = factor * x[i] * dy[i];
      }
    };
  };
  std::string failures;
  Table table(collecting(failures));
  problem.body = body(2);
  table.check_gradients(problem, "y", "dy", {{"x", "dx"}});
  EXPECT_EQ(failures, "");
  problem.body = body(2.001);
  table.check_gradients(problem, "y", "dy", {{"x", "dx"}});
  EXPECT_NE(failures.find("dx element 0 is"), std::string::npos) << failures;
}

// Counted among the skipped tests, so that nobody mistakes a green run here for a tested GPU.
TEST(CudaDevice, IsPresent) {
  for (const DeviceReport& report : list_devices()) {
    if (report.backend != BackendKind::cuda) continue;
    if (!report.usable) GTEST_SKIP() << "SKIP: no CUDA device (" << report.description << ")";
  }
}

}  // namespace
}  // namespace lamina::test
