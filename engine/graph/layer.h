// What a layer is (pure data and shapes) and what it becomes on a backend (a LayerOp).
//
// Layer knows PyTorch's name for itself, its shape rule and its parameters; compile() turns it into
// a LayerOp: plans and options for one backend, batch size and mode, with no tensors of its own.
// Program gives a LayerOp its tensors, once, as a Bound.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/step_state.h"
#include "engine/graph/init.h"
#include "kernels/activation.h"

namespace lamina {

enum class Mode {
  train,  // batch statistics, dropout draws
  eval,   // running statistics, dropout passes through
};

struct ParamSpec {
  enum class Kind {
    trained,  // has a gradient
    buffer,   // running statistics
    counter,  // i64
  };
  std::string name;                 // "weight"
  std::vector<std::int64_t> shape;  // as in a state_dict: OIHW, [out, in], [C] or []
  Kind kind = Kind::trained;
  Init init;
  // A weight whose memory is K,R,S,C while its state_dict order is K,C,R,S: filters, and linear
  // layers behind a flattened map. Zero r means that both orders are the same.
  std::int64_t c = 0, r = 0, s = 0;
  // A factor of the layer's products: computed on in the net's dtype. Others stay in f32.
  bool factor = false;

  std::int64_t numel() const;
  // A trained factor of more than one dimension: what decays with `decay_of weights`, and what has
  // a norm worth a rate of its own with lars.
  bool is_matrix() const { return kind == Kind::trained && factor && shape.size() > 1; }
};

// Memory a layer keeps from its forward to its backward pass, beyond x and y.
struct SavedSpec {
  std::string name;
  Shape shape;
  DType dtype;
};

struct CompileArgs {
  Context& ctx;
  std::vector<Shape> x;
  Shape y;
  DType dtype = DType::f32;
  Mode mode = Mode::train;
  bool backward = true;       // gradients will be asked for
  std::vector<bool> need_dx;  // per input
  std::uint64_t seed = 0;
  std::uint32_t number = 0;       // of the layer in its net: the stream of its random draws
  std::optional<double> dropout;  // overrides every dropout probability
};

// The tensors of one node. Gradients are overwritten; Program adds up where several nodes
// contribute to one. dx[i] is empty where no gradient is wanted. dy may be clobbered by backward.
struct Bound {
  std::vector<Tensor> x, dx;
  Tensor y, dy;
  std::vector<Tensor> p, dp;  // in the order of Layer::params(); dp is empty for buffers
  std::vector<Tensor> saved;  // in the order of Layer::saved()
  void* workspace = nullptr;
  const StepState* state = nullptr;  // device memory
};

// What a layer asks of its backend, for tools that look at kernels one by one: the op, and its
// options where it has some (Conv2dDesc, PoolOpts, Act, ...).
struct KernelWork {
  std::string op;  // empty: no kernel
  std::any opts = {};
};

class LayerOp {
 public:
  virtual ~LayerOp() = default;
  virtual std::size_t workspace_bytes() const { return 0; }
  virtual void forward(const Bound& t) = 0;
  // All gradients. Where those of the parameters have kernels of their own, backward_weights() runs
  // first and backward() makes the gradients of the inputs alone, if one is wanted.
  virtual void backward(const Bound& t) = 0;
  virtual bool has_backward_weights() const { return false; }
  virtual void backward_weights(const Bound&) {}
  // Whether y is cheap, little more than a pass over memory; and y once more, in the backward pass:
  // from x, p and what was saved, touching nothing else, with the same bits on `cpu` and `cuda`.
  virtual bool can_recompute() const { return false; }
  virtual void recompute(const Bound& t) { forward(t); }
  // Whether x[input] may be a slice of the channels of a wider map; whether y and dy may be.
  virtual bool takes_slice(std::size_t /*input*/) const { return false; }
  virtual bool makes_slice() const { return false; }
  virtual std::string describe() const { return {}; }  // the implementation, for the plan table
  // Operands that are copied into another layout in a step; for the plan table too.
  virtual int reorders() const { return 0; }
};

class Layer {
 public:
  virtual ~Layer() = default;

  virtual std::string type() const = 0;  // PyTorch's class name
  virtual Shape infer(std::span<const Shape> x) const = 0;
  virtual std::vector<ParamSpec> params(std::span<const Shape>) const { return {}; }
  virtual std::vector<SavedSpec> saved(const CompileArgs&) const { return {}; }

  // What backward reads. Decides how long the inputs and y stay in memory.
  virtual bool backward_reads_x(std::size_t /*input*/) const { return false; }
  virtual bool backward_reads_y() const { return false; }
  // y is x under another shape: no memory, no work.
  virtual bool is_view(Mode) const { return false; }
  // y is the inputs side by side; they may be written there in the first place.
  virtual bool is_concat() const { return false; }

  // Fusion: the activation this layer is, and this layer with an activation behind it (null:
  // cannot).
  virtual Act activation() const { return Act::none; }
  virtual std::unique_ptr<Layer> with_activation(Act) const { return nullptr; }
  // The plain sum of two values, and this layer with the sum with a second input behind it (null:
  // cannot).
  virtual bool is_sum() const { return false; }
  virtual std::unique_ptr<Layer> with_sum() const { return nullptr; }

  virtual std::unique_ptr<LayerOp> compile(const CompileArgs& args) const = 0;
  virtual KernelWork kernel(std::span<const Shape> /*x*/) const { return {}; }
};

}  // namespace lamina
