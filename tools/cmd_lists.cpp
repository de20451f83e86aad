// lamina nets, recipes, devices, summary: what there is.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/graph/plan.h"
#include "engine/graph/summary.h"
#include "engine/train/recipes.h"
#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"

namespace lamina::cli {

namespace {

using Json = nlohmann::ordered_json;

struct SummaryFlags {
  std::string net;
  std::int64_t batch = 64, threads = 0;
  NetFlags options;
  PassFlags passes;
  bool plan = false, no_winograd = false, json = false;
};

void print_json(const Json& json) { fmt::print("{}\n", json.dump(2)); }

void list_nets(bool json) {
  Json rows = Json::array();
  if (!json)
    fmt::print("{:<26}{:<12}{:>12}{:>14}  {}\n", "net", "input", "params", "mult-adds", "");
  for (const NetInfo& net : nets()) {
    const Graph graph = net.build({});
    const Summary summary = summarise(graph, 1);
    const Shape& in = summary.input;
    const std::string input = fmt::format("{}x{}x{}", in.c, in.h, in.w);
    if (json) {
      rows.push_back({{"id", net.id},
                      {"input", {in.c, in.h, in.w}},
                      {"params", summary.params},
                      {"mult_adds", summary.mult_adds},
                      {"options", net.options},
                      {"description", net.description}});
    } else {
      fmt::print("{:<26}{:<12}{:>12}{:>14}  {}\n",
                 net.id,
                 input,
                 summary.params,
                 summary.mult_adds,
                 net.description);
    }
  }
  if (json) print_json(rows);
}

void list_recipes(bool json) {
  Json rows = Json::array();
  for (const Recipe& recipe : recipes()) {
    if (json) {
      Json settings;
      for (const auto& [key, value] : recipe.settings) settings[key] = value;
      rows.push_back(
          {{"name", recipe.name}, {"description", recipe.about}, {"settings", settings}});
      if (recipe.original > 0) rows.back()["original_accuracy"] = recipe.original;
      for (const auto& [key, values] : recipe.sweep) rows.back()["sweep"][key] = values;
    } else {
      fmt::print("{:<40}{}\n", recipe.name, recipe.about);
    }
  }
  if (json) print_json(rows);
}

void list_the_devices(bool json) {
  Json rows = Json::array();
  for (const DeviceReport& report : list_devices()) {
    if (json) {
      rows.push_back({{"device", name_of(report.backend)},
                      {"usable", report.usable},
                      {"description", report.description}});
    } else {
      fmt::print("{:<6}{:<5}{}\n",
                 name_of(report.backend),
                 report.usable ? "yes" : "no",
                 report.description);
    }
  }
  if (json) print_json(rows);
}

// What training with this batch would hold in memory, and what runs each layer.
Plan training_plan(const Graph& graph, const SummaryFlags& flags) {
  Context ctx = make_context({.backend = BackendKind::cpu,
                              .threads = static_cast<int>(flags.threads),
                              .winograd = !flags.no_winograd});
  Model model(ctx, graph);
  return plan_of(model,
                 Program(model,
                         {.batch = flags.batch,
                          .passes = flags.passes.set(),
                          .memory = flags.passes.memory_bytes()}));
}

Json plan_json(const Plan& plan) {
  Json rows = Json::array(), notes = Json::array();
  for (const PlanRow& row : plan.rows) {
    rows.push_back({{"name", row.name},
                    {"type", row.type},
                    {"output", row.output.to_string()},
                    {"implementation", row.implementation},
                    {"output_bytes", row.output_bytes},
                    {"workspace_bytes", row.workspace_bytes},
                    {"reorders", row.reorders}});
  }
  for (const PassNote& note : plan.notes)
    notes.push_back({{"pass", info_of(note.pass).name}, {"did", note.text}});
  return {{"layers", rows},
          {"passes", notes},
          {"parameter_bytes", plan.parameter_bytes},
          {"gradient_bytes", plan.gradient_bytes},
          {"tensor_bytes", plan.tensor_bytes},
          {"unshared_bytes", plan.unshared_bytes},
          {"workspace_bytes", plan.workspace_bytes}};
}

void summary_of(const SummaryFlags& flags) {
  LAMINA_CHECK(flags.batch > 0, "--batch {} is not positive.", flags.batch);
  const Graph graph = build_net(flags.net, flags.options.opts());
  const Summary summary = summarise(graph, flags.batch);
  if (!flags.json) {
    const Plan plan = training_plan(graph, flags);
    fmt::print("{}{}", summary_table(summary), plan_memory_lines(plan));
    if (flags.plan) fmt::print("Training plan on the CPU\n{}", plan_table(plan));
    return;
  }
  Json layers = Json::array();
  for (const SummaryRow& row : summary.rows) {
    layers.push_back({{"name", row.name},
                      {"type", row.type},
                      {"output", row.output.to_string()},
                      {"params", row.params},
                      {"mult_adds", row.mult_adds},
                      {"leaf", row.leaf}});
  }
  Json all{{"net", flags.net},
           {"batch", flags.batch},
           {"params", summary.params},
           {"mult_adds", summary.mult_adds},
           {"input_bytes", summary.input_bytes},
           {"forward_backward_bytes", summary.forward_backward_bytes},
           {"params_bytes", summary.params_bytes},
           {"layers", layers}};
  if (flags.plan) all["plan"] = plan_json(training_plan(graph, flags));
  print_json(all);
}

void add_list(CLI::App& app, const char* name, const char* help, void (*list)(bool)) {
  CLI::App* command = app.add_subcommand(name, help);
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print JSON");
  command->callback([json, list] { list(*json); });
}

}  // namespace

void add_nets(CLI::App& app) { add_list(app, "nets", "list the networks", list_nets); }
void add_recipes(CLI::App& app) {
  CLI::App* command = app.add_subcommand("recipes", "list the training recipes, or print one");
  auto name = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->add_option("NAME", *name, "print this recipe as a file, to copy and to edit");
  command->add_flag("--json", *json, "print JSON");
  command->callback([name, json] {
    if (name->empty())
      list_recipes(*json);
    else
      fmt::print("{}", recipe_json(find_recipe(*name)));
  });
}
void add_devices(CLI::App& app) {
  add_list(app, "devices", "list what can run here, and why not", list_the_devices);
}

void add_summary(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("summary", "layer table, totals and the training plan of a network");
  auto flags = std::make_shared<SummaryFlags>();
  command->add_option("net", flags->net, "network id")->required();
  flags->options.add_to(*command);
  command->add_option("--batch", flags->batch, "images at a time");
  command->add_flag(
      "--plan", flags->plan, "what runs each layer, and what the passes of the graph compiler did");
  flags->passes.add_to(*command);
  command->add_option("--threads", flags->threads, "CPU threads (0: as many as there are)");
  command->add_flag("--no-winograd", flags->no_winograd, "convolve directly only");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { summary_of(*flags); });
}

}  // namespace lamina::cli
