// The truth of such a layer would take `ref` minutes, so less is compared, and computed from the
// outputs (see channel_map.h): in whole numbers the random sum of all channels, in which any wrong
// element shows; of real numbers the channels that a bounded time allows, all where they are few.
// What is not compared must still be written and repeat bit for bit.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/product_layers.h"

#include <algorithm>

#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/suite/channel_map.h"
#include "kernels/suite/fused_act.h"
#include "kernels/suite/peers_dnnl.h"

namespace lamina::suite {
namespace {

constexpr double kMostProducts = 8e6;  // that the truth of a real case may take
constexpr std::int64_t kFewestChannels = 4;

// A linear layer is the convolution of single pixels.
struct Layer {
  std::string name;  // op/net/layer@batch
  Conv2dDesc d;
  bool linear = false;

  std::int64_t group_k() const { return d.k / d.groups; }
  std::int64_t group_c() const { return d.x.c / d.groups; }
  double products() const {
    return static_cast<double>(d.y().numel()) * static_cast<double>(d.r * d.s * group_c());
  }
};

LinearDesc linear_desc(const Conv2dDesc& d, DType dtype) {
  return {.n = d.x.n, .in = d.x.c, .k = d.k, .bias = d.bias, .act = d.act, .dtype = dtype};
}

// The pass whose output the call has: by oneDNN, or by what the backend chooses.
void run(Call& call, const Layer& layer, bool by_dnnl = false) {
  const auto with = [&](const auto& ours, const auto& theirs, const auto& desc) {
    by_dnnl ? run_passes(call, theirs, desc, "saved") : run_passes(call, ours, desc, "saved");
  };
  if (layer.linear)
    with(make_linear, linear_by_dnnl, linear_desc(layer.d, call.dtype()));
  else
    with(make_conv2d, conv2d_by_dnnl, layer.d);
}

std::string describe(const Layer& layer, DType dtype, Context& ctx) {
  if (layer.linear) return make_linear(ctx, linear_desc(layer.d, dtype))->describe();
  Conv2dDesc typed = layer.d;
  typed.dtype = dtype;
  return make_conv2d(ctx, typed)->describe();
}

// Whether the backend cpu makes the pass by a kernel of ours.
bool is_own(const Layer& layer, const std::string& pass) {
  const Conv2dDesc& d = layer.d;
  if (layer.linear) return cpu::linear_is_own({.n = d.x.n, .in = d.x.c, .k = d.k});
  const cpu::OwnPasses own = cpu::own_passes(d);
  return pass == "forward" ? own.forward : pass == "weights" ? own.weights : own.data;
}

Shape filters(const Conv2dDesc& d) { return {d.k, d.r, d.s, d.x.c / d.groups}; }

// dy in front of the activation.
Values unactivated(Act act, const Shape& shape, const Values& saved, const Values& dy) {
  if (act == Act::none) return dy;
  Problem problem;
  problem.slots = {in("y", shape, saved), in("dy", shape, dy), out("dx", shape, {})};
  problem.body = [act](Call& call) {
    act_backward(call.ctx(), act, call["y"], call["dy"], call["dx"]);
  };
  return execute_ref(problem).values.at("dx");
}

// The pass with its data, and in `small` what its truth is made of: the same pass of a layer with
// fewer channels, by ref.
struct PassOf {
  Problem problem, small;
  ChannelMap map;
  std::vector<std::pair<std::string, std::int64_t>> mapped;  // outputs, elements a channel
  Values dy;                                                 // in front of the activation, or none
};

Problem reference(const Conv2dDesc& d, std::vector<Slot> slots) {
  Problem problem{.name = "truth", .slots = std::move(slots)};
  const Layer layer{"", d};
  problem.body = [layer](Call& call) { run(call, layer); };
  return problem;
}

ChannelMap map_of(const Layer& layer, bool exact, std::int64_t from, Draw& draw) {
  if (exact) return ChannelMap::sums(layer.d.groups, from, draw);
  const double each = layer.products() / static_cast<double>(from);
  const auto count = static_cast<std::int64_t>(kMostProducts / each);
  return ChannelMap::choice(layer.d.groups, from, std::clamp(count, kFewestChannels, from), draw);
}

PassOf forward_of(const Layer& layer, bool exact, Problem problem, Draw& draw) {
  const Conv2dDesc& d = layer.d;
  const Shape vector = features(1, d.k);
  // Not negative in front of a ReLU, which then changes nothing, or a sum would not pass it.
  const bool positive = exact && d.act == Act::relu;
  const auto data = [&](const Shape& shape) {
    return exact ? draw.whole(shape, positive ? 0 : -2, 2) : draw.normal(shape);
  };
  problem.slots = {in("x", d.x, data(d.x)), in("w", filters(d), data(filters(d)))};
  if (d.bias) problem.slots.push_back(in("b", vector, data(vector)));
  problem.slots.push_back(out("y", d.y(), {}));
  problem.round_inputs();
  const ChannelMap map = map_of(layer, exact, layer.group_k(), draw);
  Conv2dDesc few = d;
  few.k = map.channels();
  if (exact) few.act = Act::none;
  std::vector<Slot> slots{
      problem.slot("x"),
      in("w", filters(few), map.apply(problem.slot("w").values, d.r * d.s * layer.group_c()))};
  if (d.bias) slots.push_back(in("b", features(1, few.k), map.apply(problem.slot("b").values)));
  slots.push_back(out("y", few.y(), {}));
  return {std::move(problem), reference(few, std::move(slots)), map, {{"y", 1}}, {}};
}

PassOf weights_of(const Layer& layer, bool exact, Problem problem, Draw& draw) {
  const Conv2dDesc& d = layer.d;
  const auto data = [&](const Shape& shape) {
    return exact ? draw.whole(shape, -2, 2) : draw.normal(shape);
  };
  problem.slots = {
      in("x", d.x, data(d.x)), gradient_slot(d.act, d.y(), data(d.y())), out("dw", filters(d), {})};
  if (d.bias) problem.slots.push_back(out("db", features(1, d.k), {}));
  if (d.act != Act::none)
    problem.slots.push_back(in("saved", d.y(), saved_output(d.act, draw, d.y())));
  problem.round_inputs();
  const Values saved = d.act == Act::none ? Values{} : problem.slot("saved").values;
  const Values dy = unactivated(d.act, d.y(), saved, problem.slot("dy").values);
  const ChannelMap map = map_of(layer, exact, layer.group_k(), draw);
  Conv2dDesc few = d;
  few.k = map.channels();
  few.act = Act::none;
  std::vector<Slot> slots{
      problem.slot("x"), in("dy", few.y(), map.apply(dy)), out("dw", filters(few), {})};
  if (d.bias) slots.push_back(out("db", features(1, few.k), {}));
  PassOf pass{std::move(problem),
              reference(few, std::move(slots)),
              map,
              {{"dw", d.r * d.s * layer.group_c()}},
              {}};
  if (d.bias) pass.mapped.emplace_back("db", 1);
  if (d.act != Act::none) pass.dy = dy;
  return pass;
}

PassOf data_of(const Layer& layer, bool exact, Problem problem, Draw& draw) {
  const Conv2dDesc& d = layer.d;
  const auto data = [&](const Shape& shape) {
    return exact ? draw.whole(shape, -2, 2) : draw.normal(shape);
  };
  problem.slots = {
      in("dy", d.y(), data(d.y())), in("w", filters(d), data(filters(d))), out("dx", d.x, {})};
  problem.round_inputs();
  const ChannelMap map = map_of(layer, exact, layer.group_c(), draw);
  Conv2dDesc few = d;
  few.x.c = map.channels();
  few.act = Act::none;
  std::vector<Slot> slots{problem.slot("dy"),
                          in("w", filters(few), map.apply(problem.slot("w").values)),
                          out("dx", few.x, {})};
  return {std::move(problem), reference(few, std::move(slots)), map, {{"dx", 1}}, {}};
}

// Terms of the sum that an element of the output is.
std::int64_t terms(const Layer& layer, const std::string& output) {
  const Conv2dDesc& d = layer.d;
  if (output == "y") return d.r * d.s * layer.group_c();
  if (output == "dx") return d.r * d.s * layer.group_k();
  return d.x.n * d.y().h * d.y().w;
}

Problem layer_problem(
    const Layer& layer, const std::string& pass, bool exact, bool judged, DType dtype) {
  Problem problem{.name = layer.name + (exact ? "/exact" : "/real"),
                  .pass = pass,
                  .dtype = dtype,
                  .aligned_on_cuda = true,
                  .any_size = true,
                  .flops = 2 * layer.products()};
  problem.body = [layer](Call& call) { run(call, layer); };
  problem.implementation = [layer, dtype](Context& ctx) { return describe(layer, dtype, ctx); };
  if (dtype == DType::f32 && is_own(layer, pass)) {
    problem.peer_name = dnnl_name();
    problem.peer = [layer](Call& call) { run(call, layer, /*by_dnnl=*/true); };
  }
  Draw draw(problem.name + pass);
  auto made = std::make_shared<PassOf>(
      pass == "forward"   ? forward_of(layer, exact, std::move(problem), draw)
      : pass == "weights" ? weights_of(layer, exact, std::move(problem), draw)
                          : data_of(layer, exact, std::move(problem), draw));
  if (!judged) return std::move(made->problem);
  Problem& small = made->small;
  const Act act = layer.d.act;
  const bool rounds = !stays_exact(act);
  Outcome sizes;
  if (!exact) {
    Problem bare = absolute(small);
    if (pass == "forward") {
      Conv2dDesc plain = layer.d;
      plain.k = made->map.channels();
      plain.act = Act::none;
      bare = reference(plain, bare.slots);
    }
    sizes = execute_ref(bare);
  }
  Reduction reduction;
  for (const auto& [name, inner] : made->mapped) {
    Slot slot = small.slot(name);
    if (exact) {
      slot.dtype = DType::f64;  // sums may be more than f32 holds
    } else {
      slot.budget = sum_budget(terms(layer, name), sizes.values.at(name));
      if (rounds) slot.budget.roundings += 8;
      slot.budget.stores = layer.d.bias || act != Act::none ? 1 : 0;
    }
    // With stride or padding beyond the window, much of x may meet no weight at all.
    slot.sparse = name == "dx" && (layer.d.stride_h > layer.d.r || layer.d.stride_w > layer.d.s);
    reduction.slots.push_back(std::move(slot));
  }
  if (!made->dy.empty()) reduction.slots.push_back(made->problem.slot("dy"));
  reduction.reduce = [made](Outcome& outcome) {
    for (const auto& [name, inner] : made->mapped)
      outcome.values[name] = made->map.apply(outcome.values.at(name), inner);
  };
  reduction.truth = [made] {
    Outcome truth = execute_ref(made->small);
    if (!made->dy.empty()) truth.values["dy"] = made->dy;
    return truth;
  };
  Problem result = std::move(made->problem);
  result.reduction = std::make_shared<const Reduction>(std::move(reduction));
  // In 16 bits whole numbers are held as far as the mantissa reaches.
  double largest = layer.d.bias ? 2 : 0;
  for (const auto& [name, inner] : made->mapped)
    largest = std::max(largest, 2 + 4 * static_cast<double>(terms(layer, name)));
  if (exact && ((dtype == DType::bf16 && largest > 256) || (dtype == DType::f16 && largest > 2048)))
    result.unfit = "sums not representable";
  return result;
}

void check_layer(Table& table, const Layer& layer) {
  for (bool exact : {true, false}) {
    // A sum of outputs says nothing behind other activations.
    if (exact && layer.d.act != Act::none && layer.d.act != Act::relu) continue;
    for (const char* pass : {"forward", "weights", "data"}) {
      if (!table.wants(layer.name + (exact ? "/exact" : "/real"), pass)) continue;
      table.check(
          [&](DType dtype) { return layer_problem(layer, pass, exact, table.judges(), dtype); });
    }
  }
}

}  // namespace

void check_conv2d_layer(Table& table, const LayerCase& layer) {
  check_layer(table, {"conv2d/" + layer.name, std::any_cast<Conv2dDesc>(layer.opts)});
}

void check_linear_layer(Table& table, const LayerCase& layer) {
  const auto d = std::any_cast<LinearDesc>(layer.opts);
  const Conv2dDesc conv{.x = features(d.n, d.in), .k = d.k, .bias = d.bias, .act = d.act};
  check_layer(table, {"linear/" + layer.name, conv, true});
}

}  // namespace lamina::suite
