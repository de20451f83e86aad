// lamina profile: where the time of training goes, layer by layer, and a trace to look at.
//
// Real steps over a data set, or over noise. The device is waited for around every pass, so that
// the passes add up to more than a step whose launches overlap; `lamina bench` times whole steps.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/files/atomic_file.h"
#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"
#include "tools/pass_work.h"
#include "tools/step_bench.h"

namespace lamina::cli {

namespace {

using Json = nlohmann::ordered_json;
using Spans = std::vector<StepBench::Span>;

struct ProfileFlags : StepBenchFlags {
  std::string net, data, data_dir, trace;
  bool json = false;
};

// "conv1.0 forward", "prepare"
std::string label(const std::string& name, const std::string& pass) {
  return pass.empty() || pass == name ? name : name + " " + pass;
}

struct Row {
  std::string name, pass, type;
  double ms = 0;
  PassWork work;
};

// The median time of every pass, in the order of a step.
std::vector<Row> rows_of(const Program& program, const std::vector<Spans>& steps) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < steps.front().size(); ++i) {
    const StepBench::Span& first = steps.front()[i];
    std::vector<double> times;
    for (const Spans& step : steps) times.push_back(step[i].end - step[i].begin);
    rows.push_back({.name = first.name, .pass = first.pass, .ms = median(times)});
  }
  const auto& nodes = program.graph().nodes();
  for (Row& row : rows) {
    row.work = work_of(program, row.name, row.pass);
    for (const Node& node : nodes)
      if (node.name == row.name) row.type = node.layer->type();
  }
  return rows;
}

// The format that Perfetto and chrome://tracing read: complete events ("X") in microseconds, those
// of a step inside the step's.
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
Json trace_of(const std::string& net, const std::vector<Spans>& steps) {
  Json events = Json::array();
  const double start = steps.front().front().begin;
  const auto event = [&](const std::string& name, const char* category, double begin, double end) {
    events.push_back({{"name", name},
                      {"cat", category},
                      {"ph", "X"},
                      {"ts", 1e3 * (begin - start)},
                      {"dur", 1e3 * (end - begin)},
                      {"pid", 1},
                      {"tid", 1}});
  };
  events.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", net}}}});
  for (std::size_t i = 0; i < steps.size(); ++i) {
    event(fmt::format("step {}", i), "step", steps[i].front().begin, steps[i].back().end);
    for (const StepBench::Span& span : steps[i]) {
      event(label(span.name, span.pass), span.pass, span.begin, span.end);
    }
  }
  return {{"traceEvents", events}, {"displayTimeUnit", "ms"}};
}

void write_trace(const std::string& path, const Json& trace) {
  write_file_atomically(path, trace.dump());
}

Json json_of(const std::vector<Row>& rows, const Ceilings& ceilings) {
  Json list = Json::array();
  for (const Row& row : rows) {
    list.push_back({{"name", row.name},
                    {"pass", row.pass},
                    {"type", row.type},
                    {"ms", row.ms},
                    {"bytes", row.work.bytes},
                    {"flops", row.work.flops},
                    {"floor_ms", ceilings.floor_ms(row.work)}});
  }
  return list;
}

// The most expensive first.
void print_rows(std::vector<Row> rows, double total, const Ceilings& ceilings) {
  std::stable_sort(
      rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ms > b.ms; });
  fmt::print("{:<36}{:<18}{:>9}{:>8}{:>10}{:>9}{:>11}{:>9}\n",
             "layer",
             "type",
             "ms",
             "share",
             "MB",
             "GB/s",
             "GFLOP/s",
             "of floor");
  for (const Row& row : rows) {
    const bool known = row.work.bytes > 0;
    const auto cell = [&](double value, const char* format) {
      return known ? fmt::format(fmt::runtime(format), value) : std::string("-");
    };
    fmt::print("{:<36}{:<18}{:>9.3f}{:>6.1f} %{:>10}{:>9}{:>11}{:>9}\n",
               label(row.name, row.pass),
               row.type,
               row.ms,
               100 * row.ms / total,
               cell(row.work.bytes / 1e6, "{:.2f}"),
               cell(row.work.bytes / 1e6 / row.ms, "{:.1f}"),
               row.work.flops > 0 ? fmt::format("{:.1f}", row.work.flops / 1e6 / row.ms) : "-",
               cell(100 * ceilings.floor_ms(row.work) / row.ms, "{:.0f} %"));
  }
}

void profile(const ProfileFlags& flags) {
  flags.check();
  Context ctx = flags.open();
  NetOpts opts = flags.options.opts();
  const std::int64_t count = flags.batch * (flags.steps + flags.warmup);
  const auto noise = [&](const Graph& graph) {
    return random_images(graph.shape(graph.input()), graph.classes(), count);
  };
  const Dataset images =
      flags.data.empty()
          ? noise(build_net(flags.net, opts))
          : load_with_notes(flags.data, Part::train, {.root = flags.data_dir, .limit = count});
  LAMINA_CHECK(images.count >= flags.batch,
               "{} has {} images, less than a batch; choose a smaller --batch.",
               images.name,
               images.count);
  Graph graph =
      flags.data.empty() ? build_net(flags.net, opts) : build_net_for(flags.net, opts, images);
  StepBenchOpts bench_opts = flags.opts();
  bench_opts.record = false;
  StepBench bench(ctx, std::move(graph), images, bench_opts);
  for (std::int64_t i = 0; i < flags.warmup; ++i) bench.step();
  std::vector<double> whole;
  for (std::int64_t i = 0; i < flags.steps; ++i) whole.push_back(bench.step());
  std::vector<Spans> steps;
  ctx.device().begin_profile();
  for (std::int64_t i = 0; i < flags.steps; ++i) steps.push_back(bench.step_by_layers());
  ctx.device().end_profile();

  const Ceilings ceilings = measure_ceilings(ctx, bench.program().input().dtype);
  const std::vector<Row> rows = rows_of(bench.program(), steps);
  double passes = 0, floors = 0;
  for (const Row& row : rows) passes += row.ms, floors += ceilings.floor_ms(row.work);
  if (!flags.trace.empty()) write_trace(flags.trace, trace_of(flags.net, steps));
  if (flags.json) {
    fmt::print("{}\n",
               Json{{"net", flags.net},
                    {"batch", flags.batch},
                    {"data", images.name},
                    {"device", name_of(ctx.backend())},
                    {"threads", ctx.threads()},
                    {"steps", flags.steps},
                    {"ms_per_step", median(whole)},
                    {"ms_of_passes", passes},
                    {"ms_of_floors", floors},
                    {"copy_gbps", ceilings.gbps},
                    {"matmul_tflops", ceilings.tflops},
                    {"passes", json_of(rows, ceilings)}}
                   .dump(2));
    return;
  }
  fmt::print(
      "{}  batch {}  {} of {}: {:.3f} ms a step, {:.3f} ms as single passes (medians of {})\n"
      "This machine copies {:.1f} GB/s and multiplies matrices at {:.3f} TFLOP/s: no less than "
      "{:.3f} ms.\n\n",
      flags.net,
      flags.batch,
      name_of(ctx.backend()),
      images.name,
      median(whole),
      passes,
      flags.steps,
      ceilings.gbps,
      ceilings.tflops,
      floors);
  print_rows(rows, passes, ceilings);
  if (!flags.trace.empty())
    fmt::print("\nThe trace is in {}: open it at https://ui.perfetto.dev.\n", flags.trace);
}

}  // namespace

void add_profile(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "profile", "where the time of training goes, by layer and pass, and a trace of it");
  auto flags = std::make_shared<ProfileFlags>();
  flags->steps = 20;
  flags->warmup = 5;
  command->add_option("net", flags->net, "network id")->required();
  flags->add_to(*command);
  command->add_option("--data", flags->data, "data set to train on (none: noise)");
  command->add_option("--data-dir", flags->data_dir, "folder to look for it in");
  command->add_option("--trace", flags->trace, "write a Chrome trace of the steps to this file");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { profile(*flags); });
}

}  // namespace lamina::cli
