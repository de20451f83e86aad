// y = a + b, a layer of the tests: it makes graphs with branches.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"
#include "kernels/accumulate.h"

namespace lamina::test {

class SumOp : public LayerOp {
 public:
  explicit SumOp(Context& ctx) : ctx_(ctx) {}
  void forward(const Bound& t) override {
    ctx_.zero(t.y.data, t.y.bytes());
    for (const Tensor& x : t.x) accumulate(ctx_, x, t.y);
  }
  void backward(const Bound& t) override {
    for (const Tensor& dx : t.dx) {
      if (!dx) continue;
      ctx_.zero(dx.data, dx.bytes());
      accumulate(ctx_, t.dy, dx);
    }
  }

 private:
  Context& ctx_;
};

class SumLayer : public Layer {
 public:
  std::string type() const override { return "Sum"; }
  Shape infer(std::span<const Shape> x) const override {
    for (const Shape& shape : x) {
      LAMINA_CHECK(shape == x[0], "sum: {} and {} differ.", shape.to_string(), x[0].to_string());
    }
    return x[0];
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<SumOp>(args.ctx);
  }
};

inline ValueId sum(Graph& g, const std::string& name, std::vector<ValueId> x) {
  return g.add(name, std::make_shared<SumLayer>(), std::move(x));
}

}  // namespace lamina::test
