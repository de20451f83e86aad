// Arguments that do not fit: every op on every backend refuses them with one sentence that names
// the op and the tensor, before it touches any memory.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/checks.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/accumulate.h"
#include "kernels/adaptive_pool.h"
#include "kernels/softmax.h"
#include "kernels/upsample.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

class ArgumentChecks : public KernelTest {
 protected:
  ArgumentChecks()
      : ctx_(make_context({.backend = GetParam(), .threads = 1})),
        memory_(ctx_.allocate(1 << 16)) {}

  // Each tensor in a room of its own.
  Tensor tensor(const Shape& shape, DType dtype = DType::f32) {
    return {memory_.bytes_at(next_++ % 64 * 1024), dtype, shape};
  }
  Tensor vector(std::int64_t count, DType dtype = DType::f32) {
    return tensor(features(1, count), dtype);
  }
  StepState* state() { return static_cast<StepState*>(tensor({}).data); }

  void refuses(const std::function<void()>& call, const std::vector<std::string>& words) {
    try {
      call();
      ADD_FAILURE() << "accepted what should name " << testing::PrintToString(words);
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_EQ(error.kind(), ErrorKind::request) << text;
      EXPECT_EQ(text.back(), '.') << text;
      for (const std::string& word : words)
        EXPECT_NE(text.find(word), std::string::npos) << "'" << text << "' lacks '" << word << "'";
    }
  }

  Context ctx_;
  Buffer memory_;
  std::size_t next_ = 0;
};
LAMINA_OVER_BACKENDS(ArgumentChecks);

const Shape kShape{2, 4, 4, 3};
const Shape kOther{2, 4, 3, 4};

TEST_P(ArgumentChecks, Pointwise) {
  const Tensor x = tensor(kShape), y = tensor(kShape), other = tensor(kOther);
  const Tensor half = tensor(kShape, DType::f16);
  refuses([&] { accumulate(ctx_, x, other); }, {"accumulate", "y is f32 [2, 4, 4, 3]"});
  refuses([&] { accumulate(ctx_, x, {}); }, {"accumulate", "y has no data"});
  refuses([&] { accumulate(ctx_, x, x); }, {"accumulate", "share memory"});
  refuses([&] { act_forward(ctx_, Act::relu, x, other); }, {"act_forward", "y is"});
  refuses([&] { act_forward(ctx_, Act::relu, tensor({0, 4, 4, 3}), y); }, {"x is", "at least 1"});
  refuses([&] { act_backward(ctx_, Act::relu, x, y, other); }, {"act_backward", "dx is"});
  refuses([&] { act_backward(ctx_, Act::relu, x, y, x); }, {"act_backward", "dx and y share"});
  refuses([&] { dropout(ctx_, {.p = 1.5}, state(), x, y); }, {"dropout", "1.5"});
  refuses([&] { dropout(ctx_, {}, nullptr, x, y); }, {"dropout", "state"});
  if (GetParam() != BackendKind::cuda) {
    refuses([&] { act_forward(ctx_, Act::relu, half, y); }, {"act_forward", "x is f16", "f32"});
  }
}

// A view that begins inside another is neither in place nor apart.
TEST_P(ArgumentChecks, PartialOverlap) {
  const Tensor x = tensor(kShape);
  const Tensor shifted{static_cast<std::byte*>(x.data) + 4, x.dtype, x.shape};
  refuses([&] { act_forward(ctx_, Act::tanh, x, shifted); }, {"act_forward", "share memory"});
  refuses([&] { softmax_forward(ctx_, shifted, x); }, {"softmax_forward", "share memory"});
}

TEST_P(ArgumentChecks, BatchNorm) {
  const Tensor x = tensor(kShape), y = tensor(kShape), dy = tensor(kShape), other = tensor(kOther);
  const Tensor c = vector(3), wrong = vector(4), count = vector(1, DType::i64);
  const Tensor mean = vector(3), invstd = vector(3);
  const BatchNormParams p{c, c, c, c, count};
  refuses([&] { batch_norm_train(ctx_, {}, x, {}, p, other, mean, invstd); },
          {"batch_norm_train", "y"});
  refuses(
      [&] {
        batch_norm_train(ctx_, {}, x, {}, {c, wrong, c, c, count}, y, mean, invstd);
      },
      {"batch_norm_train", "beta is", "3 elements"});
  refuses(
      [&] {
        batch_norm_train(ctx_, {}, x, {}, {c, c, c, c, c}, y, mean, invstd);
      },
      {"num_batches_tracked", "i64"});
  refuses([&] { batch_norm_train(ctx_, {.momentum = 2}, x, {}, p, y, mean, invstd); },
          {"momentum 2"});
  refuses([&] { batch_norm_apply(ctx_, {}, x, {}, c, c, mean, wrong, y); },
          {"batch_norm_apply", "invstd"});
  refuses(
      [&] {
        batch_norm_infer(ctx_, {}, x, {}, {c, c, wrong, c, {}}, y);
      },
      {"batch_norm_infer", "running_mean"});
  refuses([&] { batch_norm_backward(ctx_, {}, x, {}, dy, c, c, mean, wrong, y, {}, c, c); },
          {"invstd"});
  refuses([&] { batch_norm_backward(ctx_, {}, x, {}, dy, c, c, mean, invstd, y, {}, wrong, c); },
          {"batch_norm_backward", "dgamma"});
  refuses(
      [&] {
        batch_norm_backward(ctx_, {.act = Act::tanh}, x, {}, dy, c, c, mean, invstd, y, {}, c, c);
      },
      {"batch_norm_backward", "y has no data"});
  refuses(  // a rectifier behind a shortcut, which x does not tell of
      [&] {
        batch_norm_backward(ctx_, {.act = Act::relu}, x, {}, dy, c, c, mean, invstd, {}, y, c, c);
      },
      {"batch_norm_backward", "y has no data"});
  refuses([&] { batch_norm_backward_frozen(ctx_, {}, x, {}, other, p, y, {}, c, c); },
          {"batch_norm_backward_frozen", "dy"});
  // The shortcut and its gradient.
  refuses([&] { batch_norm_train(ctx_, {}, x, other, p, y, mean, invstd); },
          {"batch_norm_train", "z is", "like x"});
  refuses([&] { batch_norm_infer(ctx_, {}, x, other, p, y); }, {"batch_norm_infer", "z is"});
  refuses([&] { batch_norm_backward(ctx_, {}, x, {}, dy, c, c, mean, invstd, y, other, c, c); },
          {"batch_norm_backward", "dz is"});
  refuses([&] { batch_norm_backward_frozen(ctx_, {}, x, {}, dy, p, dy, dy, c, c); },
          {"batch_norm_backward_frozen", "dx and dz share"});
}

TEST_P(ArgumentChecks, Conv2d) {
  const Conv2dDesc desc{.x = kShape, .k = 5, .r = 3, .s = 3};
  Conv2dDesc bad = desc;
  bad.groups = 2;
  refuses([&] { make_conv2d(ctx_, bad); }, {"convolution", "groups"});
  bad = desc;
  bad.r = 5;
  refuses([&] { make_conv2d(ctx_, bad); }, {"convolution", "5x3", "does not fit"});
  bad = desc;
  bad.x.n = 0;
  refuses([&] { make_conv2d(ctx_, bad); }, {"conv2d", "at least 1"});
  bad = desc;
  bad.dtype = DType::i32;
  refuses([&] { make_conv2d(ctx_, bad); }, {"conv2d", "i32"});

  const auto plan = make_conv2d(ctx_, desc);
  const Buffer workspace = ctx_.allocate(plan->workspace_bytes());
  void* const ws = workspace.data();
  const Tensor x = tensor(kShape), w = vector(desc.weights()), b = vector(5), y = tensor(desc.y());
  refuses([&] { plan->forward(tensor(kOther), w, b, y, ws); }, {"conv2d forward", "x is"});
  refuses([&] { plan->forward(x, vector(7), b, y, ws); }, {"conv2d forward", "w is", "135"});
  refuses([&] { plan->forward(x, w, {}, y, ws); }, {"conv2d forward", "b has no data"});
  refuses([&] { plan->forward(x, w, b, x, ws); }, {"conv2d forward", "y is"});
  refuses([&] { plan->backward_data(x, w, x, ws); }, {"conv2d backward_data", "dy is"});
  refuses([&] { plan->backward_weights(x, {}, y, b, b, ws); },
          {"conv2d backward_weights", "dw is"});
  refuses([&] { plan->backward_weights(x, {}, y, w, w, ws); },
          {"conv2d backward_weights", "db is"});

  bad = desc;
  bad.act = Act::relu;
  const auto activated = make_conv2d(ctx_, bad);
  refuses([&] { activated->backward_weights(x, {}, y, w, b, ws); },
          {"conv2d backward_weights", "y has no data"});
  refuses([&] { activated->backward_weights(x, y, y, w, b, ws); },
          {"conv2d backward_weights", "share"});
  bad.backward_weights = false;
  refuses([&] { make_conv2d(ctx_, bad); }, {"conv2d", "only behind backward_weights"});

  bad = desc;
  bad.bias = false;
  const auto without_bias = make_conv2d(ctx_, bad);
  refuses([&] { without_bias->forward(x, w, b, y, ws); }, {"conv2d forward", "without bias"});
}

TEST_P(ArgumentChecks, Linear) {
  refuses([&] { make_linear(ctx_, {.n = 3, .in = 0, .k = 2}); }, {"linear", "0 inputs"});
  refuses([&] { make_linear(ctx_, {.dtype = DType::u8}); }, {"linear", "u8"});
  const auto plan = make_linear(ctx_, {.n = 3, .in = 48, .k = 5});
  const Buffer workspace = ctx_.allocate(plan->workspace_bytes());
  void* const ws = workspace.data();
  const Tensor x = tensor({3, 4, 4, 3}), w = vector(240), b = vector(5), y = tensor(features(3, 5));
  refuses([&] { plan->forward(tensor(kShape), w, b, y, ws); },
          {"linear forward", "x is", "3 samples"});
  refuses([&] { plan->forward(x, b, b, y, ws); }, {"linear forward", "w is", "240"});
  refuses([&] { plan->forward(x, w, w, y, ws); }, {"linear forward", "b is"});
  refuses([&] { plan->forward(x, w, b, x, ws); }, {"linear forward", "y is"});
  refuses([&] { plan->backward_data(y, w, y, ws); }, {"linear backward_data", "dx is"});
  refuses([&] { plan->backward_weights(x, {}, y, {}, b, ws); },
          {"linear backward_weights", "dw has no"});
  const auto activated = make_linear(ctx_, {.n = 3, .in = 48, .k = 5, .act = Act::tanh});
  refuses([&] { activated->backward_weights(x, {}, y, w, b, ws); },
          {"linear backward_weights", "y has no data"});
  refuses([&] { make_linear(ctx_, {.act = Act::tanh, .backward_weights = false}); },
          {"linear", "only behind backward_weights"});
}

TEST_P(ArgumentChecks, Losses) {
  const Tensor x = tensor(features(4, 5)), dx = tensor(features(4, 5)), loss = vector(1);
  const Tensor labels = vector(4, DType::i32);
  const auto judge = [&](const LossOpts& opts,
                         const Tensor& l,
                         const Tensor& sum,
                         const Tensor& gradient,
                         const Metrics& metrics) {
    class_loss(ctx_, opts, x, l, sum, gradient, metrics, nullptr);
  };
  const std::string op = "class_loss";
  refuses([&] { judge({}, vector(4), loss, dx, {}); }, {op, "labels is f32", "i32"});
  refuses([&] { judge({}, vector(5, DType::i32), loss, dx, {}); }, {op, "labels"});
  refuses([&] { judge({}, labels, vector(4), dx, {}); }, {op, "loss"});
  refuses([&] { judge({}, labels, loss, tensor(features(5, 4)), {}); }, {op, "dx"});
  refuses([&] { judge({}, labels, loss, dx, {vector(4), {}}); }, {op, "metrics.sums", "f64"});
  refuses(
      [&] {
        judge({}, labels, loss, dx, {{}, vector(5, DType::i64)});
      },
      {op, "metrics.confusion", "25 elements"});
  refuses([&] { judge({.mixup = {.alpha = 0.5}}, labels, loss, dx, {}); }, {op, "state"});
  refuses([&] { judge({.mixup = {.alpha = 2}}, labels, loss, dx, {}); }, {op, "state"});
  refuses([&] { judge({.smoothing = 1}, labels, loss, dx, {}); }, {op, "smoothing"});
  refuses([&] { judge({.kind = LossKind::hinge, .smoothing = 0.1}, labels, loss, dx, {}); },
          {op, "hinge"});
}

TEST_P(ArgumentChecks, Optimizers) {
  const Tensor w = vector(9), dw = vector(9), m = vector(9), v = vector(9), wrong = vector(8);
  refuses([&] { sgd_step(ctx_, {}, state(), w, wrong, {}, {}); }, {"sgd_step", "dw"});
  refuses([&] { sgd_step(ctx_, {}, nullptr, w, dw, {}, {}); }, {"sgd_step", "state"});
  refuses([&] { sgd_step(ctx_, {.momentum = 0.9}, state(), w, dw, {}, {}); },
          {"sgd_step", "m has no"});
  refuses([&] { sgd_step(ctx_, {.nesterov = true}, state(), w, dw, m, {}); },
          {"sgd_step", "momentum"});
  refuses([&] { adam_step(ctx_, {}, state(), w, dw, m, wrong, {}); }, {"adam_step", "v is"});
  refuses([&] { adam_step(ctx_, {}, state(), w, dw, m, m, {}); }, {"adam_step", "m and v share"});
  refuses([&] { adam_step(ctx_, {.beta2 = 1}, state(), w, dw, m, v, {}); },
          {"adam_step", "beta2 1"});
  refuses([&] { advance(ctx_, {.samples = 1}, nullptr, {}, {}); }, {"advance", "state"});
  refuses([&] { advance(ctx_, {.samples = -1}, state(), {}, {}); }, {"advance", "-1"});
  refuses([&] { advance(ctx_, {}, state(), vector(3, DType::i32), {}); },
          {"advance", "rates", "f32"});
  refuses([&] { advance(ctx_, {}, state(), {}, vector(3, DType::i32)); },
          {"advance", "momenta", "f32"});
  refuses([&] { rmsprop_step(ctx_, {.momentum = 0.9}, state(), w, dw, {}, v, {}); },
          {"rmsprop_step", "m has no"});
  refuses([&] { rmsprop_step(ctx_, {.alpha = 1}, state(), w, dw, {}, v, {}); },
          {"rmsprop_step", "alpha"});
  const Tensor spans = vector(2, DType::i64), norms = vector(2, DType::f64);
  refuses([&] { lars_step(ctx_, {}, state(), w, dw, m, {}, spans, vector(4, DType::f64)); },
          {"lars_step", "norms"});
  refuses([&] { lars_step(ctx_, {}, state(), w, dw, {}, {}, spans, norms); },
          {"lars_step", "m has no"});
  refuses([&] { sum_gradients(ctx_, true, dw, dw); }, {"sum_gradients", "share"});
  refuses([&] { clip_gradients(ctx_, {}, state(), dw, vector(1)); }, {"clip_gradients", "norm2"});
  refuses([&] { clip_gradients(ctx_, {.max_norm = 0}, state(), dw, vector(1, DType::f64)); },
          {"clip_gradients", "norm"});
  refuses([&] { ema_step(ctx_, 1.0, w, m, {}); }, {"ema_step", "decay"});
  refuses([&] { ema_step(ctx_, 0.9, w, wrong, {}); }, {"ema_step", "w"});
}

TEST_P(ArgumentChecks, Pools) {
  const Tensor x = tensor(kShape), y = tensor({2, 2, 2, 3}), wrong = tensor({2, 2, 3, 2});
  const Tensor idx = tensor({2, 2, 2, 3}, DType::u8);
  refuses([&] { max_pool_forward(ctx_, {}, x, wrong, idx); }, {"pool forward", "y is"});
  refuses([&] { max_pool_forward(ctx_, {}, x, y, y); }, {"max_pool_forward", "idx is f32", "u8"});
  refuses([&] { max_pool_backward(ctx_, {}, y, {}, x); }, {"max_pool_backward", "idx"});
  refuses([&] { max_pool_backward(ctx_, {}, wrong, idx, x); }, {"pool backward", "dy is"});
  refuses([&] { avg_pool_forward(ctx_, {.r = 5}, x, y); }, {"pooling", "5x2", "does not fit"});
  refuses([&] { avg_pool_forward(ctx_, {.pad_h = 2}, x, y); }, {"pooling", "padding 2x0"});
  refuses([&] { avg_pool_forward(ctx_, {.stride_h = 0}, x, y); }, {"pooling", "stride"});
  refuses([&] { avg_pool_backward(ctx_, {}, y, y); }, {"pool", "y"});
}

TEST_P(ArgumentChecks, Prepare) {
  const Tensor images = tensor({9, 4, 4, 3}, DType::u8), labels = vector(9, DType::i32);
  const Tensor order = vector(9, DType::i32), x = tensor(kShape), y = vector(2, DType::i32);
  const auto call = [&](const Tensor& i, const Tensor& l, const Tensor& o, const Tensor& to) {
    return [=, this] { prepare(ctx_, {}, state(), i, l, o, x, to, {}); };
  };
  refuses(call(x, labels, order, y), {"prepare", "images is f32", "u8"});
  refuses(call(tensor({9, 4, 4, 4}, DType::u8), labels, order, y),
          {"prepare", "4 channels do not fit"});
  refuses(call(images, vector(8, DType::i32), order, y), {"prepare", "labels is"});
  refuses(call(images, labels, vector(9), y), {"prepare", "order is f32"});
  refuses(call(images, labels, vector(1, DType::i32), y), {"prepare", "a batch of 2"});
  refuses(call(images, labels, order, vector(3, DType::i32)), {"prepare", "y is"});
  refuses([&] { prepare(ctx_, {}, state(), images, labels, order, x, y, vector(16)); },
          {"prepare", "pixels is f32"});
  refuses([&] { prepare(ctx_, {}, state(), images, labels, order, x, y, order); },
          {"prepare", "pixels is"});
  const auto refuses_opts = [&](const PrepareOpts& opts, const std::vector<std::string>& parts) {
    refuses([&] { prepare(ctx_, opts, state(), images, labels, order, x, y, {}); }, parts);
  };
  PrepareOpts opts;
  opts.stddev[1] = 0;
  refuses_opts(opts, {"prepare", "channel 1", "positive"});
  refuses_opts({.augment = {.padding = -1}}, {"prepare", "-1 pixels of padding"});
  refuses_opts({.augment = {.window = 1.5}}, {"prepare", "resized crop of at least 1.5"});
  refuses_opts({.augment = {.padding = 1, .window = 0.5}}, {"prepare", "exclude each other"});
  refuses_opts({.augment = {.cutout = -2}}, {"prepare", "cutout of -2"});
  refuses_opts({.augment = {.colour = std::nan("")}}, {"prepare", "colours by nan"});
  refuses_opts({.mixup = {.alpha = 1.5}}, {"prepare", "mixup", "1.5"});
  const Tensor grey = tensor({9, 4, 4, 1}, DType::u8);
  refuses(
      [&] { prepare(ctx_, {.augment = {.colour = 0.1}}, state(), grey, labels, order, x, y, {}); },
      {"prepare", "these have 1"});
  if (GetParam() == BackendKind::cuda) return;  // the host reads neither the state nor the order
  std::fill_n(order.as<std::int32_t>(), 9, 8);
  StepState now{.cursor = 8};
  const auto at = [&] { prepare(ctx_, {}, &now, images, labels, order, x, y, {}); };
  refuses(at, {"prepare", "2 samples from position 8", "the order's 9"});
  now.cursor = -1;
  refuses(at, {"prepare", "position -1"});
  now.cursor = 3;
  for (const std::int32_t number : {9, -1}) {
    order.as<std::int32_t>()[4] = number;
    refuses(at, {"prepare", fmt::format("sample 4 of the order is number {};", number), "[0, 9)"});
  }
}

TEST_P(ArgumentChecks, SoftmaxAndUpsample) {
  const Tensor x = tensor(kShape), y = tensor(kShape), wrong = tensor(features(2, 47));
  refuses([&] { softmax_forward(ctx_, x, wrong); }, {"softmax_forward", "y is"});
  refuses([&] { log_softmax_forward(ctx_, x, wrong); }, {"log_softmax_forward", "y is"});
  refuses([&] { softmax_backward(ctx_, x, y, wrong); }, {"softmax_backward", "dx is"});
  refuses([&] { log_softmax_backward(ctx_, x, wrong, y); }, {"log_softmax_backward", "dy is"});
  refuses([&] { upsample_forward(ctx_, x, tensor({3, 8, 8, 3})); }, {"upsample_forward", "y is"});
  refuses([&] { upsample_forward(ctx_, x, x); }, {"upsample_forward", "share memory"});
  refuses(
      [&] {
        upsample_backward(ctx_, tensor({2, 8, 8, 4}), x);
      },
      {"upsample_backward", "dy is"});
}

TEST_P(ArgumentChecks, AdaptivePool) {
  const Tensor x = tensor(kShape);
  refuses(
      [&] {
        adaptive_avg_pool_forward(ctx_, x, tensor({2, 1, 1, 4}));
      },
      {"adaptive_avg_pool_forward", "y is"});
  refuses([&] { adaptive_avg_pool_forward(ctx_, x, x); },
          {"adaptive_avg_pool_forward", "share memory"});
  refuses(
      [&] {
        adaptive_avg_pool_backward(ctx_, tensor({3, 1, 1, 3}), x);
      },
      {"adaptive_avg_pool_backward", "dy is"});
}

TEST_P(ArgumentChecks, Lrn) {
  const Tensor x = tensor(kShape), y = tensor(kShape), dy = tensor(kShape), other = tensor(kOther);
  refuses([&] { lrn_forward(ctx_, {}, x, other); }, {"lrn_forward", "y is"});
  refuses([&] { lrn_forward(ctx_, {}, x, x); }, {"lrn_forward", "share memory"});
  refuses([&] { lrn_forward(ctx_, {.size = 65}, x, y); }, {"lrn_forward", "size 65"});
  refuses([&] { lrn_forward(ctx_, {.k = 0}, x, y); }, {"lrn_forward", "k 0"});
  refuses([&] { lrn_backward(ctx_, {.size = 0}, x, dy, y); }, {"lrn_backward", "size 0"});
  refuses([&] { lrn_backward(ctx_, {}, x, other, y); }, {"lrn_backward", "dy is"});
  refuses([&] { lrn_backward(ctx_, {}, x, dy, dy); }, {"lrn_backward", "share memory"});
}

}  // namespace
}  // namespace lamina::test
