// SPDX-License-Identifier: Apache-2.0
#include "layers/softmax.h"

#include "kernels/softmax.h"

namespace lamina::nn {

namespace {

class SoftmaxOp : public LayerOp {
 public:
  SoftmaxOp(Context& ctx, bool log) : ctx_(ctx), log_(log) {}
  void forward(const Bound& t) override {
    (log_ ? log_softmax_forward : softmax_forward)(ctx_, t.x[0], t.y);
  }
  void backward(const Bound& t) override {
    (log_ ? log_softmax_backward : softmax_backward)(ctx_, t.y, t.dy, t.dx[0]);
  }

 private:
  Context& ctx_;
  bool log_;
};

class SoftmaxLayer : public Layer {
 public:
  explicit SoftmaxLayer(bool log) : log_(log) {}
  std::string type() const override { return log_ ? "LogSoftmax" : "Softmax"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(x[0].flat, "softmax: the input is a map; put a flatten in front.");
    return x[0];
  }
  bool backward_reads_y() const override { return true; }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<SoftmaxOp>(args.ctx, log_);
  }
  KernelWork kernel(std::span<const Shape>) const override {
    return {log_ ? "log_softmax" : "softmax"};
  }

 private:
  bool log_;
};

}  // namespace

ValueId softmax(Graph& graph, const std::string& name, ValueId x, const SoftmaxOpts& opts) {
  return graph.add(name, std::make_shared<SoftmaxLayer>(false), {x}, !opts.functional);
}

ValueId log_softmax(Graph& graph, const std::string& name, ValueId x, const SoftmaxOpts& opts) {
  return graph.add(name, std::make_shared<SoftmaxLayer>(true), {x}, !opts.functional);
}

}  // namespace lamina::nn
