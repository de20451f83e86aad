// lamina bench: milliseconds of a whole training step, and where they go.
//
// Whole steps are timed first, without a clock inside; the per-layer table comes from further
// steps.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"
#include "tools/step_bench.h"

namespace lamina::cli {

namespace {

struct BenchFlags : StepBenchFlags {
  std::vector<std::string> nets;
  bool json = false, no_graph = false, no_layers = false, cpu_time = false;
};

constexpr std::int64_t kBatchesOfImages = 16;  // more than the caches of one step hold
constexpr std::int64_t kLayerSteps = 50;       // at most

struct LayerTime {
  std::string name, implementation;
  std::map<std::string, std::vector<double>> passes;
};

// The times of each layer's passes, in the order in which a step first meets the layers.
std::vector<LayerTime> time_layers(StepBench& bench, std::int64_t steps) {
  const Program& program = bench.program();
  const auto& nodes = program.graph().nodes();
  std::vector<LayerTime> layers{{"prepare", "", {}}};
  for (std::size_t i = 0; i < nodes.size(); ++i)
    layers.push_back({nodes[i].name, program.implementation(i), {}});
  layers.push_back({"loss", "", {}});
  layers.push_back({"optimizer", "", {}});
  for (std::int64_t i = 0; i < steps; ++i) {
    for (const StepBench::Span& span : bench.step_by_layers()) {
      const auto layer = std::find_if(
          layers.begin(), layers.end(), [&](const LayerTime& l) { return l.name == span.name; });
      layer->passes[span.pass].push_back(span.end - span.begin);
    }
  }
  return layers;
}

nlohmann::ordered_json bench_net(Context& ctx, const std::string& net, const BenchFlags& flags) {
  Graph graph = build_net(net, flags.options.opts());
  const Dataset images =
      random_images(graph.shape(graph.input()), graph.classes(), flags.batch * kBatchesOfImages);
  StepBenchOpts opts = flags.opts();
  opts.record = !flags.no_graph;
  opts.cpu_time = flags.cpu_time;
  StepBench bench(ctx, std::move(graph), images, opts);
  for (std::int64_t i = 0; i < flags.warmup; ++i) bench.step();
  std::vector<double> times;
  for (std::int64_t i = 0; i < flags.steps; ++i) times.push_back(bench.step());
  std::sort(times.begin(), times.end());
  const double typical = median(times);
  const auto quantile = [&](double q) {
    return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))];
  };

  nlohmann::ordered_json json{
      {"net", net},
      {"batch", flags.batch},
      {"device", name_of(ctx.backend())},
      {"threads", ctx.threads()},
      {"precision", flags.precision},
      {"autotune", flags.autotune},
      {"optimizer", flags.optimizer},
      {"clock", flags.cpu_time ? "processor" : "wall"},
      {"steps", flags.steps},
      {"ms_per_step", typical},
      {"ms_min", times.front()},
      {"ms_p10", quantile(0.1)},
      {"ms_p90", quantile(0.9)},
      {"images_per_second", static_cast<double>(flags.batch) * 1000.0 / typical}};
  json["layers"] = nlohmann::ordered_json::array();
  if (flags.no_layers) return json;
  for (const LayerTime& layer : time_layers(bench, std::min(flags.steps, kLayerSteps))) {
    if (layer.passes.empty()) continue;
    nlohmann::ordered_json row{{"name", layer.name}, {"implementation", layer.implementation}};
    double total = 0;
    for (const auto& [pass, ms] : layer.passes) {
      if (!pass.empty()) row[pass + "_ms"] = median(ms);
      total += median(ms);
    }
    row["ms"] = total;
    json["layers"].push_back(row);
  }
  return json;
}

void print_text(const nlohmann::ordered_json& json) {
  fmt::print("{}  batch {}  {}, {} threads, {}\n",
             json["net"].get<std::string>(),
             json["batch"].get<std::int64_t>(),
             json["device"].get<std::string>(),
             json["threads"].get<int>(),
             json["optimizer"].get<std::string>());
  fmt::print(
      "{:.3f} ms a step (median of {}; min {:.3f}, 10 % {:.3f}, 90 % {:.3f}), {:.0f} images/s\n\n",
      json["ms_per_step"].get<double>(),
      json["steps"].get<std::int64_t>(),
      json["ms_min"].get<double>(),
      json["ms_p10"].get<double>(),
      json["ms_p90"].get<double>(),
      json["images_per_second"].get<double>());
  if (json["layers"].empty()) return;
  fmt::print("{:<20}{:>12}{:>12}{:>10}  {}\n",
             "layer",
             "forward ms",
             "backward ms",
             "ms",
             "implementation");
  for (const auto& row : json["layers"]) {
    const auto cell = [&](const char* key) {
      return row.contains(key) ? fmt::format("{:.4f}", row[key].get<double>()) : std::string("-");
    };
    fmt::print("{:<20}{:>12}{:>12}{:>10}  {}\n",
               row["name"].get<std::string>(),
               cell("forward_ms"),
               cell("backward_ms"),
               cell("ms"),
               row["implementation"].get<std::string>());
  }
}

void bench(const BenchFlags& flags) {
  flags.check();
  Context ctx = flags.open();
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& net : flags.nets) {
    const nlohmann::ordered_json json = bench_net(ctx, net, flags);
    if (!flags.json) print_text(json);
    all.push_back(json);
  }
  if (flags.json) fmt::print("{}\n", (flags.nets.size() == 1 ? all[0] : all).dump(2));
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench", "time whole training steps and each layer");
  auto flags = std::make_shared<BenchFlags>();
  flags->steps = 200;
  flags->warmup = 20;
  command->add_option("nets", flags->nets, "network ids")->required();
  flags->add_to(*command);
  command->add_flag("--no-graph", flags->no_graph, "launch every kernel of every step by itself");
  command->add_flag("--no-layers", flags->no_layers, "leave the table of layers out");
  command->add_flag("--cpu-time", flags->cpu_time, "processor time of all threads, not wall time");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { bench(*flags); });
}

}  // namespace lamina::cli
