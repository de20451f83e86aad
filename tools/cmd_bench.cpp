// lamina bench: milliseconds of a whole training step, and where they go.
//
// Whole steps are timed first, without a clock inside; the per-layer table comes from further
// steps, in which the device is waited for around every pass. With --serve another program says
// when steps are run, so that it can let several such processes take turns (tools/turns.py).
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"
#include "tools/pass_work.h"
#include "tools/step_bench.h"

namespace lamina::cli {

namespace {

using Json = nlohmann::ordered_json;

struct BenchFlags : StepBenchFlags {
  std::vector<std::string> nets;
  bool json = false, no_graph = false, no_layers = false, cpu_time = false, serve = false;
};

constexpr std::int64_t kBatchesOfImages = 16;  // more than the caches of one step hold
constexpr std::int64_t kLayerSteps = 50;       // at most

struct LayerTime {
  std::string name, type, implementation;
  std::map<std::string, std::vector<double>> passes;  // the times of each
};

// The times of each layer's passes, in the order in which a step first meets the layers.
std::vector<LayerTime> time_layers(StepBench& bench, std::int64_t steps) {
  const Program& program = bench.program();
  const auto& nodes = program.graph().nodes();
  std::vector<LayerTime> layers{{"prepare", "", "", {}}};
  for (std::size_t i = 0; i < nodes.size(); ++i)
    layers.push_back({nodes[i].name, nodes[i].layer->type(), program.implementation(i), {}});
  layers.push_back({"loss", "", "", {}});
  layers.push_back({"optimizer", "", "", {}});
  for (std::int64_t i = 0; i < steps; ++i) {
    for (const StepBench::Span& span : bench.step_by_layers()) {
      const auto layer = std::find_if(
          layers.begin(), layers.end(), [&](const LayerTime& l) { return l.name == span.name; });
      layer->passes[span.pass].push_back(span.end - span.begin);
    }
  }
  return layers;
}

// "backward data" is data_ms
std::string key_of(const std::string& pass) {
  const std::string_view prefix = "backward ";
  return (pass.starts_with(prefix) ? pass.substr(prefix.size()) : pass) + "_ms";
}

Json json_of(const Program& program, const LayerTime& layer, const Ceilings& ceilings) {
  Json row{{"name", layer.name}, {"type", layer.type}, {"implementation", layer.implementation}};
  double ms = 0, floor_ms = 0;
  PassWork work;
  for (const auto& [pass, times] : layer.passes) {
    const double time = median(times);
    if (!pass.empty()) row[key_of(pass)] = time;
    const PassWork of_pass = work_of(program, layer.name, pass);
    ms += time;
    floor_ms += ceilings.floor_ms(of_pass);
    work.bytes += of_pass.bytes;
    work.flops += of_pass.flops;
  }
  row["ms"] = ms;
  row["bytes"] = work.bytes;
  row["flops"] = work.flops;
  row["floor_ms"] = floor_ms;
  return row;
}

void add_layers(Json& json, Context& ctx, StepBench& bench, std::int64_t steps) {
  const std::vector<LayerTime> layers = time_layers(bench, steps);
  const Ceilings ceilings = measure_ceilings(ctx, bench.program().input().dtype);
  double ms = 0, floor_ms = 0;
  std::size_t passes = 0;
  for (const LayerTime& layer : layers) {
    if (layer.passes.empty()) continue;
    json["layers"].push_back(json_of(bench.program(), layer, ceilings));
    ms += json["layers"].back()["ms"].get<double>();
    floor_ms += json["layers"].back()["floor_ms"].get<double>();
    passes += layer.passes.size();
  }
  json["copy_gbps"] = ceilings.gbps;
  json["matmul_tflops"] = ceilings.tflops;
  json["passes"] = passes;
  json["ms_of_passes"] = ms;
  json["ms_of_floors"] = floor_ms;
}

StepBench make_bench(Context& ctx, const std::string& net, const BenchFlags& flags) {
  Graph graph = build_net(net, flags.options.opts());
  const Dataset images =
      random_images(graph.shape(graph.input()), graph.classes(), flags.batch * kBatchesOfImages);
  StepBenchOpts opts = flags.opts();
  opts.record = !flags.no_graph;
  opts.cpu_time = flags.cpu_time;
  return {ctx, std::move(graph), images, opts};
}

// An empty list when steps can be asked for; then, for each number read, the milliseconds of as
// many.
void serve(StepBench& bench) {
  fmt::print("[]\n");
  std::fflush(stdout);
  for (std::int64_t steps = 0; std::cin >> steps;) {
    Json times = Json::array();
    for (std::int64_t i = 0; i < steps; ++i) times.push_back(bench.step());
    fmt::print("{}\n", times.dump());
    std::fflush(stdout);
  }
}

Json bench_net(Context& ctx, const std::string& net, const BenchFlags& flags) {
  StepBench bench = make_bench(ctx, net, flags);
  for (std::int64_t i = 0; i < flags.warmup; ++i) bench.step();
  std::vector<double> times;
  for (std::int64_t i = 0; i < flags.steps; ++i) times.push_back(bench.step());
  std::sort(times.begin(), times.end());
  const double typical = median(times);
  const auto quantile = [&](double q) {
    return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))];
  };

  Json json{{"net", net},
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
  json["layers"] = Json::array();
  if (!flags.no_layers) add_layers(json, ctx, bench, std::min(flags.steps, kLayerSteps));
  return json;
}

void print_layers(const Json& json) {
  fmt::print(
      "{} passes a step, {:.3f} ms one by one. This machine copies {:.1f} GB/s and multiplies\n"
      "matrices at {:.3f} TFLOP/s: no less than {:.3f} ms.\n\n",
      json["passes"].get<std::size_t>(),
      json["ms_of_passes"].get<double>(),
      json["copy_gbps"].get<double>(),
      json["matmul_tflops"].get<double>(),
      json["ms_of_floors"].get<double>());
  const auto print_row = [](const auto&... cells) {
    fmt::print("{:<24}{:>12}{:>12}{:>12}{:>12}{:>10}{:>8}{:>9}{:>9}  {}\n", cells...);
  };
  print_row("layer",
            "forward ms",
            "data ms",
            "weights ms",
            "ms",
            "MB",
            "GB/s",
            "GFLOP/s",
            "of floor",
            "implementation");
  for (const Json& row : json["layers"]) {
    const auto time = [&](const char* key) {
      return row.contains(key) ? fmt::format("{:.4f}", row[key].get<double>()) : std::string("-");
    };
    const auto ms = row["ms"].get<double>(), bytes = row["bytes"].get<double>(),
               flops = row["flops"].get<double>(), floor_ms = row["floor_ms"].get<double>();
    const auto known = [](double of, double value, const char* format) {
      return of > 0 ? fmt::format(fmt::runtime(format), value) : std::string("-");
    };
    print_row(row["name"].get<std::string>(),
              time("forward_ms"),
              // A layer whose gradients come out of one kernel has that of its input here.
              time(row.contains("backward_ms") ? "backward_ms" : "data_ms"),
              time("weights_ms"),
              fmt::format("{:.4f}", ms),
              known(bytes, bytes / 1e6, "{:.2f}"),
              known(bytes, bytes / 1e6 / ms, "{:.1f}"),
              known(flops, flops / 1e6 / ms, "{:.1f}"),
              known(bytes, 100 * floor_ms / ms, "{:.0f} %"),
              row["implementation"].get<std::string>());
  }
}

void print_text(const Json& json) {
  fmt::print("{}  batch {}  {}, {} threads, {}\n",
             json["net"].get<std::string>(),
             json["batch"].get<std::int64_t>(),
             json["device"].get<std::string>(),
             json["threads"].get<int>(),
             json["optimizer"].get<std::string>());
  fmt::print(
      "{:.3f} ms a step (median of {}; min {:.3f}, 10 % {:.3f}, 90 % {:.3f}), {:.0f} images/s\n",
      json["ms_per_step"].get<double>(),
      json["steps"].get<std::int64_t>(),
      json["ms_min"].get<double>(),
      json["ms_p10"].get<double>(),
      json["ms_p90"].get<double>(),
      json["images_per_second"].get<double>());
  if (!json["layers"].empty()) print_layers(json);
}

void bench(const BenchFlags& flags) {
  flags.check();
  LAMINA_CHECK(!flags.serve || flags.nets.size() == 1, "--serve takes one net.");
  Context ctx = flags.open();
  if (flags.serve) {
    StepBench steps = make_bench(ctx, flags.nets[0], flags);
    serve(steps);
    return;
  }
  Json all = Json::array();
  for (const std::string& net : flags.nets) {
    const Json json = bench_net(ctx, net, flags);
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
  command->add_flag("--serve",
                    flags->serve,
                    "run as many steps as each line of standard input says, without a warm-up, and "
                    "print their milliseconds");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { bench(*flags); });
}

}  // namespace lamina::cli
