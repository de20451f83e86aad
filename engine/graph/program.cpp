// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/program.h"

#include <algorithm>

#include "engine/graph/fuse.h"
#include "kernels/accumulate.h"

namespace lamina {

namespace {

Graph prepare_graph(const Graph& net, const ProgramOpts& opts, std::vector<PassNote>& notes) {
  return fuse(opts.mode == Mode::train ? net : net.without_auxiliary(), opts.passes, &notes);
}

}  // namespace

Program::Program(Model& model, const ProgramOpts& opts)
    : model_(&model), opts_(opts), graph_(prepare_graph(model.graph(), opts, notes_)) {
  LAMINA_CHECK(
      opts.batch > 0, "net {}: a batch of {} samples is not possible.", graph_.title(), opts.batch);
  LAMINA_CHECK(graph_.output() >= 0, "net {}: no output was set.", graph_.title());
  compile();
  plan();
}

void Program::compile() {
  const std::size_t values = graph_.value_count();
  storage_.resize(values);
  for (std::size_t v = 0; v < values; ++v) storage_[v] = static_cast<int>(v);
  needs_gradient_.assign(values, false);

  for (const Node& node : graph_.nodes()) {
    Step step;
    bool trained = false;
    const std::vector<Shape> x = graph_.input_shapes(node, opts_.batch);
    for (const ParamSpec& spec : node.layer->params(x)) {
      const std::size_t entry = model_->index_of(node.name + "." + spec.name);
      step.bound.p.push_back(model_->operand(entry));
      step.bound.dp.push_back(model_->gradient(entry));
      trained |= spec.kind == ParamSpec::Kind::trained;
    }
    std::vector<bool> need_dx;
    for (ValueId id : node.inputs) {
      need_dx.push_back(opts_.backward &&
                        needs_gradient_[static_cast<std::size_t>(storage_of(id))]);
    }
    const bool input_needs = std::find(need_dx.begin(), need_dx.end(), true) != need_dx.end();
    step.backward = opts_.backward && (trained || input_needs);
    if (node.layer->is_view(opts_.mode)) {
      storage_[static_cast<std::size_t>(node.output)] = storage_of(node.inputs[0]);
      step.backward = false;
    } else {
      needs_gradient_[static_cast<std::size_t>(node.output)] = step.backward;
      const CompileArgs args{model_->context(),
                             x,
                             graph_.shape(node.output).with_n(opts_.batch),
                             model_->compute_dtype(),
                             opts_.mode,
                             step.backward,
                             need_dx,
                             opts_.seed,
                             node.number,
                             opts_.dropout};
      try {
        step.op = node.layer->compile(args);
      } catch (const Error& error) {
        throw error.with_context(fmt::format("net {}: layer '{}': ", graph_.title(), node.name));
      }
      workspace_bytes_ = std::max(workspace_bytes_, align_up(step.op->workspace_bytes()));
    }
    steps_.push_back(std::move(step));
  }
  slices_.resize(values);
  if (opts_.passes.has(Pass::concat_in_place)) find_places_of_concats();
}

void Program::find_places_of_concats() {
  const auto op = [this](std::size_t node) { return steps_[node].op.get(); };
  slices_ = find_slices(
      graph_,
      storage_,
      {.takes = [&](auto node, auto input) { return op(node) && op(node)->takes_slice(input); },
       .makes = [&](auto node) { return op(node) && op(node)->makes_slice(); }});
  for (const Node& node : graph_.nodes()) {
    const Slice& slice = slices_[static_cast<std::size_t>(node.output)];
    if (slice.map >= 0)
      notes_.push_back({Pass::concat_in_place,
                        fmt::format("{} writes {} from channel {} on",
                                    node.name,
                                    graph_.producer(slice.map).name,
                                    slice.first)});
  }
}

Program::Place Program::slice_of(const Place& map, const Slice& slice) const {
  return {map.lifetime,
          map.first + slice.first,
          map.pitch != 0 ? map.pitch : graph_.shape(slice.map).c};
}

void Program::plan() {
  const std::size_t values = graph_.value_count();
  activation_.assign(values, {});
  gradient_.assign(values, {});
  const int end = 2 * loss_time();
  const auto add = [&](std::string name, std::size_t bytes, int first, int last) {
    lifetimes_.push_back({std::move(name), bytes, first, last});
    return static_cast<int>(lifetimes_.size()) - 1;
  };
  const auto bytes_of = [&](ValueId value) {
    return static_cast<std::size_t>(graph_.shape(value).per_sample() * opts_.batch) *
           size_of(model_->compute_dtype());
  };
  const auto keep_until = [&](ValueId value, int time) {
    Lifetime& lifetime = lifetimes_[static_cast<std::size_t>(
        activation_[static_cast<std::size_t>(storage_of(value))].lifetime)];
    lifetime.last = std::max(lifetime.last, time);
  };
  // A map is there from its first slice on.
  const std::function<Place(ValueId, int)> made = [&](ValueId value, int time) {
    const auto at = static_cast<std::size_t>(value);
    Place& place = activation_[at];
    if (place.lifetime >= 0) {
      keep_until(value, time);
    } else if (slices_[at].map >= 0) {
      place = slice_of(made(slices_[at].map, time), slices_[at]);
    } else {
      place.lifetime = add(graph_.producer(value).name, bytes_of(value), time, time);
    }
    return place;
  };

  activation_[0].lifetime = add("input", bytes_of(0), 0, 0);
  labels_lifetime_ =
      add("labels", static_cast<std::size_t>(opts_.batch) * size_of(DType::i32), 0, end);
  loss_lifetime_ = add("loss", size_of(statistics_dtype(model_->compute_dtype())), 0, end);

  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Node& node = graph_.nodes()[i];
    Step& step = steps_[i];
    for (ValueId id : node.inputs) keep_until(id, forward_time(i));
    if (!step.op) continue;
    made(node.output, forward_time(i));
    if (!step.backward) continue;
    if (node.layer->backward_reads_y()) keep_until(node.output, backward_time(i));
    for (std::size_t j = 0; j < node.inputs.size(); ++j) {
      if (node.layer->backward_reads_x(j)) keep_until(node.inputs[j], backward_time(i));
    }
    const CompileArgs args{model_->context(),
                           graph_.input_shapes(node, opts_.batch),
                           graph_.shape(node.output).with_n(opts_.batch),
                           model_->compute_dtype(),
                           opts_.mode,
                           true,
                           {},
                           opts_.seed,
                           0,
                           {}};
    step.first_saved = static_cast<int>(lifetimes_.size());
    for (const SavedSpec& saved : node.layer->saved(args)) {
      const auto bytes = static_cast<std::size_t>(saved.shape.numel()) * size_of(saved.dtype);
      add(node.name + " " + saved.name, bytes, forward_time(i), backward_time(i));
      step.bound.saved.push_back({nullptr, saved.dtype, saved.shape});
    }
  }
  keep_until(graph_.output(), end);
  for (const AuxiliaryHead& head : graph_.auxiliary()) keep_until(head.output, loss_time());

  // Gradients: the first writer (in backward order) overwrites, later ones are added to it.
  std::size_t scratch_bytes = 0;
  const auto written = [&](ValueId value, int time) {
    const auto at = static_cast<std::size_t>(storage_of(value));
    if (gradient_[at].lifetime >= 0) return false;
    gradient_[at].lifetime =
        add("gradient of value " + std::to_string(at), bytes_of(value), time, time);
    return true;
  };
  std::vector<ValueId> judged{graph_.output()};
  for (const AuxiliaryHead& head : graph_.auxiliary()) judged.push_back(head.output);
  for (ValueId value : judged) {
    if (opts_.backward && needs_gradient_[static_cast<std::size_t>(storage_of(value))])
      written(value, loss_time());
  }
  for (std::size_t i = steps_.size(); i-- > 0;) {
    const Node& node = graph_.nodes()[i];
    Step& step = steps_[i];
    if (!step.backward) continue;
    const auto at = static_cast<std::size_t>(node.output);
    if (gradient_[at].lifetime < 0) {
      step.backward = false;  // nothing downstream reaches the loss
      continue;
    }
    lifetimes_[static_cast<std::size_t>(gradient_[at].lifetime)].last = backward_time(i);
    std::size_t added = 0;
    for (std::size_t j = 0; j < node.inputs.size(); ++j) {
      const auto x = static_cast<std::size_t>(storage_of(node.inputs[j]));
      if (!needs_gradient_[x]) continue;
      if (slices_[x].map == node.output && gradient_[x].lifetime < 0) {
        gradient_[x] = slice_of(gradient_[at], slices_[x]);
        continue;
      }
      if (written(node.inputs[j], backward_time(i))) continue;
      step.accumulate.push_back(static_cast<int>(j));
      added += align_up(bytes_of(node.inputs[j]));
    }
    scratch_bytes = std::max(scratch_bytes, added);
  }
  if (scratch_bytes > 0) scratch_ = add("gradients to be added", scratch_bytes, loss_time(), end);

  plan_recomputation();
  if (!opts_.passes.has(Pass::share_memory)) {
    for (Lifetime& lifetime : lifetimes_) lifetime.first = 0, lifetime.last = end;
  }
  workspace_offset_ = plan_memory(lifetimes_);
  if (opts_.passes.has(Pass::share_memory)) {
    std::size_t apart = 0;
    for (const Lifetime& lifetime : lifetimes_) apart += align_up(lifetime.bytes);
    notes_.push_back({Pass::share_memory,
                      fmt::format("{} tensors of {:.2f} MB in {:.2f} MB",
                                  lifetimes_.size(),
                                  static_cast<double>(apart) / 1e6,
                                  static_cast<double>(workspace_offset_) / 1e6)});
  }
  arena_bytes_ = workspace_offset_ + workspace_bytes_;
}

std::vector<Recomputable> Program::find_recomputable() const {
  std::vector<Recomputable> found;
  const auto judged = [&](ValueId value) {
    const auto is_it = [&](ValueId output) { return storage_of(output) == value; };
    return is_it(graph_.output()) ||
           std::any_of(graph_.auxiliary().begin(), graph_.auxiliary().end(), [&](const auto& head) {
             return is_it(head.output);
           });
  };
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Node& node = graph_.nodes()[i];
    const auto at = static_cast<std::size_t>(node.output);
    if (!steps_[i].op || !steps_[i].op->can_recompute() || judged(node.output)) continue;
    if (slices_[at].map >= 0) continue;  // the memory is that of the whole map
    Recomputable candidate{i, activation_[at].lifetime, forward_time(i), 2 * loss_time(), {}};
    const auto read_backward = [&](std::size_t reader) {
      candidate.first_backward = std::min(candidate.first_backward, backward_time(reader));
    };
    if (steps_[i].backward && node.layer->backward_reads_y()) read_backward(i);
    for (std::size_t j = i + 1; j < steps_.size(); ++j) {
      const Node& reader = graph_.nodes()[j];
      for (std::size_t k = 0; k < reader.inputs.size(); ++k) {
        if (storage_of(reader.inputs[k]) != node.output) continue;
        candidate.last_forward = forward_time(j);
        if (steps_[j].backward && reader.layer->backward_reads_x(k)) read_backward(j);
      }
    }
    for (const ValueId input : node.inputs)
      candidate.inputs.push_back(activation_[static_cast<std::size_t>(storage_of(input))].lifetime);
    const bool is_read = candidate.first_backward < 2 * loss_time();
    if (is_read && candidate.last_forward + 1 < candidate.first_backward)
      found.push_back(std::move(candidate));
  }
  return found;
}

void Program::plan_recomputation() {
  if (!opts_.memory || !opts_.backward || !opts_.passes.has(Pass::recompute) ||
      !opts_.passes.has(Pass::share_memory))
    return;
  const std::vector<Recomputable> candidates = find_recomputable();
  const std::size_t limit = *opts_.memory - std::min(*opts_.memory, workspace_bytes_);
  for (const std::size_t chosen : recompute_to_fit(lifetimes_, candidates, limit)) {
    const Recomputable& c = candidates[chosen];
    const auto reader = static_cast<std::size_t>(backward_time(0) - c.first_backward);
    steps_[reader].recomputed.push_back(c.node);
    notes_.push_back(
        {Pass::recompute,
         fmt::format(
             "{} is made again for {}", graph_.nodes()[c.node].name, graph_.nodes()[reader].name)});
  }
}

Tensor Program::tensor_at(const Place& place,
                          const Shape& shape,
                          DType dtype,
                          std::byte* arena) const {
  if (place.lifetime < 0) return {};
  std::byte* const start = arena + lifetimes_[static_cast<std::size_t>(place.lifetime)].offset;
  return {
      start + static_cast<std::size_t>(place.first) * size_of(dtype), dtype, shape, place.pitch};
}

void Program::bind(std::byte* arena, const StepState* state) {
  state_ = state;
  const DType dtype = model_->compute_dtype();
  const auto shape_of = [&](ValueId value) { return graph_.shape(value).with_n(opts_.batch); };
  const auto activation = [&](ValueId value) {
    return tensor_at(
        activation_[static_cast<std::size_t>(storage_of(value))], shape_of(value), dtype, arena);
  };
  const auto gradient = [&](ValueId value) {
    return tensor_at(
        gradient_[static_cast<std::size_t>(storage_of(value))], shape_of(value), dtype, arena);
  };
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Node& node = graph_.nodes()[i];
    Step& step = steps_[i];
    if (!step.op) continue;
    Bound& bound = step.bound;
    bound.x.clear();
    bound.dx.clear();
    for (ValueId id : node.inputs) {
      bound.x.push_back(activation(id));
      bound.dx.push_back(step.backward ? gradient(id) : Tensor{});
    }
    bound.y = activation(node.output);
    bound.dy = step.backward ? gradient(node.output) : Tensor{};
    std::size_t added = 0;
    step.sums.clear();
    for (int j : step.accumulate) {
      Tensor& dx = bound.dx[static_cast<std::size_t>(j)];
      const Tensor total = dx;
      std::byte* const scratch = arena + lifetimes_[static_cast<std::size_t>(scratch_)].offset;
      dx = {scratch + added, dtype, total.shape};
      added += align_up(dx.bytes());
      step.sums.emplace_back(dx, total);
    }
    for (std::size_t s = 0; s < bound.saved.size(); ++s) {
      const int lifetime = step.first_saved + static_cast<int>(s);
      bound.saved[s].data = arena + lifetimes_[static_cast<std::size_t>(lifetime)].offset;
    }
    bound.workspace = arena + workspace_offset_;
    bound.state = state;
  }
  input_ = activation(0);
  output_ = activation(graph_.output());
  output_gradient_ = gradient(graph_.output());
  heads_.clear();
  for (const AuxiliaryHead& head : graph_.auxiliary())
    heads_.push_back({activation(head.output), gradient(head.output), head.weight});
  labels_ = tensor_at({labels_lifetime_}, features(1, opts_.batch), DType::i32, arena);
  loss_ = tensor_at({loss_lifetime_}, features(1, 1), statistics_dtype(dtype), arena);
}

template <class Pass>
void Program::run_pass(const std::string& name, const char* pass, const Pass& body) const {
  Device& device = model_->context().device();
  if (observer_) observer_(name, pass, true);
  device.begin_range(name, pass);
  try {
    body();
  } catch (const Error& error) {
    throw error.with_context(fmt::format("layer '{}', {}: ", name, pass));
  }
  device.end_range();
  if (observer_) observer_(name, pass, false);
}

void Program::forward() {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (!step.op) continue;
    run_pass(graph_.nodes()[i].name, "forward", [&] { step.op->forward(step.bound); });
  }
}

void Program::loss_and_gradient(const Metrics& metrics, double weight) {
  LossOpts opts{.kind = opts_.loss.value_or(graph_.loss()),
                .weight = weight,
                .smoothing = opts_.smoothing,
                .mixup = opts_.mixup};
  run_pass("loss", "loss", [&] {
    Context& ctx = model_->context();
    class_loss(ctx, opts, output_, labels_, loss_, output_gradient_, metrics, state_);
    opts.add = true;
    for (const Head& head : heads_) {
      opts.weight = weight * head.weight;
      class_loss(ctx, opts, head.output, labels_, loss_, head.gradient, {}, state_);
    }
  });
}

void Program::backward() {
  for (std::size_t i = steps_.size(); i-- > 0;) {
    Step& step = steps_[i];
    if (!step.op || !step.backward) continue;
    const std::string& name = graph_.nodes()[i].name;
    for (const std::size_t node : step.recomputed) {
      const Step& again = steps_[node];
      run_pass(graph_.nodes()[node].name, "recompute", [&] { again.op->recompute(again.bound); });
    }
    const bool in_two = step.op->has_backward_weights();
    if (in_two) run_pass(name, "backward weights", [&] { step.op->backward_weights(step.bound); });
    if (in_two && !step.bound.dx[0]) continue;
    run_pass(name, in_two ? "backward data" : "backward", [&] {
      step.op->backward(step.bound);
      for (const auto& [part, total] : step.sums) accumulate(model_->context(), part, total);
    });
  }
}

std::size_t Program::workspace_of(std::size_t node) const {
  return steps_[node].op ? steps_[node].op->workspace_bytes() : 0;
}

int Program::reorders_of(std::size_t node) const {
  return steps_[node].op ? steps_[node].op->reorders() : 0;
}

std::string Program::implementation(std::size_t node) const {
  if (!steps_[node].op) return "view";
  const Node& n = graph_.nodes()[node];
  if (!n.layer->is_concat()) return steps_[node].op->describe();
  const auto in_place = std::count_if(n.inputs.begin(), n.inputs.end(), [&](ValueId value) {
    return slices_[static_cast<std::size_t>(value)].map == n.output;
  });
  return fmt::format("{} of {} in place", in_place, n.inputs.size());
}

}  // namespace lamina
