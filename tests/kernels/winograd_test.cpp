// Convolution by Winograd's filtering, against ref in f64: every pass, odd sizes, any thread count.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/context.h"
#include "kernels/cpu/conv2d_impl.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

using cpu::Conv2dImpl;

// What a step of a convolution reads and writes.
struct Step {
  Conv2dDesc desc;
  std::vector<float> x, w, b, saved, dy;  // read; dy is changed where there is an activation
  std::vector<float> y, dx, dw, db;

  Step(const Conv2dDesc& d, unsigned seed) : desc(d) {
    std::mt19937 bits(seed);
    std::normal_distribution<float> normal;
    const auto draw = [&](std::int64_t count) {
      std::vector<float> values(static_cast<std::size_t>(count));
      for (float& value : values) value = normal(bits);
      return values;
    };
    x = draw(d.x.numel());
    w = draw(d.weights());
    b = draw(d.k);
    dy = draw(d.y().numel());
    saved = draw(d.y().numel());
    for (float& value : saved) value = std::max(value, 0.0f);
    y.assign(dy.size(), NAN);
    dx.assign(x.size(), NAN);
    dw.assign(w.size(), NAN);
    db.assign(b.size(), NAN);
  }

  void run(Context& ctx, Conv2d& plan) {
    const Shape filters{desc.k, 3, 3, desc.x.c};
    const auto tensor = [](std::vector<float>& v, const Shape& s) {
      return Tensor{v.data(), DType::f32, s};
    };
    const auto vector = [](std::vector<float>& v) {
      return vector_view(v.data(), DType::f32, std::ssize(v));
    };
    const Buffer workspace = ctx.allocate(plan.workspace_bytes());
    const auto spoil = [&] {
      std::fill_n(static_cast<float*>(workspace.data()), workspace.size() / sizeof(float), NAN);
      return workspace.data();
    };
    plan.forward(tensor(x, desc.x),
                 tensor(w, filters),
                 desc.bias ? vector(b) : Tensor{},
                 tensor(y, desc.y()),
                 spoil());
    if (!desc.backward_weights) return;
    plan.backward_weights(tensor(x, desc.x),
                          tensor(saved, desc.y()),
                          tensor(dy, desc.y()),
                          tensor(dw, filters),
                          desc.bias ? vector(db) : Tensor{},
                          spoil());
    if (desc.backward_data)
      plan.backward_data(tensor(dy, desc.y()), tensor(w, filters), tensor(dx, desc.x), spoil());
  }
};

// The matrices of winograd.h.
template <std::size_t rows, std::size_t columns>
using Matrix = std::array<std::array<double, columns>, rows>;
constexpr Matrix<6, 6> kInput{{{4, 0, -5, 0, 1, 0},
                               {0, -4, -4, 1, 1, 0},
                               {0, 4, -4, -1, 1, 0},
                               {0, -2, -1, 2, 1, 0},
                               {0, 2, -1, -2, 1, 0},
                               {0, 4, 0, -5, 0, 1}}};
constexpr Matrix<6, 3> kWeights{{{1. / 4, 0, 0},
                                 {-1. / 6, -1. / 6, -1. / 6},
                                 {-1. / 6, 1. / 6, -1. / 6},
                                 {1. / 24, 1. / 12, 1. / 6},
                                 {1. / 24, -1. / 12, 1. / 6},
                                 {0, 0, 1}}};
constexpr Matrix<4, 6> kOutput{
    {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}};

// How much a matrix enlarges at most, along one axis.
template <std::size_t rows, std::size_t columns>
double row_sum(const Matrix<rows, columns>& m) {
  double most = 0;
  for (const auto& row : m) {
    double sum = 0;
    for (double value : row) sum += std::abs(value);
    most = std::max(most, sum);
  }
  return most;
}
TEST(CpuConv2d, WinogradMatricesFilter) {
  // y[i] = sum over taps of d[i + tap] g[tap], for unit d and g.
  for (std::size_t in = 0; in < 6; ++in) {
    for (std::size_t tap = 0; tap < 3; ++tap) {
      for (std::size_t out = 0; out < 4; ++out) {
        double sum = 0;
        for (std::size_t i = 0; i < 6; ++i)
          sum += kOutput[out][i] * kWeights[i][tap] * kInput[i][in];
        EXPECT_NEAR(sum, in == out + tap ? 1.0 : 0.0, 1e-12);
      }
    }
  }
}

double worst_share(const std::vector<float>& got, const std::vector<float>& truth, double bound) {
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double share = std::abs(static_cast<double>(got[i]) - truth[i]) / bound;
    worst = std::isnan(share) ? INFINITY : std::max(worst, share);
  }
  return worst;
}

struct Shares {
  double y, dx, dw, db;
};

// The largest errors as shares of their bounds. Roundings are independent, so they add up like
// their squares: for n terms of normal factors the deviation is the unit roundoff times the root of
// n, times what the transforms make of it (the input's and the output's matrix along both axes; the
// weights' rows sum to one at most). The largest of a million normal errors is some five
// deviations; six are allowed.
Shares shares_of(const Step& got, const Step& truth) {
  constexpr double kUnit = 6 * 0x1p-24;
  const double enlarged = row_sum(kOutput) * row_sum(kInput);
  const auto terms = [](std::int64_t count) { return std::sqrt(static_cast<double>(count)); };
  const Shape y = got.desc.y();
  // tanh' = 1 - y^2 passes y's own error on to the terms of db: at most 0.77 of that in front of
  // the tanh. A rectifier's slope is that of the truth but next to its corner.
  const double passed_on =
      got.desc.act == Act::tanh ? 0.77 * enlarged * terms(9 * got.desc.x.c) : 0;
  return {worst_share(got.y, truth.y, kUnit * enlarged * terms(9 * got.desc.x.c)),
          worst_share(got.dx, truth.dx, kUnit * enlarged * terms(9 * got.desc.k)),
          worst_share(got.dw, truth.dw, kUnit * enlarged * terms(y.n * y.h * y.w)),
          worst_share(got.db, truth.db, kUnit * terms(y.n * y.h * y.w) * std::hypot(1, passed_on))};
}

Conv2dDesc conv(const Shape& x, std::int64_t k, std::int64_t pad, Act act = Act::none) {
  return {.x = x, .k = k, .r = 3, .s = 3, .pad_h = pad, .pad_w = pad, .act = act};
}

TEST(CpuConv2d, WinogradIsRight) {
  Context ref = make_context({.backend = BackendKind::ref});
  // Whole tiles and parts of tiles, one tile, one panel of filters and a part of one, with 16 and
  // with 64 in a panel, blocks of tiles that end in the middle of an image, paddings.
  const std::array descs{conv({2, 5, 5, 24}, 40, 1, Act::relu),
                         conv({1, 4, 4, 16}, 16, 1),
                         conv({2, 3, 5, 16}, 32, 1, Act::relu),
                         conv({3, 7, 9, 48}, 80, 1, Act::relu6),
                         conv({1, 12, 10, 32}, 64, 0, Act::tanh),
                         conv({2, 6, 6, 64}, 144, 2),
                         conv({9, 14, 14, 128}, 16, 1, Act::relu),
                         conv({40, 8, 8, 16}, 96, 1)};
  unsigned seed = 1;
  for (Conv2dDesc desc : descs) {
    if (!cpu::winograd_conv2d_can_run(desc)) continue;  // eight channels over, vectors of sixteen
    desc.bias = seed % 3 != 0;
    const std::string name = desc.x.to_string() + " to " + std::to_string(desc.k);
    Step truth(desc, seed), one(desc, seed);
    truth.run(ref, *make_conv2d(ref, desc));
    Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
    one.run(ctx, *cpu::make_conv2d_by(ctx, desc, Conv2dImpl::winograd));
    const Shares shares = shares_of(one, truth);
    EXPECT_LT(shares.y, 1) << name;
    EXPECT_LT(shares.dx, 1) << name;
    EXPECT_LT(shares.dw, 1) << name;
    if (desc.bias) {
      EXPECT_LT(shares.db, 1) << name;
    }
    RecordProperty("shares " + name,
                   fmt::format("{:.2f} {:.2f} {:.2f}", shares.y, shares.dx, shares.dw));
    for (int threads : {2, 3, 7}) {
      Context other = make_context({.backend = BackendKind::cpu, .threads = threads});
      Step more(desc, seed);
      more.run(other, *cpu::make_conv2d_by(other, desc, Conv2dImpl::winograd));
      EXPECT_EQ(more.y, one.y) << name << ", " << threads << " threads";
      EXPECT_EQ(more.dx, one.dx) << name << ", " << threads << " threads";
      EXPECT_EQ(more.dw, one.dw) << name << ", " << threads << " threads";
    }
    ++seed;
  }
}

// The same on any machine: what it is built for is known to the library alone.
bool is_wide() {
  Context fast = make_context({.backend = BackendKind::cpu, .threads = 1, .winograd = true});
  return make_conv2d(fast, conv({16, 28, 28, 128}, 128, 1))->describe() == "Winograd 4x4";
}

TEST(CpuConv2d, WinogradIsChosenWhereAllowedAndFaster) {
  Context plain = make_context({.backend = BackendKind::cpu, .threads = 1});
  Context fast = make_context({.backend = BackendKind::cpu, .threads = 1, .winograd = true});
  const Conv2dDesc large = conv({16, 28, 28, 128}, 128, 1);
  EXPECT_EQ(make_conv2d(plain, large)->describe().find("Winograd"), std::string::npos);
  if (!is_wide()) GTEST_SKIP() << "no AVX2 here";
  Conv2dDesc first = large;
  first.backward_data = false;
  EXPECT_EQ(make_conv2d(fast, first)->describe(), "Winograd 4x4");
  // Few pixels for many filters, other windows, odd channels.
  for (const Conv2dDesc& desc : {conv({1, 7, 7, 512}, 512, 1),
                                 conv({16, 28, 28, 124}, 128, 1),
                                 Conv2dDesc{.x = {16, 28, 28, 128},
                                 .k = 128,
                                 .r = 3,
                                 .s = 3,
                                 .stride_h = 2,
                                 .stride_w = 2,
                                 .pad_h = 1,
                                 .pad_w = 1}})
    EXPECT_EQ(make_conv2d(fast, desc)->describe().find("Winograd"), std::string::npos);
  EXPECT_THROW(cpu::make_winograd_conv2d(fast, conv({1, 8, 8, 20}, 16, 1)), Error);
}

}  // namespace
}  // namespace lamina::test
