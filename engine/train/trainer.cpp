// SPDX-License-Identifier: Apache-2.0
#include "engine/train/trainer.h"

#include <algorithm>
#include <chrono>

#include "engine/core/philox.h"
#include "engine/data/split.h"
#include "engine/files/atomic_file.h"
#include "engine/graph/summary.h"
#include "engine/train/run_results.h"

namespace lamina {

namespace {

// Evaluation needs no gradients, so larger batches fit and are faster.
constexpr std::int64_t kEvalBatch = 256;
constexpr double kSecondsBetweenEvents = 0.2;
constexpr std::size_t kMistakesShown = 24;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

struct Trainer::Machine {
  Model model;
  DeviceDataset train_data, test_data;
  PrepareOpts prepare;
  Split split;
  BatchWalk walk;
  std::unique_ptr<Evaluator> validation;
  Evaluator test;
  Optimizer optimizer;
  MetricSums metrics;
  Buffer state, arena;

  StepState* device_state() const { return static_cast<StepState*>(state.data()); }

  Machine(Context& ctx,
          const TrainConfig& config,
          Graph graph,
          const Dataset& train,
          const Dataset& test_set)
      : model(ctx, std::move(graph)),
        train_data(ctx, train),
        test_data(ctx, test_set),
        prepare(parse_normalize(config.normalize, train)),
        split(split_train_val(
            train.count, config.val_split, static_cast<std::uint64_t>(config.seed))),
        walk(model,
             train_data,
             prepare,
             {.batch = config.batch_size,
              .mode = Mode::train,
              .backward = true,
              .fuse = config.fuse,
              .seed = static_cast<std::uint64_t>(config.seed)},
             static_cast<std::int64_t>(split.train.size())),
        test(model, test_data, prepare, all_samples(test_set.count), kEvalBatch, config.fuse),
        optimizer(model, config),
        metrics(ctx, model.graph().classes(), false),
        state(ctx.allocate(sizeof(StepState))) {
    if (!split.val.empty()) {
      validation = std::make_unique<Evaluator>(
          model, train_data, prepare, split.val, kEvalBatch, config.fuse);
    }
    // Training and evaluation take turns in one arena.
    arena = ctx.allocate(std::max(
        {walk.arena_bytes(), test.arena_bytes(), validation ? validation->arena_bytes() : 0}));
    walk.bind(arena.bytes_at(0), device_state());
    test.bind(arena.bytes_at(0));
    if (validation) validation->bind(arena.bytes_at(0));
  }
};

Trainer::Trainer(Context& ctx,
                 const TrainConfig& config,
                 Graph graph,
                 const Dataset& train,
                 const Dataset& test,
                 std::filesystem::path folder)
    : ctx_(&ctx),
      config_(config),
      test_set_(&test),
      paths_(std::move(folder)),
      stopping_(config.early_stop) {
  check_fit(graph, config.net, train);
  check_fit(graph, config.net, test);
  machine_ = std::make_unique<Machine>(ctx, config, std::move(graph), train, test);
}

Trainer::~Trainer() = default;

void Trainer::save(const TrainProgress& progress) const {
  save_checkpoint(paths_.state, machine_->model, machine_->optimizer, progress);
}

TrainOutcome Trainer::run(const TrainHooks& hooks, bool resume) {
  Machine& m = *machine_;
  TrainProgress progress;
  progress.best_val_loss = stopping_.best();
  started_ = utc_now();
  m.model.initialise(static_cast<std::uint64_t>(config_.seed));
  if (resume && std::filesystem::exists(paths_.state)) {
    progress = load_checkpoint(paths_.state, m.model, m.optimizer);
    stopping_.restore(progress.best_val_loss, progress.stale_epochs);
    if (hooks.on_message) {
      hooks.on_message(
          fmt::format("resuming at epoch {}, step {}", progress.epoch + 1, progress.step));
    }
  }
  log_ = std::make_unique<RunLog>(paths_.folder, static_cast<int>(progress.epoch));

  TrainOutcome outcome;
  while (!progress.finished && !outcome.interrupted) {
    train_epoch(hooks, progress, outcome.interrupted);
    if (outcome.interrupted) break;
    const EpochRow row = finish_epoch(progress);
    log_->append(row);
    if (hooks.on_epoch) hooks.on_epoch(row);
    save(progress);
    outcome.interrupted = !progress.finished && hooks.stop_requested && hooks.stop_requested();
  }
  if (outcome.interrupted) save(progress);
  write_safetensors(paths_.weights, m.model.state_dict());
  outcome.stopped_early = progress.stopped_early;
  outcome.epochs = log_->rows();
  if (!outcome.interrupted) write_results(outcome, progress);
  return outcome;
}

void Trainer::train_epoch(const TrainHooks& hooks, TrainProgress& progress, bool& interrupted) {
  Machine& m = *machine_;
  const auto seed = static_cast<std::uint64_t>(config_.seed);
  m.walk.set_order(shuffled_order(
      seed, stream::kShuffle, static_cast<std::uint32_t>(progress.epoch), m.split.train));
  const StepState start{progress.step, progress.cursor, static_cast<float>(config_.lr), 0.0f};
  ctx_->copy_in(m.state.data(), &start, sizeof start);
  m.metrics.write(progress.epoch_sums);

  const double begin = now() - progress.epoch_seconds;
  double last_event = begin;
  while (progress.cursor < m.walk.count()) {
    Program& program = m.walk.load(progress.cursor);
    program.forward();
    program.loss_and_gradient(m.metrics.device());
    program.backward();
    m.optimizer.step(m.device_state());
    advance(*ctx_, m.device_state(), program.batch());
    ++progress.step;
    progress.cursor += program.batch();

    if (progress.step % config_.log_every == 0 || progress.step == 1) {
      float loss = 0;
      ctx_->copy_out(&loss, program.loss().data, sizeof loss);
      progress.step_losses.emplace_back(progress.step, loss);
    }
    progress.epoch_seconds = now() - begin;
    if (hooks.on_batch && now() - last_event > kSecondsBetweenEvents) {
      last_event = now();
      const MetricSums::Host sums = m.metrics.read();
      hooks.on_batch({progress.epoch + 1,
                      config_.epochs,
                      progress.cursor,
                      m.walk.count(),
                      sums.loss(),
                      sums.accuracy(),
                      static_cast<double>(progress.cursor) / progress.epoch_seconds});
    }
    interrupted = hooks.stop_requested && hooks.stop_requested();
    const bool save_now = config_.save_every > 0 && progress.step % config_.save_every == 0;
    if (interrupted || save_now) progress.epoch_sums = m.metrics.read();
    if (interrupted) return;
    if (save_now) save(progress);
  }
  progress.epoch_sums = m.metrics.read();
}

EpochRow Trainer::finish_epoch(TrainProgress& progress) {
  Machine& m = *machine_;
  EpochRow row;
  row.epoch = static_cast<int>(++progress.epoch);
  row.step = progress.step;
  row.train_loss = progress.epoch_sums.loss();
  row.train_acc = progress.epoch_sums.accuracy();
  row.lr = config_.lr;
  row.seconds = progress.epoch_seconds;
  row.images_per_second = progress.epoch_sums.samples / progress.epoch_seconds;
  if (m.validation) {
    const MetricSums::Host val = m.validation->run().sums;
    row.has_val = true;
    row.val_loss = val.loss();
    row.val_acc = val.accuracy();
    progress.stopped_early = stopping_.update(row.val_loss);
    progress.best_val_loss = stopping_.best();
    progress.stale_epochs = stopping_.stale_epochs();
  }
  progress.cursor = 0;
  progress.epoch_sums = {};
  progress.epoch_seconds = 0;
  progress.finished = progress.stopped_early || progress.epoch >= config_.epochs;
  return row;
}

std::vector<std::pair<std::string, std::string>> Trainer::memory_rows() const {
  Machine& m = *machine_;
  std::size_t workspace = 0;
  for (Program* program : m.walk.programs())
    workspace = std::max(workspace, program->workspace_bytes());
  const auto kb = [](std::size_t bytes) {
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  };
  return {{"parameters", kb(m.model.weights().bytes())},
          {"gradients", kb(m.model.gradients().bytes())},
          {"optimizer state", kb(m.optimizer.state_bytes())},
          {"activations and their gradients", kb(m.arena.size() - workspace)},
          {"workspace", kb(workspace)},
          {"data set", kb(m.train_data.bytes() + m.test_data.bytes())}};
}

void Trainer::write_results(TrainOutcome& outcome, const TrainProgress& progress) {
  Machine& m = *machine_;
  RunReport report;
  outcome.test = evaluate_with_mistakes(m.test, *test_set_, kMistakesShown, report.mistakes);
  report.title = fmt::format("{} on {}", config_.net, test_set_->name);
  report.net = config_.net;
  report.data = fmt::format("{} ({})", test_set_->name, test_set_->origin);
  report.device = ctx_->device().describe();
  report.started = started_;
  report.config = config_rows(config_);
  report.environment = environment_rows(*ctx_);
  report.memory = memory_rows();
  report.epochs = outcome.epochs;
  report.step_losses = progress.step_losses;
  report.test_loss = outcome.test.sums.loss();
  report.test_acc = outcome.test.sums.accuracy();
  report.test_count = test_set_->count;
  report.class_names = test_set_->class_names;
  report.confusion = outcome.test.confusion;
  report.summary_text = summary_table(summarise(m.model.graph(), config_.batch_size));
  write_file_atomically(paths_.result, result_json(report));
  write_file_atomically(paths_.report, report_html(report));
}

}  // namespace lamina
