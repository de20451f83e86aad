// The reference backend against PyTorch: tests/fixtures/kernels.txt, written by make_kernels.py
// there. `ref` judges every other backend, so it has to stand on something else than our reading
// of the formulas.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "kernels/activation.h"
#include "kernels/adaptive_pool.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/gradient_slab.h"
#include "kernels/linear.h"
#include "kernels/loss.h"
#include "kernels/lrn.h"
#include "kernels/optimizer.h"
#include "kernels/pool.h"
#include "kernels/softmax.h"
#include "kernels/upsample.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

struct Recorded {
  Shape shape;
  Values values;
};

struct Case {
  std::string op, name;
  std::map<std::string, double> options;
  std::map<std::string, Recorded> tensors;

  double option(const std::string& key, double missing = 0) const {
    const auto found = options.find(key);
    return found == options.end() ? missing : found->second;
  }
  std::int64_t whole(const std::string& key) const {
    return static_cast<std::int64_t>(option(key));
  }
};

std::vector<Case> read_cases() {
  const std::string path = std::string(LAMINA_FIXTURES) + "/kernels.txt";
  std::ifstream file(path);
  LAMINA_CHECK(file.good(), "{} is missing; make it with make_kernels.py beside it.", path);
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, name;
    words >> kind;
    if (kind == "case") {
      Case& c = cases.emplace_back();
      words >> c.op >> c.name;
      for (std::string option; words >> option;) {
        const auto equals = option.find('=');
        c.options[option.substr(0, equals)] = std::stod(option.substr(equals + 1));
      }
    } else {
      words >> name;
      Recorded& t = cases.back().tensors[name];
      words >> t.shape.n >> t.shape.h >> t.shape.w >> t.shape.c;
      for (double value; words >> value;) t.values.push_back(value);
    }
  }
  return cases;
}

// What a case gives goes in, what PyTorch found is what must come out.
Problem problem_of(const Case& c,
                   const std::vector<std::string>& inputs,
                   const std::vector<std::string>& outputs) {
  Problem problem{.name = c.op + "/" + c.name};
  for (const std::string& name : inputs) {
    const Recorded& t = c.tensors.at(name);
    problem.slots.push_back(in(name, t.shape, t.values));
  }
  for (const std::string& name : outputs)
    problem.slots.push_back(out(name, c.tensors.at(name).shape, {}));
  return problem;
}

Problem conv2d_problem(const Case& c) {
  Problem problem = problem_of(c, {"x", "w", "b", "dy"}, {"y", "dx", "dw", "db"});
  const Shape& w = problem.slot("w").shape;
  const Conv2dDesc desc{.x = problem.slot("x").shape,
                        .k = w.n,
                        .r = w.h,
                        .s = w.w,
                        .stride_h = c.whole("stride_h"),
                        .stride_w = c.whole("stride_w"),
                        .pad_h = c.whole("pad_h"),
                        .pad_w = c.whole("pad_w"),
                        .dilation_h = c.whole("dilation_h"),
                        .dilation_w = c.whole("dilation_w"),
                        .groups = c.whole("groups"),
                        .dtype = DType::f64};
  problem.body = [desc](Call& call) {
    const auto plan = make_conv2d(call.ctx(), desc);
    plan->forward(call["x"], call["w"], call["b"], call["y"], nullptr);
    plan->backward_weights(call["x"], {}, call["dy"], call["dw"], call["db"], nullptr);
    plan->backward_data(call["dy"], call["w"], call["dx"], nullptr);
  };
  return problem;
}

Problem linear_problem(const Case& c) {
  Problem problem = problem_of(c, {"x", "w", "b", "dy"}, {"y", "dx", "dw", "db"});
  const Shape &x = problem.slot("x").shape, &w = problem.slot("w").shape;
  const LinearDesc desc{.n = x.n, .in = x.per_sample(), .k = w.n, .dtype = DType::f64};
  problem.body = [desc](Call& call) {
    const auto plan = make_linear(call.ctx(), desc);
    plan->forward(call["x"], call["w"], call["b"], call["y"], nullptr);
    plan->backward_weights(call["x"], {}, call["dy"], call["dw"], call["db"], nullptr);
    plan->backward_data(call["dy"], call["w"], call["dx"], nullptr);
  };
  return problem;
}

Problem pool_problem(const Case& c) {
  Problem problem = problem_of(c, {"x", "dy"}, {"y", "dx"});
  const PoolOpts opts{.r = c.whole("r"),
                      .s = c.whole("s"),
                      .stride_h = c.whole("stride_h"),
                      .stride_w = c.whole("stride_w"),
                      .pad_h = c.whole("pad_h"),
                      .pad_w = c.whole("pad_w"),
                      .ceil_mode = c.option("ceil_mode") != 0,
                      .count_include_pad = c.option("count_include_pad") != 0};
  EXPECT_EQ(pool_output(opts, problem.slot("x").shape), problem.slot("y").shape) << problem.name;
  if (c.op == "max_pool") {
    problem.slots.push_back(out("idx", DType::u8, problem.slot("y").shape));
    problem.body = [opts](Call& call) {
      max_pool_forward(call.ctx(), opts, call["x"], call["y"], call["idx"]);
      max_pool_backward(call.ctx(), opts, call["dy"], call["idx"], call["dx"]);
    };
  } else {
    problem.body = [opts](Call& call) {
      avg_pool_forward(call.ctx(), opts, call["x"], call["y"]);
      avg_pool_backward(call.ctx(), opts, call["dy"], call["dx"]);
    };
  }
  return problem;
}

Problem batch_norm_problem(const Case& c) {
  Problem problem = problem_of(c, {"x", "dy", "gamma", "beta"}, {"y", "dx", "dgamma", "dbeta"});
  const BatchNormOpts opts{.eps = c.option("eps"),
                           .momentum = c.option("momentum"),
                           .act = static_cast<Act>(c.whole("act"))};
  if (c.tensors.contains("z")) {
    const Recorded& z = c.tensors.at("z");
    problem.slots.push_back(in("z", z.shape, z.values));
    problem.slots.push_back(out("dz", z.shape, {}));
  }
  const Shape vector = problem.slot("gamma").shape;
  const bool training = c.op == "batch_norm_train";
  // PyTorch's new running statistics stand under other names than the old ones.
  problem.slots.push_back(inout("new_mean", vector, c.tensors.at("running_mean").values, {}));
  problem.slots.push_back(inout("new_var", vector, c.tensors.at("running_var").values, {}));
  problem.slots.push_back(in("count", DType::i64, features(1, 1), {0}));
  problem.slots.push_back(out("mean", vector, {}));
  problem.slots.push_back(out("invstd", vector, {}));
  problem.body = [opts, training](Call& call) {
    Context& ctx = call.ctx();
    const BatchNormParams p{
        call["gamma"], call["beta"], call["new_mean"], call["new_var"], call["count"]};
    const Tensor x = call["x"], y = call["y"], dy = call["dy"], dx = call["dx"];
    const Tensor z = call["z"], dz = call["dz"];
    const Tensor dgamma = call["dgamma"], dbeta = call["dbeta"];
    if (training) {
      const Tensor mean = call["mean"], invstd = call["invstd"];
      batch_norm_train(ctx, opts, x, z, p, y, mean, invstd);
      batch_norm_backward(
          ctx, opts, x, y, dy, p.gamma, p.beta, mean, invstd, dx, dz, dgamma, dbeta);
    } else {
      batch_norm_infer(ctx, opts, x, z, p, y);
      batch_norm_backward_frozen(ctx, opts, x, y, dy, p, dx, dz, dgamma, dbeta);
    }
  };
  return problem;
}

Problem map_problem(const Case& c) {
  Problem problem = problem_of(c, {"x", "dy"}, {"y", "dx"});
  const Act act = static_cast<Act>(c.whole("act"));
  const LrnOpts lrn{c.whole("size"), c.option("alpha"), c.option("beta"), c.option("k")};
  problem.body = [op = c.op, act, lrn](Call& call) {
    Context& ctx = call.ctx();
    const Tensor x = call["x"], y = call["y"], dy = call["dy"], dx = call["dx"];
    if (op == "activation") {
      act_forward(ctx, act, x, y);
      act_backward(ctx, act, y, dy, dx);
    } else if (op == "adaptive_avg_pool") {
      adaptive_avg_pool_forward(ctx, x, y);
      adaptive_avg_pool_backward(ctx, dy, dx);
    } else if (op == "lrn") {
      lrn_forward(ctx, lrn, x, y);
      lrn_backward(ctx, lrn, x, dy, dx);
    } else if (op == "upsample") {
      upsample_forward(ctx, x, y);
      upsample_backward(ctx, dy, dx);
    } else if (op == "softmax") {
      softmax_forward(ctx, x, y);
      softmax_backward(ctx, y, dy, dx);
    } else {
      log_softmax_forward(ctx, x, y);
      log_softmax_backward(ctx, y, dy, dx);
    }
  };
  return problem;
}

Problem loss_problem(const Case& c) {
  Problem problem = problem_of(c, {"x"}, {"loss", "dx"});
  const Recorded& labels = c.tensors.at("labels");
  problem.slots.push_back(in("labels", DType::i32, labels.shape, labels.values));
  const auto name = std::find(kLossNames.begin(), kLossNames.end(), c.op);
  const LossOpts opts{.kind = static_cast<LossKind>(name - kLossNames.begin()),
                      .smoothing = c.option("smoothing")};
  problem.body = [opts](Call& call) {
    class_loss(call.ctx(), opts, call["x"], call["labels"], call["loss"], call["dx"], {}, nullptr);
  };
  return problem;
}

Problem optimizer_problem(const Case& c) {
  Problem problem = problem_of(c, {"dw0", "dw1", "dw2"}, {});
  const Shape shape = c.tensors.at("w").shape;
  const Values zeros(c.tensors.at("w").values.size(), 0.0);
  problem.slots.push_back(inout("new_w", shape, c.tensors.at("w").values, {}));
  problem.slots.push_back(inout("m", shape, zeros, {}));
  problem.slots.push_back(inout("v", shape, zeros, {}));
  problem.slots.push_back(
      {.name = "norm2", .role = Role::out, .dtype = DType::f64, .shape = features(1, 1)});
  problem.slots.push_back(state_slot({.lr = static_cast<float>(c.option("lr"))}, Role::inout));
  problem.body = [c](Call& call) {
    const double decay = c.option("weight_decay");
    const SgdOpts sgd{c.option("momentum"), decay, c.option("nesterov") != 0};
    const AdamOpts adam{c.option("beta1", 0.9),
                        c.option("beta2", 0.999),
                        c.option("eps", 1e-8),
                        decay,
                        c.op == "adamw"};
    const RmspropOpts rmsprop{c.option("alpha"), c.option("eps", 1e-8), decay, sgd.momentum};
    for (const char* dw : {"dw0", "dw1", "dw2"}) {
      if (c.option("max_norm") > 0)
        clip_gradients(
            call.ctx(), {.max_norm = c.option("max_norm")}, call.state(), call[dw], call["norm2"]);
      if (c.op == "sgd") {
        sgd_step(call.ctx(), sgd, call.state(), call["new_w"], call[dw], call["m"], {});
      } else if (c.op == "rmsprop") {
        rmsprop_step(
            call.ctx(), rmsprop, call.state(), call["new_w"], call[dw], call["m"], call["v"], {});
      } else {
        adam_step(
            call.ctx(), adam, call.state(), call["new_w"], call[dw], call["m"], call["v"], {});
      }
      advance(call.ctx(), {.samples = 1}, call.state(), {}, {});
    }
  };
  return problem;
}

Problem problem_for(const Case& c) {
  if (c.op == "conv2d") return conv2d_problem(c);
  if (c.op == "linear") return linear_problem(c);
  if (c.op == "max_pool" || c.op == "avg_pool") return pool_problem(c);
  if (c.op.starts_with("batch_norm")) return batch_norm_problem(c);
  if (std::find(kLossNames.begin(), kLossNames.end(), c.op) != kLossNames.end())
    return loss_problem(c);
  if (c.op == "sgd" || c.op == "rmsprop" || c.op.starts_with("adam")) return optimizer_problem(c);
  return map_problem(c);
}

TEST(RefAgainstTorch, EveryOp) {
  const std::vector<Case> cases = read_cases();
  EXPECT_EQ(cases.size(), 62u);
  for (const Case& c : cases) {
    SCOPED_TRACE(c.op + "/" + c.name);
    const Outcome outcome = execute_ref(problem_for(c));
    const double tolerance = c.option("max_norm") > 0 ? 1e-7 : 1e-12;  // StepState::clip is f32
    int compared = 0;
    for (const auto& [name, values] : outcome.values) {
      const auto found = c.tensors.find(name);
      if (found == c.tensors.end()) continue;
      const Values& want = found->second.values;
      ASSERT_EQ(values.size(), want.size()) << name;
      ++compared;
      for (std::size_t i = 0; i < want.size(); ++i)
        EXPECT_NEAR(values[i], want[i], tolerance * (1 + std::abs(want[i])))
            << name << "[" << i << "]";
    }
    EXPECT_GE(compared, 1);
  }
}

}  // namespace
}  // namespace lamina::test
