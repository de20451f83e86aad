// SPDX-License-Identifier: Apache-2.0
#include "tools/step_bench.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>

#include "engine/core/philox.h"
#include "engine/train/config.h"

namespace lamina::cli {

namespace {

TrainConfig config_of(const StepBenchOpts& opts) {
  TrainConfig config;
  config.optimizer = opts.optimizer;
  config.lr = 1e-4;
  config.weight_decay = 1e-3;
  return config;
}

}  // namespace

void StepBenchFlags::add_to(CLI::App& command) {
  options.add_to(command);
  command.add_option("--batch", batch, "images a step");
  command.add_option("--steps", steps, "steps that are timed");
  command.add_option("--warmup", warmup, "steps before");
  command.add_option("--optimizer,--opt", optimizer, "adam, adamw or sgd");
  command.add_option("--device", device, "auto, cuda, cpu or ref");
  command.add_option("--threads", threads, "CPU threads (0: as many as there are)");
  command.add_option("--precision", precision, "fp32 or bf16; tf32 or fp16 with cuda");
  passes.add_to(command);
  command.add_flag("--no-winograd", no_winograd, "convolve directly only");
  command.add_flag("--autotune", autotune, "choose convolutions by their time");
}

void StepBenchFlags::check() const {
  LAMINA_CHECK(batch > 0 && steps > 0 && warmup >= 0, "--batch and --steps must be positive.");
}

Context StepBenchFlags::open() const {
  return open_device(device,
                     {.threads = threads,
                      .precision = precision_from_name(precision),
                      .autotune = autotune,
                      .winograd = !no_winograd});
}

StepBenchOpts StepBenchFlags::opts() const {
  return {.batch = batch,
          .passes = passes.set(),
          .memory = passes.memory_bytes(),
          .optimizer = optimizer,
          .precision = precision};
}

Dataset random_images(const Shape& sample, std::int64_t classes, std::int64_t count) {
  Dataset dataset{.name = "random",
                  .count = count,
                  .h = sample.h,
                  .w = sample.w,
                  .c = sample.c,
                  .classes = classes};
  dataset.images.resize(static_cast<std::size_t>(count * sample.per_sample()));
  for (std::size_t i = 0; i < dataset.images.size(); ++i) {
    dataset.images[i] = static_cast<std::uint8_t>(philox_u32(1, stream::kSynthetic, 0, i));
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t draw = philox_u32(1, stream::kSynthetic, 1, static_cast<std::uint64_t>(i));
    dataset.labels.push_back(static_cast<std::int32_t>(draw % static_cast<std::uint32_t>(classes)));
  }
  return dataset;
}

StepBench::StepBench(Context& ctx, Graph graph, const Dataset& images, const StepBenchOpts& opts)
    : ctx_(&ctx),
      cpu_time_(opts.cpu_time),
      model_(ctx, std::move(graph), precision_from_name(opts.precision)),
      data_(ctx, images),
      walk_(model_,
            data_,
            {},
            {.batch = opts.batch, .passes = opts.passes, .seed = 1, .memory = opts.memory},
            data_.count() / opts.batch * opts.batch),
      optimizer_(model_, config_of(opts)),
      metrics_(ctx, model_.graph().classes(), false),
      state_(ctx.allocate(sizeof(StepState))),
      arena_(ctx.allocate(walk_.arena_bytes())),
      step_(ctx,
            {.walk = &walk_,
             .optimizer = &optimizer_,
             .metrics = metrics_.device(),
             .state = device_state(),
             .record = opts.record}) {
  model_.initialise(1);
  std::vector<std::int32_t> order = all_samples(data_.count());
  order.resize(static_cast<std::size_t>(walk_.count()));
  walk_.set_order(order);
  walk_.bind(arena_.bytes_at(0), device_state());
  reset_state();
}

double StepBench::step() {
  if (cursor_ >= walk_.count()) reset_state();
  const double begin = now();
  const std::int64_t steps = step_.run(cursor_, TrainStep::kBlock);
  ctx_->device().synchronize();
  cursor_ += steps * walk_.batch();
  return (now() - begin) / static_cast<double>(steps);
}

std::vector<StepBench::Span> StepBench::step_by_layers() {
  std::vector<Span> spans;
  const auto begin = [&](const std::string& name, const char* pass) {
    ctx_->device().synchronize();
    spans.push_back({name, pass, now(), 0});
  };
  const auto end = [&] {
    ctx_->device().synchronize();
    spans.back().end = now();
  };
  if (cursor_ >= walk_.count()) reset_state();
  begin("prepare", "");
  Program& program = walk_.load(cursor_);
  end();
  program.set_observer([&](const std::string& name, const char* pass, bool begins) {
    if (begins)
      begin(name, pass);
    else
      end();
  });
  program.forward();
  program.loss_and_gradient(metrics_.device());
  program.backward();
  program.set_observer({});
  begin("optimizer", "");
  optimizer_.step(device_state());
  end();
  advance(*ctx_, {.samples = program.batch()}, device_state(), {}, {});
  cursor_ += program.batch();
  return spans;
}

void StepBench::reset_state() {
  const StepState start{.lr = 1e-4f};
  ctx_->copy_in(state_.data(), &start, sizeof start);
  cursor_ = 0;
}

double StepBench::now() const {
  if (cpu_time_) return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace lamina::cli
