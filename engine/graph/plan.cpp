// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/plan.h"

#include <algorithm>

namespace lamina {

namespace {

double mb(std::size_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace

Plan plan_of(const Model& model, const Program& program) {
  Plan plan{.notes = program.notes(),
            .parameter_bytes = model.parameter_bytes(),
            .gradient_bytes = model.gradient_bytes(),
            .tensor_bytes = program.arena_bytes() - program.workspace_bytes(),
            .workspace_bytes = program.workspace_bytes()};
  const Graph& graph = program.graph();
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const Shape output = graph.shape(node.output).with_n(program.batch());
    plan.rows.push_back(
        {.name = node.name,
         .type = node.layer->type(),
         .implementation = program.implementation(i),
         .output = output,
         .output_bytes = static_cast<std::size_t>(output.numel()) * size_of(model.compute_dtype()),
         .workspace_bytes = program.workspace_of(i),
         .reorders = program.reorders_of(i)});
  }
  for (const Lifetime& item : program.memory()) plan.unshared_bytes += align_up(item.bytes);
  return plan;
}

std::string plan_table(const Plan& plan) {
  std::size_t width = 5;
  for (const PlanRow& row : plan.rows) width = std::max(width, row.name.size());
  const auto line = [&](const auto&... cells) {
    return fmt::format("  {:<{}}  {:<18}{:<20}{:>9}{:>14}{:>10}  {}\n", cells...);
  };
  std::string text =
      line("layer", width, "type", "output", "MB", "workspace MB", "reorders", "implementation");
  int reorders = 0;
  for (const PlanRow& row : plan.rows) {
    text += line(row.name,
                 width,
                 row.type,
                 row.output.to_string(),
                 fmt::format("{:.2f}", mb(row.output_bytes)),
                 fmt::format("{:.2f}", mb(row.workspace_bytes)),
                 row.reorders,
                 row.implementation);
    reorders += row.reorders;
    while (text.ends_with(" \n")) text.erase(text.size() - 2, 1);
  }
  text += fmt::format("Reorders in a step (operands copied into another layout): {}\n", reorders);
  for (std::size_t i = 0; i < kPassCount; ++i) {
    const auto pass = static_cast<Pass>(i);
    const auto did = [&](const PassNote& note) { return note.pass == pass; };
    const auto count = std::count_if(plan.notes.begin(), plan.notes.end(), did);
    text += fmt::format("Pass {} ({}): {}\n",
                        info_of(pass).name,
                        info_of(pass).what,
                        count > 0 ? std::to_string(count) : "nothing to do, or off");
    for (const PassNote& note : plan.notes)
      if (did(note)) text += "  " + note.text + "\n";
  }
  return text;
}

std::string plan_memory_lines(const Plan& plan) {
  return fmt::format(
      "Parameters (MB): {:.2f}, gradients (MB): {:.2f}\n"
      "Activations and their gradients (MB): {:.2f} (without sharing {:.2f}), workspace (MB): "
      "{:.2f}\n",
      mb(plan.parameter_bytes),
      mb(plan.gradient_bytes),
      mb(plan.tensor_bytes),
      mb(plan.unshared_bytes),
      mb(plan.workspace_bytes));
}

}  // namespace lamina
