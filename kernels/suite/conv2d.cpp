// Convolution: all three passes of a plan in one problem.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include <algorithm>
#include <array>

#include "kernels/cpu/conv2d_impl.h"
#include "kernels/suite/fused_act.h"
#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/product_layers.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  Conv2dDesc desc;
};

// Few and odd sizes: every way in which a window can meet an edge.
std::vector<Case> ragged_cases() {
  return {
      {"one_of_everything", {.x = {1, 1, 1, 1}, .k = 1}},
      {"window_is_input", {.x = {3, 5, 3, 2}, .k = 3, .r = 5, .s = 3}},
      {"window_beyond_input", {.x = {1, 2, 3, 3}, .k = 2, .r = 5, .s = 5, .pad_h = 2, .pad_w = 2}},
      {"pointwise", {.x = {2, 5, 7, 3}, .k = 5}},
      {"pointwise_strided", {.x = {2, 7, 5, 3}, .k = 7, .stride_h = 2, .stride_w = 2}},
      {"3x3_same", {.x = {1, 7, 5, 3}, .k = 5, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
      {"3x3_strided",
       {.x = {3, 7, 7, 1},
        .k = 3,
        .r = 3,
        .s = 3,
        .stride_h = 2,
        .stride_w = 2,
        .pad_h = 1,
        .pad_w = 1}},
      {"stride_beyond_window",
       {.x = {2, 9, 8, 3}, .k = 4, .r = 2, .s = 2, .stride_h = 3, .stride_w = 3}},
      {"row_window", {.x = {2, 5, 7, 3}, .k = 3, .r = 1, .s = 3, .pad_h = 1, .pad_w = 1}},
      {"column_window", {.x = {2, 7, 5, 3}, .k = 3, .r = 3, .s = 1}},
      {"uneven_stride",
       {.x = {2, 9, 11, 3}, .k = 5, .r = 3, .s = 2, .stride_h = 1, .stride_w = 3, .pad_h = 2}},
      {"dilated",
       {.x = {2, 9, 7, 3},
        .k = 4,
        .r = 3,
        .s = 3,
        .pad_h = 2,
        .pad_w = 1,
        .dilation_h = 2,
        .dilation_w = 2}},
      {"uneven_dilation",
       {.x = {1, 11, 7, 2},
        .k = 3,
        .r = 3,
        .s = 3,
        .stride_h = 2,
        .dilation_h = 3,
        .dilation_w = 1}},
      {"two_groups",
       {.x = {2, 5, 5, 6}, .k = 4, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 2}},
      {"depthwise",
       {.x = {2, 7, 5, 5}, .k = 5, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 5}},
      {"depthwise_doubled",
       {.x = {1, 6, 6, 3}, .k = 6, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .groups = 3}},
      {"groups_dilated",
       {.x = {2, 9, 9, 9},
        .k = 6,
        .r = 3,
        .s = 2,
        .pad_w = 1,
        .dilation_h = 2,
        .dilation_w = 3,
        .groups = 3}},
      {"wide_channels", {.x = {1, 3, 3, 65}, .k = 33, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
      {"no_bias", {.x = {2, 5, 5, 3}, .k = 5, .r = 3, .s = 3, .bias = false}},
      {"no_bias_relu",
       {.x = {2, 5, 5, 3}, .k = 5, .r = 3, .s = 3, .bias = false, .act = Act::relu}},
      {"relu", {.x = {2, 5, 7, 3}, .k = 5, .r = 3, .s = 3, .act = Act::relu}},
      {"relu6", {.x = {2, 5, 7, 3}, .k = 5, .r = 3, .s = 3, .act = Act::relu6}},
      {"tanh", {.x = {2, 5, 7, 3}, .k = 5, .r = 3, .s = 3, .act = Act::tanh}},
      {"sigmoid", {.x = {2, 5, 7, 3}, .k = 5, .r = 3, .s = 3, .act = Act::sigmoid}},
  };
}

// A filter a channel, for which backends have kernels of their own: channels that fill packs of
// four and eight and that do not, and more pixels than one chunk of a sum.
std::vector<Case> depthwise_cases() {
  const auto depthwise = [](const Shape& x, std::int64_t window, std::int64_t stride) {
    return Conv2dDesc{.x = x,
                      .k = x.c,
                      .r = window,
                      .s = window,
                      .stride_h = stride,
                      .stride_w = stride,
                      .pad_h = window / 2,
                      .pad_w = window / 2,
                      .groups = x.c};
  };
  std::vector<Case> cases{
      {"3x3", depthwise({2, 7, 6, 3}, 3, 1)},
      {"3x3_pairs", depthwise({1, 5, 7, 6}, 3, 1)},
      {"3x3_packs_of_4", depthwise({2, 6, 5, 12}, 3, 1)},
      {"3x3_packs_of_8", depthwise({1, 9, 5, 24}, 3, 1)},
      {"3x3_odd", depthwise({1, 6, 6, 33}, 3, 1)},
      {"3x3_strided_odd", depthwise({2, 9, 7, 8}, 3, 2)},
      {"3x3_strided_even", depthwise({2, 8, 10, 16}, 3, 2)},
      {"3x3_stride_3", depthwise({1, 11, 10, 6}, 3, 3)},
      {"5x5", depthwise({1, 8, 9, 8}, 5, 1)},
      {"5x5_strided", depthwise({2, 9, 11, 6}, 5, 2)},
      {"7x7", depthwise({1, 8, 8, 40}, 7, 1)},
      {"pointwise", depthwise({2, 3, 5, 6}, 1, 1)},
      {"many_channels", depthwise({1, 12, 12, 256}, 3, 1)},
      {"many_pixels", depthwise({3, 40, 36, 8}, 3, 1)},
      {"more_than_a_grid", depthwise({1, 12, 12, 4225}, 1, 1)},
      {"mobilenet/conv_dw_6", depthwise({2, 14, 14, 512}, 3, 1)},
  };
  Conv2dDesc dilated = depthwise({2, 9, 8, 8}, 3, 1);
  dilated.pad_h = dilated.dilation_h = dilated.dilation_w = 2;
  cases.push_back({"3x3_dilated", dilated});
  Conv2dDesc uneven = depthwise({2, 9, 8, 5}, 3, 1);
  uneven.s = 6;
  uneven.pad_w = 0;
  uneven.stride_h = 2;
  uneven.dilation_h = 2;
  uneven.bias = false;
  cases.push_back({"uneven", uneven});
  for (Act act : {Act::relu, Act::relu6, Act::tanh}) {
    Case activated{std::string(name_of(act)), depthwise({2, 6, 7, 16}, 3, 1)};
    activated.desc.act = act;
    cases.push_back(activated);
  }
  for (Case& c : cases) c.name = "depthwise/" + c.name;
  return cases;
}

// Groups of a few channels, several of which fill a vector, as in ResNeXt.
std::vector<Case> narrow_cases() {
  const auto narrow = [](const Shape& x, std::int64_t group, std::int64_t stride) {
    return Conv2dDesc{.x = x,
                      .k = x.c,
                      .r = 3,
                      .s = 3,
                      .stride_h = stride,
                      .stride_w = stride,
                      .pad_h = 1,
                      .pad_w = 1,
                      .groups = x.c / group};
  };
  Conv2dDesc relu = narrow({2, 5, 7, 32}, 4, 1);
  relu.act = Act::relu;
  return {{"narrow/4", narrow({2, 8, 14, 48}, 4, 1)},
          {"narrow/4_strided", narrow({1, 9, 15, 16}, 4, 2)},
          {"narrow/4_relu", relu},
          {"narrow/8", narrow({2, 7, 9, 32}, 8, 1)},
          {"narrow/16_strided", narrow({2, 8, 8, 48}, 16, 2)}};
}

// Large enough for the weight gradient to be cut: into chunks of the batch, one of which is an
// image short, of the filters, and of both.
std::vector<Case> chunked_cases() {
  return {
      {"chunks/images", {.x = {7, 12, 12, 16}, .k = 24, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
      {"chunks/many_images", {.x = {37, 9, 7, 24}, .k = 20, .r = 3, .s = 3}},
      {"chunks/filters", {.x = {1, 9, 9, 128}, .k = 256, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
      {"chunks/both", {.x = {3, 16, 16, 64}, .k = 128, .r = 3, .s = 3, .act = Act::relu}},
      {"chunks/groups", {.x = {5, 12, 12, 48}, .k = 96, .r = 3, .s = 3, .groups = 2}},
      {"chunks/pointwise", {.x = {6, 14, 14, 96}, .k = 192}},
  };
}

// The convolutions of the first five nets.
std::vector<Case> layer_cases(std::int64_t batch) {
  const auto conv =
      [&](std::int64_t size, std::int64_t c, std::int64_t k, std::int64_t pad, Act act) {
        return Conv2dDesc{.x = {batch, size, size, c},
                          .k = k,
                          .r = 5,
                          .s = 5,
                          .pad_h = pad,
                          .pad_w = pad,
                          .act = act};
      };
  std::vector<Case> cases{
      {"lenet_bn/conv1.0", conv(32, 1, 6, 0, Act::none)},
      {"lenet_bn/conv2.0", conv(14, 6, 16, 0, Act::none)},
      {"lenet5/net.0", conv(28, 1, 6, 2, Act::tanh)},
      {"lenet5/net.3", conv(14, 6, 16, 0, Act::tanh)},
      {"lenet5/net.6", conv(5, 16, 120, 0, Act::tanh)},
      {"lenet_fashion/conv.0", conv(28, 1, 6, 0, Act::sigmoid)},
      {"lenet_fashion/conv.3", conv(12, 6, 16, 0, Act::sigmoid)},
      {"cnn_mnist/conv1", conv(28, 1, 6, 0, Act::relu)},
      {"cnn_mnist/conv2", conv(12, 6, 6, 0, Act::relu)},
  };
  for (Case& c : cases) c.name += "@" + std::to_string(batch);
  return cases;
}

std::vector<Case> random_cases(int count) {
  std::vector<Case> cases;
  for (int i = 0; i < count; ++i) {
    const std::string name = "random/" + std::to_string(i);
    Draw draw("conv2d/" + name);
    const auto roll = [&](std::int64_t low, std::int64_t high) { return draw.roll(low, high); };
    const std::int64_t groups = roll(0, 2) == 0 ? roll(2, 4) : 1;
    Conv2dDesc d{
        .x = {},
        .k = groups * roll(1, 9),
        .r = roll(1, 5),
        .s = roll(1, 5),
        .stride_h = roll(1, 3),
        .stride_w = roll(1, 3),
        .dilation_h = roll(1, 2),
        .dilation_w = roll(1, 2),
        .groups = groups,
        .bias = roll(0, 3) > 0,
        .act = std::array{Act::none, Act::relu, Act::relu6}[static_cast<std::size_t>(roll(0, 2))]};
    // Less padding than the window reaches over, so that every window sees some of x.
    d.pad_h = roll(0, std::min<std::int64_t>(d.r - 1, 2));
    d.pad_w = roll(0, std::min<std::int64_t>(d.s - 1, 2));
    const std::int64_t h = d.dilation_h * (d.r - 1) + 1, w = d.dilation_w * (d.s - 1) + 1;
    d.x = {roll(1, 4), h + roll(0, 9), w + roll(0, 9), groups * roll(1, 9)};
    cases.push_back({name, d});
  }
  return cases;
}

// Bias and activation may come after the library, to what it has stored.
int stores_of(const Conv2dDesc& d) { return d.bias || d.act != Act::none ? 1 : 0; }

Problem make_problem(const Case& c, const std::string& regime, DType dtype = DType::f32) {
  const bool whole = regime == "exact";
  Problem problem{.name = "conv2d/" + c.name + "/" + regime,
                  .dtype = dtype,
                  .passes = kPasses,
                  .aligned_on_cuda = true};
  Draw draw(problem.name);
  // In 16 bits the sums have to stay small, see below.
  const std::int64_t largest = dtype == DType::f32 ? 3 : 1;
  const auto data = [&](const Shape& shape) {
    return whole ? draw.whole(shape, -largest, largest) : draw.normal(shape);
  };
  const Conv2dDesc& d = c.desc;
  const Shape w{d.k, d.r, d.s, d.x.c / d.groups}, b = features(1, d.k);
  problem.slots = {in("x", d.x, data(d.x)),
                   in("w", w, data(w)),
                   gradient_slot(d.act, d.y(), data(d.y())),
                   out("y", d.y(), {.stores = stores_of(d)}),
                   out("dx", d.x, exactly()),
                   out("dw", w, exactly())};
  if (d.bias) {
    // A negative bias in front of a ReLU could leave nothing to compare.
    const bool rectified = d.act == Act::relu || d.act == Act::relu6;
    problem.slots.push_back(in("b", b, rectified ? absolute(data(b)) : data(b)));
    problem.slots.push_back(out("db", b, exactly()));
  }
  if (d.act != Act::none)
    problem.slots.push_back(in("saved", d.y(), saved_output(d.act, draw, d.y())));
  problem.round_inputs();
  // Ones and a bias of one: as far as every whole number is in the dtype, y is in it.
  const std::int64_t sum = d.r * d.s * d.x.c / d.groups + 1;
  if (whole && ((dtype == DType::bf16 && sum > 256) || (dtype == DType::f16 && sum > 2048)))
    problem.unfit = "sums not representable";
  const std::string output = output_for_backward(d.act, regime);
  problem.body = [d, output](Call& call) { run_passes(call, make_conv2d, d, output); };
  const cpu::OwnPasses own = cpu::own_passes(d);
  if (own.forward) problem.peer_passes.emplace_back("forward");
  if (own.weights) problem.peer_passes.emplace_back("weights");
  if (own.data) problem.peer_passes.emplace_back("data");
  if (dtype == DType::f32 && !problem.peer_passes.empty()) {
    problem.peer_name = dnnl_name();
    problem.peer = [d, output](Call& call) { run_passes(call, conv2d_by_dnnl, d, output); };
  }
  // With stride or padding beyond the window, much of x may meet no weight at all.
  problem.slot("dx").sparse = d.stride_h > d.r || d.stride_w > d.s;
  return problem;
}

Problem real_problem(const Case& c, DType dtype) {
  Problem problem = make_problem(c, "real", dtype);
  Case bare = c;
  bare.desc.act = Act::none;
  Problem sizes = absolute(make_problem(bare, "real", dtype));
  const auto magnitude = execute_ref(sizes).values;
  const Conv2dDesc& d = c.desc;
  const std::int64_t outputs = d.x.n * d.y().h * d.y().w;
  const std::int64_t window = d.r * d.s;
  problem.slot("y").budget = sum_budget(window * d.x.c / d.groups, magnitude.at("y"));
  if (d.act == Act::tanh || d.act == Act::sigmoid) problem.slot("y").budget.roundings += 8;
  problem.slot("y").budget.stores = stores_of(d);
  problem.slot("dx").budget = gradient_budget(d.act, window * d.k / d.groups, magnitude.at("dx"));
  problem.slot("dw").budget = gradient_budget(d.act, outputs, magnitude.at("dw"));
  if (d.bias) problem.slot("db").budget = gradient_budget(d.act, outputs, magnitude.at("db"));
  return problem;
}

void check_cases(Table& table, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    if (stays_exact(c.desc.act)) table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

void ragged_shapes(Table& table) { check_cases(table, ragged_cases()); }
void depthwise(Table& table) { check_cases(table, depthwise_cases()); }
void narrow_groups(Table& table) { check_cases(table, narrow_cases()); }
void chunked(Table& table) { check_cases(table, chunked_cases()); }
void random_shapes(Table& table) { check_cases(table, random_cases(60)); }

void first_nets(Table& table) {
  for (std::int64_t batch : {7, 64}) {
    // The plain loops have nothing to show at the larger batch but their patience.
    if (table.backend() == BackendKind::ref && batch > 7) continue;
    for (const Case& c : layer_cases(batch)) {
      if (stays_exact(c.desc.act) && batch == 7) table.check(make_problem, c, "exact");
      table.check(real_problem, c);
    }
  }
}

void match_differences(Table& table) {
  for (const Case& c : ragged_cases()) {
    if (c.desc.x.numel() > 500) continue;
    std::vector<GradientPair> pairs{{"x", "dx"}, {"w", "dw"}};
    if (c.desc.bias) pairs.push_back({"b", "db"});
    table.check_gradients(make_problem(c, "difference"), "y", "dy", pairs);
  }
}

}  // namespace

void add_conv2d(Suite& suite) {
  suite.add_layer("conv2d", check_conv2d_layer);
  suite.add("RaggedShapes", ragged_shapes);
  suite.add("Depthwise", depthwise);
  suite.add("NarrowGroups", narrow_groups);
  suite.add("Chunked", chunked);
  suite.add("RandomShapes", random_shapes);
  suite.add("FirstNets", first_nets);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
