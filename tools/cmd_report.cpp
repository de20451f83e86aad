// lamina report: draws a run's report again, or lays runs beside each other.
//
// Of one run everything but the classes, the mistakes and the feature maps is in its files; those
// are computed again from its weights where its data set is here.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cmath>

#include "engine/files/atomic_file.h"
#include "engine/files/torch_file.h"
#include "engine/graph/summary.h"
#include "engine/train/report_runs.h"
#include "engine/train/run_results.h"
#include "engine/train/run_table.h"
#include "engine/train/saved_run.h"
#include "tools/commands.h"
#include "tools/common.h"
#include "tools/training.h"

namespace lamina::cli {

namespace {

struct ReportFlags {
  std::vector<std::string> folders;
  std::string out, device = "auto";
  std::int64_t threads = 0;
  bool files_only = false, json = false;
};

Graph graph_of(const SavedRun& run) {
  return build_net(run.config.net, net_flags(run.config).opts());
}

// Another count of right images than the run's: other weights or other images than it had. A few
// may fall on the other side by rounding on another device.
bool same_result(const EvalResult& again, const SavedRun& run) {
  const double images = static_cast<double>(run.test_count);
  return again.sums.samples == images &&
         std::abs(again.sums.correct - run.test_acc * images) <= std::max(2.0, images / 1000);
}

void evaluate_again(const SavedRun& run, const ReportFlags& flags, RunReport& report) {
  const TrainConfig& config = run.config;
  const RunPaths paths(run.folder);
  DataOpts data_of_run = data_opts(config);
  data_of_run.threads = flags.threads;
  const Dataset test_set = load_with_notes(config.data, Part::test, data_of_run);
  const auto weights = std::filesystem::exists(paths.average) ? paths.average : paths.weights;
  const Precision precision = precision_from_name(config.precision);
  Context ctx =
      open_device(flags.device,
                  {.threads = flags.threads, .precision = precision, .winograd = config.winograd});
  Graph graph = graph_of(run);
  check_fit(graph, config.net, test_set);
  Model model(ctx, std::move(graph), precision);
  model.load_state_dict(read_weights(weights), weights.string());
  const DeviceDataset data(ctx, test_set, static_cast<std::uint64_t>(config.permute_pixels));
  const PrepareOpts scaling = parse_normalize(config.normalize, test_set);
  Evaluator evaluator(model,
                      data,
                      scaling,
                      all_samples(test_set.count),
                      {.batch = kEvalBatch, .passes = config.passes()});
  const Buffer arena = ctx.allocate(evaluator.arena_bytes());
  evaluator.bind(arena.bytes_at(0));
  std::vector<Mistake> mistakes;
  const EvalResult result = evaluate_with_mistakes(evaluator, test_set, kMistakesShown, mistakes);
  if (!same_result(result, run))
    fail(
        "{} of {} test images are right with {}, {:.0f} of {} were at the end of the run; its "
        "weights or its data set have changed.",
        result.sums.correct,
        result.sums.samples,
        weights.string(),
        run.test_acc * static_cast<double>(run.test_count),
        run.test_count);
  report.class_names = test_set.class_names;
  report.confusion = result.confusion;
  report.mistakes = std::move(mistakes);
  report.features = first_image(test_set);
  report.features.layers = feature_maps(model, data, scaling, 0);
}

void report_run(const SavedRun& run, const std::string& path, const ReportFlags& flags) {
  RunReport report = report_of(run);
  report.summary_text = summary_table(summarise(graph_of(run), run.config.batch_size));
  if (run.finished && !flags.files_only) {
    try {
      evaluate_again(run, flags, report);
    } catch (const Error& error) {
      throw error.with_context("the page needs an evaluation (without it: --files-only): ");
    }
  }
  write_file_atomically(path, report_html(report));
}

void report_on(const ReportFlags& flags) {
  std::vector<SavedRun> runs = read_runs(flags.folders);
  for (SavedRun& run : runs) {
    const Summary summary = summarise(graph_of(run), 1);
    run.parameters = summary.params;
    run.mult_adds = summary.mult_adds;
  }
  fmt::print("{}", flags.json ? run_table_json(runs) : run_table_text(runs));
  if (flags.json && flags.out.empty()) return;
  std::string path = flags.out;
  if (runs.size() == 1) {
    if (path.empty()) path = RunPaths(runs[0].folder).report.string();
    report_run(runs[0], path, flags);
  } else {
    if (path.empty()) path = (common_folder(runs) / "comparison.html").string();
    write_file_atomically(path, comparison_html(runs));
  }
  fmt::print(stderr, "report  {}\n", path);
}

}  // namespace

void add_report(CLI::App& app) {
  CLI::App* command = app.add_subcommand("report", "compare runs, or draw a run's report again");
  auto flags = std::make_shared<ReportFlags>();
  command->add_option("RUN", flags->folders, "folders of runs, or of sweeps")->required();
  command
      ->add_option("--out",
                   flags->out,
                   "page to write (default: report.html in the folder of a single run, "
                   "comparison.html in the folder that several have in common)")
      ->type_name("FILE.html");
  command->add_flag("--files-only",
                    flags->files_only,
                    "leave out what takes an evaluation: classes, mistakes, feature maps");
  command->add_option("--device", flags->device, "of the evaluation: auto, cuda, cpu or ref");
  command->add_option("--threads", flags->threads, "CPU threads (0: as many as there are)");
  command->add_flag(
      "--json", flags->json, "print the table as JSON; writes a page only with --out");
  command->callback([flags] { report_on(*flags); });
}

}  // namespace lamina::cli
