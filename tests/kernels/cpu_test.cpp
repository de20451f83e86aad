// What is particular to the cpu backend: every implementation it may choose from, by name, results
// that do not depend on the number of threads, and the precision of its functions.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/activation.h"
#include "kernels/batch_norm.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/ema.h"
#include "kernels/optimizer.h"
#include "kernels/suite/fused_act.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

using cpu::Conv2dImpl;
using cpu::LinearImpl;

std::string name_of(Conv2dImpl impl) {
  return std::array{"automatic",
                    "images",
                    "linear",
                    "winograd",
                    "taps",
                    "groups",
                    "dnnl",
                    "widened"}[static_cast<std::size_t>(impl)];
}

bool can_run(Conv2dImpl impl, const Conv2dDesc& desc) {
  if (impl == Conv2dImpl::images) return cpu::images_conv2d_can_run(desc);
  if (impl == Conv2dImpl::linear) return cpu::linear_conv2d_can_run(desc);
  if (impl == Conv2dImpl::taps) return cpu::taps_conv2d_can_run(desc);
  if (impl == Conv2dImpl::groups) return cpu::groups_conv2d_can_run(desc);
  return true;
}

// Whole numbers: every sum is exact, so whatever the implementation the results are the same.
Problem conv2d_problem(const std::string& name, const Conv2dDesc& d, Conv2dImpl impl) {
  Problem problem{.name = "cpu/conv2d/" + name_of(impl) + "/" + name};
  Draw draw(problem.name);
  const Shape w{d.k, d.r, d.s, d.x.c / d.groups}, b = features(1, d.k);
  problem.slots = {in("x", d.x, draw.whole(d.x)),
                   in("w", w, draw.whole(w)),
                   gradient_slot(d.act, d.y(), draw.whole(d.y())),
                   out("y", d.y(), exactly()),
                   out("dw", w, exactly())};
  if (d.backward_data) problem.slots.push_back(out("dx", d.x, exactly()));
  if (d.bias) {
    problem.slots.push_back(in("b", b, absolute(draw.whole(b))));
    problem.slots.push_back(out("db", b, exactly()));
  }
  if (d.act != Act::none)
    problem.slots.push_back(in("saved", d.y(), saved_output(d.act, draw, d.y())));
  problem.body = [d, impl, output = output_for_backward(d.act, "exact")](Call& call) {
    Conv2dDesc typed = d;
    typed.dtype = call.dtype();
    const auto plan = call.ctx().backend() == BackendKind::cpu
                          ? cpu::make_conv2d_by(call.ctx(), typed, impl)
                          : make_conv2d(call.ctx(), typed);
    const auto workspace = [&] { return call.workspace(plan->workspace_bytes()); };
    plan->forward(call["x"], call["w"], call["b"], call["y"], workspace());
    plan->backward_weights(
        call["x"], call[output], call["dy"], call["dw"], call["db"], workspace());
    if (d.backward_data) plan->backward_data(call["dy"], call["w"], call["dx"], workspace());
  };
  // Some windows see mostly padding, some gradients meet no weight.
  for (const char* output : {"y", "dw"}) problem.slot(output).sparse = true;
  if (d.backward_data) problem.slot("dx").sparse = true;
  return problem;
}

// Around the sizes the implementations are cut by: 16 images, 16 channels, blocks of filters.
Conv2dDesc random_conv2d(const std::string& name) {
  Draw draw(name);
  const auto roll = [&](std::int64_t low, std::int64_t high) { return draw.roll(low, high); };
  Conv2dDesc d{.k = roll(1, 20),
               .r = roll(1, 5),
               .s = roll(1, 5),
               .pad_h = roll(0, 3),
               .pad_w = roll(0, 3),
               .bias = roll(0, 3) > 0,
               .act = roll(0, 1) == 0 ? Act::none : Act::relu,
               .backward_data = roll(0, 4) > 0};
  if (roll(0, 3) == 0) {
    d.stride_h = roll(1, 3);
    d.stride_w = roll(1, 3);
  }
  d.x = {roll(1, 40), d.r + roll(0, 6), d.s + roll(0, 12), roll(1, 9)};
  if (roll(0, 5) == 0) {  // a window as large as the input
    d.x.h = d.r;
    d.x.w = d.s;
    d.pad_h = d.pad_w = 0;
  }
  return d;
}

TEST(CpuConv2d, EveryImplementationIsExact) {
  Table table(of_this_test(BackendKind::cpu));
  constexpr std::array kImpls{Conv2dImpl::automatic,
                              Conv2dImpl::images,
                              Conv2dImpl::linear,
                              Conv2dImpl::taps,
                              Conv2dImpl::dnnl};
  std::array<int, cpu::kConv2dImpls> ran{};
  for (int i = 0; i < 60; ++i) {
    const std::string name = std::to_string(i);
    const Conv2dDesc desc = random_conv2d("cpu/conv2d/" + name);
    for (Conv2dImpl impl : kImpls) {
      if (!can_run(impl, desc)) continue;
      ++ran[static_cast<std::size_t>(impl)];
      table.check(conv2d_problem(name, desc, impl));
    }
  }
  for (Conv2dImpl impl : kImpls) EXPECT_GT(ran[static_cast<std::size_t>(impl)], 0);
}

// oneDNN's weight gradient cut by filters alone, and by unequal numbers of images too.
TEST(CpuConv2d, PartsOfOneDnnAreExact) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Table table(of_this_test(BackendKind::cpu));
  const auto check = [&](const Conv2dDesc& desc, const char* parts) {
    const auto plan = cpu::make_conv2d_by(ctx, desc, Conv2dImpl::dnnl);
    EXPECT_NE(plan->describe().find(parts), std::string::npos) << plan->describe();
    table.check(conv2d_problem(desc.x.to_string(), desc, Conv2dImpl::dnnl));
  };
  check({.x = {3, 7, 7, 16}, .k = 128, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}, "in 1x4");
  check({.x = {5, 14, 14, 64}, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .bias = true},
        "in 2x2");
}

// Of bf16 tensors by way of f32, also where the machine multiplies bf16.
TEST(CpuConv2d, WidenedIsExact) {
  Table table(of_this_test(BackendKind::cpu));
  for (Act act : {Act::none, Act::relu}) {
    const Conv2dDesc desc{.x = {3, 9, 7, 5}, .k = 6, .r = 3, .s = 3, .pad_h = 1, .act = act};
    Problem problem =
        conv2d_problem(act == Act::none ? "plain" : "relu", desc, Conv2dImpl::widened);
    problem.dtype = DType::bf16;
    table.check(problem);
  }
}

// Several panels of channels and filters, the last ones not full, taps that no output sees, and
// more than is copied at a time.
TEST(CpuConv2d, TapsAreExact) {
  Table table(of_this_test(BackendKind::cpu));
  const std::array shapes{
      Conv2dDesc{.x = {3, 2, 2, 150}, .k = 52, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
      Conv2dDesc{.x = {2, 1, 1, 33}, .k = 25, .r = 5, .s = 3, .pad_h = 2, .pad_w = 1},
      Conv2dDesc{.x = {5, 7, 9, 20},
                 .k = 100,
                 .r = 3,
                 .s = 2,
                 .stride_h = 2,
                 .stride_w = 3,
                 .pad_h = 3,
                 .pad_w = 1,
                 .dilation_h = 2,
                 .dilation_w = 3},
      Conv2dDesc{.x = {2, 400, 400, 8}, .k = 8, .r = 1, .s = 2}};
  for (const Conv2dDesc& desc : shapes)
    table.check(conv2d_problem(desc.x.to_string(), desc, Conv2dImpl::taps));
}

// Groups of each width, borders and strides with the columns of dx in turn, rows and outputs that
// do not come out even, and a sum over more rows than a chunk.
TEST(CpuConv2d, GroupsAreExact) {
  Table table(of_this_test(BackendKind::cpu));
  constexpr std::int64_t c = 48;
  for (const std::int64_t group : {4, 8, 16}) {
    const std::array shapes{
        Conv2dDesc{.x = {2, 9, 35, c}, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
        Conv2dDesc{.x = {3, 8, 15, c},
                   .r = 3,
                   .s = 3,
                   .stride_h = 2,
                   .stride_w = 2,
                   .pad_h = 1,
                   .pad_w = 1,
                   .act = Act::relu},
        Conv2dDesc{.x = {1, 7, 10, c},
                   .r = 2,
                   .s = 4,
                   .stride_h = 3,
                   .stride_w = 2,
                   .pad_h = 3,
                   .pad_w = 4,
                   .dilation_h = 2,
                   .dilation_w = 3},
        Conv2dDesc{.x = {2, 3, 2, c}, .r = 1, .s = 1, .stride_h = 2, .stride_w = 3},
        Conv2dDesc{.x = {1, 9, 8, c}, .r = 8, .s = 8, .pad_h = 4, .pad_w = 4}};
    for (Conv2dDesc desc : shapes) {
      desc.k = c;
      desc.groups = c / group;
      if (group == 16 && !can_run(Conv2dImpl::groups, desc)) continue;  // vectors of eight
      table.check(conv2d_problem(
          fmt::format("{}/{}", desc.x.to_string(), group), desc, Conv2dImpl::groups));
    }
  }
}

// Passes taken from different implementations share one plan and one workspace.
TEST(CpuConv2d, MixedPlansAreExact) {
  Table table(of_this_test(BackendKind::cpu));
  const std::array shapes{Conv2dDesc{.x = {16, 9, 9, 3}, .k = 16, .r = 3, .s = 3},
                          Conv2dDesc{.x = {16, 7, 7, 8}, .k = 16, .r = 3, .s = 3},
                          Conv2dDesc{.x = {16, 6, 6, 6}, .k = 16, .r = 5, .s = 5}};
  for (const Conv2dDesc& desc : shapes)
    table.check(conv2d_problem("mixed/" + desc.x.to_string(), desc, Conv2dImpl::automatic));
}

TEST(CpuLinear, EveryImplementationIsExact) {
  Table table(of_this_test(BackendKind::cpu));
  for (int i = 0; i < 40; ++i) {
    for (LinearImpl impl : {LinearImpl::automatic, LinearImpl::direct, LinearImpl::dnnl}) {
      Problem problem{.name = "cpu/linear/" + std::to_string(static_cast<int>(impl)) + "/" +
                              std::to_string(i)};
      Draw draw("cpu/linear/" + std::to_string(i));
      const LinearDesc d{.n = draw.roll(1, 40),
                         .in = draw.roll(1, 90),
                         .k = draw.roll(1, 90),
                         .bias = draw.roll(0, 3) > 0,
                         .act = draw.roll(0, 1) == 0 ? Act::none : Act::relu};
      const Shape x = features(d.n, d.in), w{d.k, 1, 1, d.in}, y = features(d.n, d.k);
      problem.slots = {in("x", x, draw.whole(x)),
                       in("w", w, draw.whole(w)),
                       gradient_slot(d.act, y, draw.whole(y)),
                       out("y", y, exactly()),
                       out("dx", x, exactly()),
                       out("dw", w, exactly())};
      if (d.bias) {
        problem.slots.push_back(in("b", features(1, d.k), draw.whole(features(1, d.k))));
        problem.slots.push_back(out("db", features(1, d.k), exactly()));
      }
      if (d.act != Act::none) problem.slots.push_back(in("saved", y, saved_output(d.act, draw, y)));
      problem.body = [d, impl, output = output_for_backward(d.act, "exact")](Call& call) {
        LinearDesc typed = d;
        typed.dtype = call.dtype();
        const auto plan = call.ctx().backend() == BackendKind::cpu
                              ? cpu::make_linear_by(call.ctx(), typed, impl)
                              : make_linear(call.ctx(), typed);
        const auto workspace = [&] { return call.workspace(plan->workspace_bytes()); };
        plan->forward(call["x"], call["w"], call["b"], call["y"], workspace());
        plan->backward_weights(
            call["x"], call[output], call["dy"], call["dw"], call["db"], workspace());
        plan->backward_data(call["dy"], call["w"], call["dx"], workspace());
      };
      table.check(problem);
    }
  }
}

// Tensors of f32 owned here, for tests that need no harness.
struct Owned {
  std::vector<float> values;
  Shape shape;

  explicit Owned(const Shape& s) : values(static_cast<std::size_t>(s.numel())), shape(s) {}
  Owned(const Shape& s, const Values& from) : values(from.begin(), from.end()), shape(s) {}
  operator Tensor() { return {values.data(), DType::f32, shape}; }
};

// All outputs of one step through our own kernels, on so many threads.
std::vector<std::vector<float>> outputs_with(int threads) {
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = threads});
  Draw draw("cpu/threads");
  std::vector<std::vector<float>> results;
  const auto random = [&](const Shape& s) { return Owned(s, draw.normal(s)); };
  const auto keep = [&](const Owned& t) { results.push_back(t.values); };

  const Conv2dDesc conv{.x = {40, 12, 12, 3}, .k = 7, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  Owned x = random(conv.x), w = random(features(1, conv.weights())), b = random(features(1, 7));
  Owned y(conv.y()), dy = random(conv.y()), dx(conv.x), dw(w.shape), db(b.shape);
  const auto plan = cpu::make_conv2d_by(ctx, conv, Conv2dImpl::images);
  const Buffer workspace = ctx.allocate(plan->workspace_bytes());
  plan->forward(x, w, b, y, workspace.data());
  plan->backward_weights(x, y, dy, dw, db, workspace.data());
  plan->backward_data(dy, w, dx, workspace.data());
  for (const Owned* t : {&y, &dx, &dw, &db}) keep(*t);
  const auto taps = cpu::make_conv2d_by(ctx, conv, Conv2dImpl::taps);
  const Buffer copies = ctx.allocate(taps->workspace_bytes());
  taps->backward_weights(x, y, dy, dw, db, copies.data());
  for (const Owned* t : {&dw, &db}) keep(*t);

  const Conv2dDesc grouped{.x = {3, 12, 12, 16}, .k = 16, .r = 3, .s = 3, .groups = 4};
  Owned gx = random(grouped.x), gw = random(features(1, grouped.weights())),
        gb = random(features(1, 16)), gy(grouped.y()), gdy = random(grouped.y()), gdx(grouped.x),
        gdw(gw.shape), gdb(gb.shape);
  const auto groups = cpu::make_conv2d_by(ctx, grouped, Conv2dImpl::groups);
  const Buffer sums = ctx.allocate(groups->workspace_bytes());
  groups->forward(gx, gw, gb, gy, sums.data());
  groups->backward_weights(gx, gy, gdy, gdw, gdb, sums.data());
  groups->backward_data(gdy, gw, gdx, sums.data());
  for (const Owned* t : {&gy, &gdx, &gdw, &gdb}) keep(*t);

  const Shape channels = features(1, 7);
  Owned gamma = random(channels), beta = random(channels), mean(channels), invstd(channels);
  Owned running_mean(channels), running_var(channels), normed(conv.y());
  std::int64_t batches = 0;
  const BatchNormParams params{
      gamma, beta, running_mean, running_var, vector_view(&batches, DType::i64, 1)};
  const BatchNormOpts opts{.act = Act::relu};
  batch_norm_train(ctx, opts, y, {}, params, normed, mean, invstd);
  Owned dgamma(channels), dbeta(channels), dnormed(conv.y());
  batch_norm_backward(
      ctx, opts, y, normed, dy, gamma, beta, mean, invstd, dnormed, {}, dgamma, dbeta);
  for (const Owned* t : {&normed, &mean, &invstd, &dnormed, &dgamma, &dbeta}) keep(*t);

  const LinearDesc fc{.n = 40, .in = 130, .k = 70};
  Owned fx = random(features(40, 130)), fw = random(features(1, 70 * 130)),
        fb = random(features(1, 70));
  Owned fy(features(40, 70)), fdy = random(features(40, 70)), fdx(fx.shape), fdw(fw.shape),
                              fdb(fb.shape);
  const auto linear = cpu::make_linear_by(ctx, fc, LinearImpl::direct);
  const Buffer scratch = ctx.allocate(linear->workspace_bytes());
  linear->forward(fx, fw, fb, fy, scratch.data());
  linear->backward_weights(fx, fy, fdy, fdw, fdb, scratch.data());
  linear->backward_data(fdy, fw, fdx, scratch.data());
  for (const Owned* t : {&fy, &fdx, &fdw, &fdb}) keep(*t);
  return results;
}

TEST(CpuThreads, OwnKernelsGiveTheSameBitsOnAnyNumberOfThreads) {
  const auto one = outputs_with(1);
  for (int threads : {2, 3, 5}) EXPECT_EQ(outputs_with(threads), one) << threads << " threads";
}

// The distance between neighbouring floats around a value.
double spacing(double value) {
  const auto f = static_cast<float>(std::abs(value));
  return std::nextafter(f, std::numeric_limits<float>::infinity()) - static_cast<double>(f);
}

// Which side of its corner a value lies on is decided by the same roundings both ways: beta puts
// the corner where half of the values are. That is seen from sums of nothing but gradients and,
// where statistics are frozen, from dx.
TEST(CpuBatchNorm, ARectifierSeenFromXIsTheOneSeenFromY) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Draw draw("cpu/rectifiers");
  for (const Act act : {Act::relu, Act::relu6}) {
    for (const Shape& shape : {Shape{8, 7, 5, 6}, Shape{4, 28, 28, 48}, Shape{2, 2, 2, 1031}}) {
      const Shape vector = features(1, shape.c);
      const auto channels = static_cast<std::size_t>(shape.c);
      Owned x(shape, draw.normal(shape)), dy(shape, draw.normal(shape)), y(shape);
      for (std::size_t i = 0; i < x.values.size(); i += 2 * channels)
        std::copy_n(x.values.begin(), channels, x.values.begin() + static_cast<std::ptrdiff_t>(i));
      Owned gamma(vector, draw.uniform(vector, 0.5, 4)), beta(vector), mean(vector), invstd(vector);
      Owned running_mean(vector, draw.normal(vector));
      Owned running_var(vector, draw.uniform(vector, 0.5, 2));
      std::int64_t batches = 0;
      const BatchNormParams p{
          gamma, beta, running_mean, running_var, vector_view(&batches, DType::i64, 1)};
      const BatchNormOpts opts{.act = act};
      for (const bool training : {false, true}) {
        if (training) batch_norm_train(ctx, opts, x, {}, p, y, mean, invstd);
        for (std::size_t c = 0; c < channels; ++c) {
          const float centre = training ? mean.values[c] : running_mean.values[c];
          const float scale = training
                                  ? gamma.values[c] * invstd.values[c]
                                  : static_cast<float>(gamma.values[c] /
                                                       std::sqrt(running_var.values[c] + opts.eps));
          beta.values[c] = -(x.values[c] - centre) * scale;
        }
        if (training)
          batch_norm_train(ctx, opts, x, {}, p, y, mean, invstd);
        else
          batch_norm_infer(ctx, opts, x, {}, p, y);
        const auto gradients = [&](const Tensor& seen) {
          Owned dx(shape), dgamma(vector), dbeta(vector);
          if (training)
            batch_norm_backward(
                ctx, opts, x, seen, dy, gamma, beta, mean, invstd, dx, {}, dgamma, dbeta);
          else
            batch_norm_backward_frozen(ctx, opts, x, seen, dy, p, dx, {}, dgamma, dbeta);
          if (training) dx.values.clear();
          return std::vector{dx.values, dbeta.values};
        };
        EXPECT_EQ(gradients(y), gradients({})) << name_of(act) << " " << shape.to_string();
      }
    }
  }
}

// Terms of one size, whose roundings all go the same way: a thousand of them in f32 would be off by
// more than a hundred units.
TEST(CpuBatchNorm, SumsOfManyRowsKeepTheirDigits) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  const Shape shape{16, 64, 64, 3}, vector = features(1, shape.c);
  const std::array<float, 3> terms{0.1f, 0.7f, 0.9f};
  Owned x(shape), dy(shape), ones(vector), zeros(vector), dgamma(vector), dbeta(vector);
  for (std::size_t i = 0; i < dy.values.size(); ++i) dy.values[i] = terms[i % 3];
  std::fill(x.values.begin(), x.values.end(), 0.0f);
  std::fill(zeros.values.begin(), zeros.values.end(), 0.0f);
  std::fill(ones.values.begin(), ones.values.end(), 1.0f);
  std::int64_t batches = 0;
  const BatchNormParams p{ones, zeros, zeros, ones, vector_view(&batches, DType::i64, 1)};
  batch_norm_backward_frozen(ctx, {}, x, {}, dy, p, {}, {}, dgamma, dbeta);
  const auto rows = static_cast<double>(shape.numel() / shape.c);
  for (std::size_t c = 0; c < 3; ++c) {
    const double exact = rows * static_cast<double>(terms[c]);
    EXPECT_LT(std::abs(dbeta.values[c] - exact), 4 * 0x1p-24 * exact) << "channel " << c;
  }
}

// Every 499th float there is, NaN and the infinities among them.
TEST(CpuFunctions, TanhAndSigmoidAreWithinThreeUnitsInTheLastPlace) {
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  constexpr std::uint64_t kStride = 499;
  Owned x(features(1, 1 << 16)), y(features(1, 1 << 16));
  for (Act act : {Act::tanh, Act::sigmoid}) {
    double worst = 0;
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32);) {
      for (float& value : x.values) {
        value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
        bits += kStride;
      }
      act_forward(ctx, act, x, y);
      for (std::size_t i = 0; i < x.values.size(); ++i) {
        const double v = x.values[i];
        const double exact = act == Act::tanh ? std::tanh(v) : 1 / (1 + std::exp(-v));
        if (std::isnan(v)) {
          EXPECT_TRUE(std::isnan(y.values[i]));
        } else {
          worst = std::max(worst, std::abs(y.values[i] - exact) / spacing(exact));
        }
      }
    }
    EXPECT_LT(worst, 3) << lamina::name_of(act);
    EXPECT_GT(worst, 0.1) << lamina::name_of(act) << ": measured nothing";
  }
}

// Every bf16, and floats around and between their neighbours. Denormals are flushed there.
TEST(CpuOptimizers, CopiesRoundToTheNearestEven) {
  std::vector<float> values;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (std::uint32_t low : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      const auto value = std::bit_cast<float>(high << 16 | low);
      if (!std::isfinite(value) || std::isnormal(value) || value == 0) values.push_back(value);
    }
  Context ctx = make_context({.backend = BackendKind::cpu});
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<float> average(values.size(), 0.0f);
  std::vector<bf16> copy(values.size());
  ema_step(ctx,
           0.0,
           vector_view(values.data(), DType::f32, count),
           vector_view(average.data(), DType::f32, count),
           vector_view(copy.data(), DType::bf16, count));
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool same = std::isnan(values[i]) ? std::isnan(to_float(copy[i]))
                                            : copy[i].bits == to_bf16(average[i]).bits;
    wrong += same && (std::isnan(values[i]) || average[i] == values[i]) ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0);
}

#ifdef __SSE__
// Left alone, rounding would keep the moments of a dead weight denormal for ever, at a hundred
// cycles each a step.
TEST(CpuOptimizers, DenormalMomentsGoToZero) {
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  const Shape shape = features(1, 37);
  Owned w(shape), dw(shape), m(shape), v(shape);
  std::fill(m.values.begin(), m.values.end(), std::numeric_limits<float>::denorm_min());
  std::fill(v.values.begin(), v.values.end(), std::numeric_limits<float>::denorm_min());
  StepState state{.lr = 1e-3f};
  adam_step(ctx, {}, &state, w, dw, m, v, {});
  EXPECT_EQ(m.values, std::vector<float>(37));
  EXPECT_EQ(v.values, std::vector<float>(37));
  // The rest of the program keeps its denormals.
  volatile float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_GT(tiny * 2.0f, 0.0f);
}
#endif

}  // namespace
}  // namespace lamina::test
