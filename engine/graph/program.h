// A graph compiled for one backend, batch size and mode: fused, planned, and walked in a fixed
// order.
//
// Nothing is allocated after bind(). Programs of one Model run one at a time and may share an
// arena.
//   Program p(model, {.batch = 64});
//   Buffer arena = ctx.allocate(p.arena_bytes());  p.bind(arena.bytes_at(0), state);
//   (fill p.input(), p.labels());  p.forward();  p.loss_and_gradient(metrics);  p.backward();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/memory_plan.h"
#include "engine/graph/model.h"
#include "engine/graph/passes.h"
#include "engine/graph/recompute.h"
#include "engine/graph/slices.h"
#include "kernels/loss.h"

namespace lamina {

struct ProgramOpts {
  std::int64_t batch = 1;
  Mode mode = Mode::train;
  bool backward = true;
  PassSet passes;                 // of the graph compiler
  std::uint64_t seed = 0;         // of the dropout masks
  std::optional<double> dropout;  // overrides every dropout probability
  std::optional<LossKind> loss;   // instead of the net's own
  double smoothing = 0;           // of the labels
  MixupOpts mixup;                // of the labels; the images are prepare()'s
  // Bytes that the arena should take: while it takes more, cheap tensors are recomputed.
  std::optional<std::size_t> memory;
};

class Program {
 public:
  Program(Model& model, const ProgramOpts& opts);

  std::size_t arena_bytes() const { return arena_bytes_; }
  // Gives every tensor its place. `state` is in device memory and outlives the program.
  void bind(std::byte* arena, const StepState* state);

  Tensor input() const { return input_; }    // [N,H,W,C] of the model's compute dtype
  Tensor labels() const { return labels_; }  // [N] i32
  Tensor output() const { return output_; }  // what the net returns; stays until the next forward
  Tensor loss() const { return loss_; }      // [1] f32, f64 with f64; auxiliary heads included

  void forward();
  // The net's own loss over the batch and, when compiled with backward, its gradient, the losses of
  // auxiliary heads included; the metrics of the output alone. weight: of all of it.
  void loss_and_gradient(const Metrics& metrics, double weight = 1.0);
  void backward();

  // Called around every pass with the node's name and "forward", "loss" or "backward"; "backward
  // weights" and "backward data" where two kernels make a layer's gradients; "recompute" where its
  // output is made again. For timing.
  using Observer = std::function<void(const std::string& name, const char* pass, bool begin)>;
  void set_observer(Observer observer) { observer_ = std::move(observer); }
  // What graph().nodes()[node] reads and writes; for an observer, as other layers may reuse the
  // memory. Empty tensors for views.
  const Bound& tensors_of(std::size_t node) const { return steps_[node].bound; }

  std::int64_t batch() const { return opts_.batch; }
  const Graph& graph() const { return graph_; }  // after fusion
  const std::vector<Lifetime>& memory() const { return lifetimes_; }
  std::size_t workspace_bytes() const { return workspace_bytes_; }  // that of the layers in turn
  const std::vector<PassNote>& notes() const { return notes_; }     // what the passes did
  // Of graph().nodes()[node]: the implementation, the operands that it copies into another layout
  // in a step, and the workspace it asks for.
  std::string implementation(std::size_t node) const;
  int reorders_of(std::size_t node) const;
  std::size_t workspace_of(std::size_t node) const;

 private:
  struct Step {
    std::unique_ptr<LayerOp> op;  // null: a view
    Bound bound;
    bool backward = false;
    std::vector<int> accumulate;  // inputs whose gradient is added to an earlier one
    std::vector<std::pair<Tensor, Tensor>> sums;  // and the tensors: total += part
    int first_saved = -1;                         // index of its saved tensors in lifetimes_
    std::vector<std::size_t> recomputed;          // nodes run again before its backward pass
  };

  // Where a value or its gradient lies: memory of its own, or channels of a map.
  struct Place {
    int lifetime = -1;       // index in lifetimes_, or none
    std::int64_t first = 0;  // channel
    std::int64_t pitch = 0;  // channels of the map; 0: memory of its own
  };

  void compile();
  void plan();
  std::vector<Recomputable> find_recomputable() const;
  void plan_recomputation();
  void find_places_of_concats();
  Place slice_of(const Place& map, const Slice& slice) const;
  int storage_of(ValueId value) const { return storage_[static_cast<std::size_t>(value)]; }
  int forward_time(std::size_t node) const { return static_cast<int>(node) + 1; }
  int loss_time() const { return static_cast<int>(steps_.size()) + 1; }
  int backward_time(std::size_t node) const { return 2 * loss_time() - forward_time(node); }
  Tensor tensor_at(const Place& place, const Shape& shape, DType dtype, std::byte* arena) const;
  // Runs a pass of a layer, seen by profilers and the observer; errors name the layer.
  template <class Pass>
  void run_pass(const std::string& name, const char* pass, const Pass& body) const;

  Model* model_;
  ProgramOpts opts_;
  std::vector<PassNote> notes_;
  Graph graph_;
  std::vector<Step> steps_;
  std::vector<int> storage_;                  // value -> the value whose memory it shares (views)
  std::vector<bool> needs_gradient_;          // by storage value
  std::vector<Slice> slices_;                 // by value
  std::vector<Place> activation_, gradient_;  // by storage value
  int scratch_ = -1;                          // lifetime of the gradient that is added, or -1
  std::vector<Lifetime> lifetimes_;
  int labels_lifetime_ = -1, loss_lifetime_ = -1;
  std::size_t workspace_bytes_ = 0, workspace_offset_ = 0, arena_bytes_ = 0;
  Tensor input_, labels_, output_, loss_, output_gradient_;
  struct Head {
    Tensor output, gradient;
    double weight = 0;
  };
  std::vector<Head> heads_;  // auxiliary
  const StepState* state_ = nullptr;
  Observer observer_;
};

}  // namespace lamina
