// SPDX-License-Identifier: Apache-2.0
#include "engine/train/nonfinite.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/graph/host_values.h"

namespace lamina {

namespace {

struct Look {
  std::int64_t count = 0, bad = 0, first_bad = -1;
  double low = std::numeric_limits<double>::infinity(), high = -low, mean = 0;
  float bad_value = 0;
};

Look look_at(Context& ctx, const Tensor& tensor) {
  Look look;
  look.count = tensor.numel();
  double sum = 0;
  const std::vector<float> values = read_values(ctx, tensor);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<double>(values[i]);
    if (!std::isfinite(value)) {
      if (look.bad++ == 0) {
        look.first_bad = static_cast<std::int64_t>(i);
        look.bad_value = values[i];
      }
      continue;
    }
    look.low = std::min(look.low, value);
    look.high = std::max(look.high, value);
    sum += value;
  }
  if (look.bad < look.count) look.mean = sum / static_cast<double>(look.count - look.bad);
  return look;
}

// "x from -0.4 to 2.8, mean 0.1"
std::string text_of(const std::string& name, const Look& look) {
  if (look.bad == look.count) return fmt::format("{} without a finite value", name);
  const std::string bad =
      look.bad > 0 ? fmt::format(", {} of {} values not finite", look.bad, look.count) : "";
  return fmt::format(
      "{} from {:.4g} to {:.4g}, mean {:.4g}{}", name, look.low, look.high, look.mean, bad);
}

// Where element `at` of a dense NHWC tensor is.
std::string place_of(const Shape& shape, std::int64_t at) {
  const std::int64_t c = at % shape.c, w = at / shape.c % shape.w;
  const std::int64_t h = at / shape.c / shape.w % shape.h, n = at / shape.per_sample();
  return fmt::format("n {}, h {}, w {}, c {}", n, h, w, c);
}

}  // namespace

NonfiniteWatch::NonfiniteWatch(Model& model, Program& program)
    : model_(&model), program_(&program) {
  program.set_observer([this](const std::string& name, const char* pass, bool begin) {
    const std::string_view kind = pass;
    if (kind == "loss") {
      if (!begin) after_loss();
      return;
    }
    if (kind == "recompute") return;  // was looked at in the forward pass
    if (kind != "forward" && model_->compute_dtype() == DType::f16) return;
    if (begin)
      before(node_of(name), kind);
    else
      after(node_of(name), kind);
  });
}

std::size_t NonfiniteWatch::node_of(const std::string& name) const {
  const auto& nodes = program_->graph().nodes();
  const auto found =
      std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) { return node.name == name; });
  return static_cast<std::size_t>(found - nodes.begin());
}

// A pass may write over what it reads: it is looked at before.
void NonfiniteWatch::before(std::size_t node, std::string_view pass) {
  Context& ctx = model_->context();
  const Node& what = program_->graph().nodes()[node];
  const Bound& t = program_->tensors_of(node);
  went_in_.clear();
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    if (!tensor) return;
    const Look look = look_at(ctx, tensor);
    went_in_ += (went_in_.empty() ? "" : "; ") + text_of(name, look);
  };
  if (pass == "forward") {
    for (std::size_t i = 0; i < t.x.size(); ++i)
      add(t.x.size() > 1 ? fmt::format("x[{}]", i) : "x", t.x[i]);
  } else {
    add("dy", t.dy);
  }
  const std::vector<ParamSpec> specs =
      what.layer->params(program_->graph().input_shapes(what, program_->batch()));
  for (std::size_t i = 0; i < t.p.size(); ++i)
    if (specs[i].kind != ParamSpec::Kind::counter) add(specs[i].name, t.p[i]);
}

void NonfiniteWatch::after(std::size_t node, std::string_view pass) {
  Context& ctx = model_->context();
  const Node& what = program_->graph().nodes()[node];
  const Bound& t = program_->tensors_of(node);
  const auto check = [&](const std::string& name, const Tensor& tensor) {
    if (!tensor) return;
    const Look look = look_at(ctx, tensor);
    if (look.bad == 0) return;
    fail(
        "layer '{}' ({}), {}: {} of {} values of {} are not finite, the first, {}, at {}; what "
        "went in: {}.",
        what.name,
        what.layer->type(),
        pass,
        look.bad,
        look.count,
        name,
        look.bad_value,
        place_of(tensor.shape, look.first_bad),
        went_in_);
  };
  if (pass == "forward") {
    check("its output", t.y);
    return;
  }
  if (pass != "backward weights")
    for (const Tensor& dx : t.dx) check("the gradient of its input", dx);
  if (pass == "backward data") return;
  const std::vector<ParamSpec> specs =
      what.layer->params(program_->graph().input_shapes(what, program_->batch()));
  for (std::size_t i = 0; i < t.dp.size(); ++i)
    check("the gradient of its " + specs[i].name, t.dp[i]);
}

void NonfiniteWatch::after_loss() {
  Context& ctx = model_->context();
  const Look loss = look_at(ctx, program_->loss());
  if (loss.bad == 0) return;
  fail("the loss is {}; what went in: {}.",
       loss.bad_value,
       text_of("the net's output", look_at(ctx, program_->output())));
}

}  // namespace lamina
