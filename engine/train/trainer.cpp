// SPDX-License-Identifier: Apache-2.0
#include "engine/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/core/philox.h"
#include "engine/data/split.h"
#include "engine/files/atomic_file.h"
#include "engine/graph/summary.h"
#include "engine/train/augmentation.h"
#include "engine/train/divergence.h"
#include "engine/train/nonfinite.h"
#include "engine/train/run_results.h"
#include "engine/train/start_weights.h"
#include "engine/train/train_step.h"

namespace lamina {

namespace {

constexpr double kSecondsBetweenEvents = 0.2;
// Of f16 gradients, as PyTorch's GradScaler starts and grows.
constexpr float kFirstLossScale = 65536.0f;
constexpr std::int32_t kGrowthInterval = 2000;
constexpr std::int64_t kMostSteps = 1 << 20;  // without a pause

std::optional<LossKind> loss_of(const TrainConfig& config) {
  const auto name = std::find(kLossNames.begin(), kLossNames.end(), config.loss);
  if (name == kLossNames.end()) return std::nullopt;  // auto
  return static_cast<LossKind>(name - kLossNames.begin());
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

struct Trainer::Machine {
  Model model;
  std::unique_ptr<Average> average;
  DeviceDataset train_data, test_data;
  PrepareOpts prepare;
  Split split;
  Optimizer optimizer;
  MetricSums metrics;
  Buffer state;
  BatchWalk walk;  // planned for what the device has left by now
  std::unique_ptr<Evaluator> validation;
  Evaluator test;
  Buffer arena;
  // f32, of every batch of an epoch, at step % batches; momenta where the schedule cycles them.
  Buffer losses, rates, momenta;
  std::unique_ptr<TrainStep> step;
  std::vector<std::unique_ptr<NonfiniteWatch>> watches;  // of --debug nan

  Model& judged() { return average ? average->model() : model; }
  StepState* device_state() const { return static_cast<StepState*>(state.data()); }

  // Of the tensors of a step. What is free on the device is so but for an eighth, for what is
  // allocated behind them.
  static std::optional<std::size_t> memory_for(Context& ctx, const TrainConfig& config) {
    if (config.memory > 0) return static_cast<std::size_t>(config.memory) * 1000000;
    const std::optional<std::size_t> free = ctx.device().free_bytes();
    return free ? std::optional(*free - *free / 8) : std::nullopt;
  }

  static ProgramOpts training_opts(Context& ctx, const TrainConfig& config) {
    const auto seed = static_cast<std::uint64_t>(config.seed);
    return {.batch = config.batch_size,
            .passes = config.debug.empty() ? config.passes() : PassSet::unfused(),
            .seed = seed,
            .loss = loss_of(config),
            .smoothing = config.label_smoothing,
            .mixup = mixup_of(config),
            .memory = memory_for(ctx, config)};
  }

  static ProgramOpts evaluation_opts(const TrainConfig& config) {
    return {.batch = kEvalBatch, .passes = config.passes(), .loss = loss_of(config)};
  }

  Machine(Context& ctx,
          const TrainConfig& config,
          Graph graph,
          const Dataset& train,
          const Dataset& test_set)
      : model(ctx, std::move(graph), precision_from_name(config.precision)),
        average(config.ema > 0 ? std::make_unique<Average>(
                                     model, precision_from_name(config.precision), config.ema)
                               : nullptr),
        train_data(ctx, train, static_cast<std::uint64_t>(config.permute_pixels)),
        test_data(ctx, test_set, static_cast<std::uint64_t>(config.permute_pixels)),
        prepare(parse_normalize(config.normalize, train)),
        split(split_train_val(
            train.count, config.val_split, static_cast<std::uint64_t>(config.seed))),
        optimizer(model, config),
        metrics(ctx, model.graph().classes(), false),
        state(ctx.allocate(sizeof(StepState))),
        walk(model,
             train_data,
             augmented(prepare, config, train),
             training_opts(ctx, config),
             static_cast<std::int64_t>(split.train.size()),
             config.accumulate),
        test(judged(), test_data, prepare, all_samples(test_set.count), evaluation_opts(config)) {
    if (!split.val.empty()) {
      validation = std::make_unique<Evaluator>(
          judged(), train_data, prepare, split.val, evaluation_opts(config));
    }
    // Training and evaluation take turns in one arena.
    const std::size_t bytes = std::max(
        {walk.arena_bytes(), test.arena_bytes(), validation ? validation->arena_bytes() : 0});
    check_memory(model, training_opts(ctx, config), bytes);
    arena = ctx.allocate(bytes);
    walk.bind(arena.bytes_at(0), device_state());
    test.bind(arena.bytes_at(0));
    if (validation) validation->bind(arena.bytes_at(0));
    losses = ctx.allocate(static_cast<std::size_t>(walk.batches()) * sizeof(float));
    rates = ctx.allocate(losses.size());
    if (config.cycle_momentum) momenta = ctx.allocate(losses.size());
    Metrics kept = metrics.device();
    kept.history = vector_view(losses.data(), DType::f32, walk.batches());
    step = std::make_unique<TrainStep>(
        ctx,
        TrainStepParts{.walk = &walk,
                       .optimizer = &optimizer,
                       .average = average.get(),
                       .metrics = kept,
                       .state = device_state(),
                       .rates = vector_view(rates.data(), DType::f32, walk.batches()),
                       .momenta = config.cycle_momentum
                                      ? vector_view(momenta.data(), DType::f32, walk.batches())
                                      : Tensor{},
                       .accumulate = config.accumulate,
                       .record = config.record && config.debug.empty()});
    if (config.debug == "nan") {
      for (Program* program : walk.programs())
        watches.push_back(std::make_unique<NonfiniteWatch>(model, *program));
    }
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
  machine_->model.initialise(static_cast<std::uint64_t>(config.seed));
  schedule_ = std::make_unique<Schedule>(config, updates_per_epoch());
}

Trainer::~Trainer() = default;

std::string Trainer::start_from(TensorFile weights, const std::string& origin) {
  return load_start_weights(machine_->model, std::move(weights), origin);
}

TrainedParts Trainer::parts() const {
  return {&machine_->model, &machine_->optimizer, machine_->average.get()};
}

// Weights that an update threw beyond all bounds show in no loss yet.
void Trainer::save(const TrainProgress& progress) {
  const TensorFile file = make_checkpoint(parts(), progress);
  const std::string bad = nonfinite_text(file);
  if (!bad.empty())
    throw diverged_at(progress.step - 1, fmt::format("after step {} {}", progress.step, bad));
  write_safetensors(paths_.state, file);
  saved_step_ = progress.step;
}

// step counts from 0.
Diverged Trainer::diverged_at(std::int64_t step, const std::string& what) const {
  return Diverged({.net = config_.net,
                   .what = what,
                   .epoch = step / machine_->walk.batches() + 1,
                   .lr = rate_at(step),
                   .checkpoint = saved_step_});
}

TrainOutcome Trainer::run(const TrainHooks& hooks, bool resume) {
  std::filesystem::remove(paths_.diverged);
  try {
    return train(hooks, resume);
  } catch (const Diverged& error) {
    write_file_atomically(paths_.diverged, error.what() + std::string("\n"));
    throw;
  }
}

TrainOutcome Trainer::train(const TrainHooks& hooks, bool resume) {
  Machine& m = *machine_;
  TrainProgress progress;
  progress.best_val_loss = stopping_.best();
  if (m.model.compute_dtype() == DType::f16) {
    progress.device.loss_scale = kFirstLossScale;
    progress.device.growth_interval = kGrowthInterval;
  }
  started_ = utc_now();
  if (m.average) m.average->start();
  progress.plateau = schedule_->plateau();
  if (resume && std::filesystem::exists(paths_.state)) {
    progress = load_checkpoint(paths_.state, parts());
    saved_step_ = progress.step;
    schedule_->restore(progress.plateau);
    stopping_.restore(progress.best_val_loss, progress.stale_epochs);
    if (hooks.on_message) {
      hooks.on_message(
          fmt::format("resuming at epoch {}, step {}", progress.epoch + 1, progress.step));
    }
  }
  log_ = std::make_unique<RunLog>(paths_.folder, static_cast<int>(progress.epoch));
  events_ = std::make_unique<EventFile>(paths_.events, log_->rows(), progress.step_losses);

  TrainOutcome outcome;
  while (!progress.finished && !outcome.interrupted) {
    const std::int64_t skipped = progress.device.skipped;
    train_epoch(hooks, progress, outcome.interrupted);
    if (outcome.interrupted) break;
    report_skips(hooks, progress.device, skipped);
    const EpochRow row = finish_epoch(progress);
    log_->append(row);
    events_->append(log_->rows().back(), progress.step_losses);
    if (hooks.on_epoch) hooks.on_epoch(row);
    save(progress);
    outcome.interrupted = !progress.finished && hooks.stop_requested && hooks.stop_requested();
  }
  if (outcome.interrupted) {
    events_->append(progress.step_losses);
    save(progress);
  }
  write_safetensors(paths_.weights, m.model.state_dict());
  if (m.average) write_safetensors(paths_.average, m.average->model().state_dict());
  outcome.stopped_early = progress.stopped_early;
  outcome.epochs = log_->rows();
  if (!outcome.interrupted) write_results(outcome, progress);
  return outcome;
}

std::int64_t Trainer::updates_per_epoch() const {
  return (machine_->walk.batches() + config_.accumulate - 1) / config_.accumulate;
}

std::int64_t Trainer::update_of(std::int64_t step) const {
  const std::int64_t batches = machine_->walk.batches();
  return step / batches * updates_per_epoch() + step % batches / config_.accumulate;
}

double Trainer::rate_at(std::int64_t step) const { return schedule_->rate(update_of(step)); }

void Trainer::begin_epoch(TrainProgress& progress) {
  Machine& m = *machine_;
  const auto seed = static_cast<std::uint64_t>(config_.seed);
  m.walk.set_order(shuffled_order(
      seed, stream::kShuffle, static_cast<std::uint32_t>(progress.epoch), m.split.train));
  const std::int64_t batches = m.walk.batches();
  std::vector<float> rates, momenta;
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    const std::int64_t update = update_of(progress.epoch * batches + batch);
    rates.push_back(static_cast<float>(schedule_->rate(update)));
    momenta.push_back(static_cast<float>(schedule_->momentum(update)));
  }
  ctx_->copy_in(m.rates.data(), rates.data(), m.rates.size());
  if (config_.cycle_momentum) ctx_->copy_in(m.momenta.data(), momenta.data(), m.momenta.size());

  StepState& state = progress.device;
  state.step = progress.step;
  state.cursor = progress.cursor;
  const auto at = static_cast<std::size_t>(progress.step % batches);
  state.lr = rates[at];
  if (config_.cycle_momentum) state.momentum = momenta[at];
  ctx_->copy_in(m.state.data(), &state, sizeof state);
  m.metrics.write(progress.epoch_sums);
  epoch_rate_ = rate_at((progress.epoch + 1) * batches - 1);
}

void Trainer::train_epoch(const TrainHooks& hooks, TrainProgress& progress, bool& interrupted) {
  Machine& m = *machine_;
  begin_epoch(progress);
  const double begin = now() - progress.epoch_seconds, waited = m.walk.waited();
  double last_event = begin;
  while (progress.cursor < m.walk.count()) {
    const std::int64_t before = progress.step;
    const std::int64_t steps = run_steps(progress);
    progress.step += steps;
    progress.cursor = std::min(progress.cursor + steps * m.walk.batch(), m.walk.count());

    progress.epoch_seconds = now() - begin;
    data_wait_ = m.walk.waited() - waited;
    if (hooks.on_batch && now() - last_event > kSecondsBetweenEvents) {
      last_event = now();
      const MetricSums::Host sums = m.metrics.read();
      if (!std::isfinite(sums.loss_sum)) read_device(progress);
      hooks.on_batch({progress.epoch + 1,
                      config_.epochs,
                      progress.cursor,
                      m.walk.count(),
                      sums.loss(),
                      sums.accuracy(),
                      static_cast<double>(progress.cursor) / progress.epoch_seconds,
                      rate_at(progress.step),
                      data_wait_ / progress.epoch_seconds});
    }
    interrupted = hooks.stop_requested && hooks.stop_requested();
    const bool save_now =
        config_.save_every > 0 && progress.step / config_.save_every > before / config_.save_every;
    if (interrupted || save_now) read_device(progress);
    if (interrupted) return;
    if (!save_now) continue;
    events_->append(progress.step_losses);
    save(progress);
  }
  read_device(progress);
}

std::int64_t Trainer::run_steps(const TrainProgress& progress) {
  const std::int64_t most = steps_to_pause(progress.step);
  if (config_.debug.empty()) return machine_->step->run(progress.cursor, most);
  try {
    return machine_->step->run(progress.cursor, most);
  } catch (const Error& error) {
    throw error.with_context(fmt::format("epoch {}, image {} of {}, learning rate {:.4g}: ",
                                         progress.epoch + 1,
                                         progress.cursor,
                                         machine_->walk.count(),
                                         rate_at(progress.step)));
  }
}

std::int64_t Trainer::steps_to_pause(std::int64_t step) const {
  return config_.save_every > 0 ? config_.save_every - step % config_.save_every : kMostSteps;
}

void Trainer::read_device(TrainProgress& progress) const {
  progress.epoch_sums = machine_->metrics.read();
  std::vector<float> losses(machine_->losses.size() / sizeof(float));
  ctx_->copy_out(losses.data(), machine_->losses.data(), machine_->losses.size());
  StepState state;
  ctx_->copy_out(&state, machine_->state.data(), sizeof state);
  // In f16 a step that overflows is skipped and done better with a lower scale, until there is
  // none.
  const bool may_skip = state.loss_scale > 1;
  // The steps since the device was last read, or since the epoch began.
  for (std::int64_t step = progress.device.step; step < progress.step; ++step) {
    const std::int64_t number = step + 1;
    const float loss = losses[static_cast<std::size_t>(step) % losses.size()];
    if (!std::isfinite(loss) && !may_skip)
      throw diverged_at(
          step,
          fmt::format("the loss of step {} is {}", number, number_text(static_cast<double>(loss))));
    if (number % config_.log_every == 0 || number == 1)
      progress.step_losses.emplace_back(number, loss);
  }
  progress.device = state;
}

void Trainer::report_skips(const TrainHooks& hooks,
                           const StepState& state,
                           std::int64_t skipped_before) const {
  const std::int64_t skipped = state.skipped - skipped_before;
  if (skipped == 0 || !hooks.on_message) return;
  hooks.on_message(
      fmt::format("{} update(s) of this epoch were skipped because a gradient overflowed, the last "
                  "one first in '{}'; the loss scale is {:g} now",
                  skipped,
                  machine_->model.name_at(state.last_overflow),
                  state.loss_scale));
}

EpochRow Trainer::finish_epoch(TrainProgress& progress) {
  Machine& m = *machine_;
  EpochRow row;
  row.epoch = static_cast<int>(++progress.epoch);
  row.step = progress.step;
  row.train_loss = progress.epoch_sums.loss();
  row.train_acc = progress.epoch_sums.accuracy();
  row.train_acc5 = progress.epoch_sums.accuracy5();
  row.lr = epoch_rate_;
  row.seconds = progress.epoch_seconds;
  row.images_per_second = progress.epoch_sums.samples / progress.epoch_seconds;
  row.data_wait = data_wait_ / progress.epoch_seconds;
  if (m.validation) {
    const MetricSums::Host val = m.validation->run().sums;
    row.has_val = true;
    row.val_loss = val.loss();
    row.val_acc = val.accuracy();
    row.val_acc5 = val.accuracy5();
    progress.stopped_early = stopping_.update(row.val_loss);
    progress.best_val_loss = stopping_.best();
    progress.stale_epochs = stopping_.stale_epochs();
  }
  schedule_->end_epoch(row.has_val ? row.val_loss : row.train_loss);
  progress.plateau = schedule_->plateau();
  progress.cursor = 0;
  progress.epoch_sums = {};
  progress.epoch_seconds = 0;
  progress.finished = progress.stopped_early || progress.epoch >= config_.epochs;
  return row;
}

std::vector<std::pair<std::string, std::size_t>> Trainer::memory() const {
  Machine& m = *machine_;
  std::size_t workspace = 0;
  for (Program* program : m.walk.programs())
    workspace = std::max(workspace, program->workspace_bytes());
  std::vector<std::pair<std::string, std::size_t>> rows{
      {"parameters", m.model.parameter_bytes()},
      {"gradients", m.model.gradient_bytes()},
      {"optimizer state", m.optimizer.state_bytes()},
      {"activations and their gradients", m.arena.size() - workspace},
      {"workspace", workspace},
      {m.train_data.streamed() ? "data set, read ahead" : "data set",
       m.train_data.bytes() + m.test_data.bytes() + m.walk.stream_bytes() + m.test.stream_bytes() +
           (m.validation ? m.validation->stream_bytes() : 0)}};
  if (m.average) rows.emplace_back("average of the weights", m.average->model().parameter_bytes());
  return rows;
}

std::vector<std::pair<std::string, std::string>> Trainer::memory_rows() const {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [name, bytes] : memory())
    rows.emplace_back(name, fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6));
  return rows;
}

std::size_t Trainer::memory_bytes() const {
  std::size_t sum = 0;
  for (const auto& [name, bytes] : memory()) sum += bytes;
  return sum;
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
  report.test_acc5 = outcome.test.sums.accuracy5();
  report.test_count = test_set_->count;
  report.class_names = test_set_->class_names;
  report.confusion = outcome.test.confusion;
  report.features = first_image(*test_set_);
  report.features.layers = feature_maps(m.judged(), m.test_data, m.prepare, 0);
  report.summary_text = summary_table(summarise(m.model.graph(), config_.batch_size));
  const Summary one = summarise(m.model.graph(), 1);
  report.parameters = one.params;
  report.mult_adds = one.mult_adds;
  write_file_atomically(paths_.machine, machine_json(report));
  write_file_atomically(paths_.result, result_json(report));
  write_file_atomically(paths_.report, report_html(report));
}

}  // namespace lamina
