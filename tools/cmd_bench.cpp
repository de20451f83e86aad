// lamina bench: milliseconds of a whole training step, and where they go.
//
// A step is everything training does with a resident data set: prepare (gather, normalise, resize),
// forward, loss, backward, optimizer, counters. Whole steps are timed first, without a clock
// inside; the per-layer table comes from further steps.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/core/philox.h"
#include "engine/train/batch_walk.h"
#include "engine/train/evaluate.h"
#include "engine/train/optimizer.h"
#include "engine/train/train_step.h"
#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"

namespace lamina::cli {

namespace {

struct BenchFlags {
  std::vector<std::string> nets;
  std::string device = "auto", optimizer = "adam", precision = "fp32";
  std::int64_t batch = 64, threads = 0, steps = 200, warmup = 20;
  NetFlags options;
  bool json = false, no_fuse = false, no_winograd = false, no_graph = false, no_layers = false,
       autotune = false, cpu_time = false;
};

constexpr std::int64_t kBatchesOfImages = 16;  // more than the caches of one step hold
constexpr std::int64_t kLayerSteps = 50;       // at most

// Wall time, or what all threads of the process spent on a processor.
double now_ms(bool processor) {
  if (processor) return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
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

struct LayerTime {
  std::string name, implementation;
  std::map<std::string, std::vector<double>> passes;
};

// One training step after the other, over random images.
class Bench {
 public:
  Bench(Context& ctx, const std::string& net, const BenchFlags& flags)
      : ctx_(&ctx),
        cpu_time_(flags.cpu_time),
        model_(ctx, build_net(net, flags.options.opts()), precision_from_name(flags.precision)),
        data_(
            ctx,
            random_images(
                model_.graph().shape(0), model_.graph().classes(), flags.batch * kBatchesOfImages)),
        walk_(model_,
              data_,
              {},
              {.batch = flags.batch, .fuse = !flags.no_fuse, .seed = 1},
              data_.count()),
        optimizer_(model_, config(flags)),
        metrics_(ctx, model_.graph().classes(), false),
        state_(ctx.allocate(sizeof(StepState))),
        arena_(ctx.allocate(walk_.arena_bytes())),
        step_(ctx,
              {.walk = &walk_,
               .optimizer = &optimizer_,
               .metrics = metrics_.device(),
               .state = device_state(),
               .record = !flags.no_graph}) {
    model_.initialise(1);
    walk_.set_order(all_samples(data_.count()));
    walk_.bind(arena_.bytes_at(0), device_state());
    reset_state();
  }

  // The time of one step. A recorded block of steps is timed as a whole.
  double step() {
    if (cursor_ >= walk_.count()) reset_state();
    const double begin = now();
    const std::int64_t steps = step_.run(cursor_, TrainStep::kBlock);
    ctx_->device().synchronize();
    cursor_ += steps * walk_.batch();
    return (now() - begin) / static_cast<double>(steps);
  }

  std::vector<LayerTime> time_layers(std::int64_t steps) {
    Program& program = *walk_.programs().front();
    const auto& nodes = program.graph().nodes();
    layers_.push_back({"prepare", "", {}});
    for (std::size_t i = 0; i < nodes.size(); ++i)
      layers_.push_back({nodes[i].name, program.implementation(i), {}});
    layers_.push_back({"loss", "", {}});
    layers_.push_back({"optimizer", "", {}});
    program.set_observer([&](const std::string& name, const char* pass, bool begin) {
      ctx_->device().synchronize();
      if (begin)
        begin_ = now();
      else
        record(name, pass, now() - begin_);
    });
    for (std::int64_t i = 0; i < steps; ++i) step_by_layers();
    program.set_observer({});
    return layers_;
  }

 private:
  void step_by_layers() {
    if (cursor_ >= walk_.count()) reset_state();
    Program& program = load();
    program.forward();
    program.loss_and_gradient(metrics_.device());
    program.backward();
    {
      const Clock clock(*this, "optimizer");
      optimizer_.step(device_state());
    }
    advance(*ctx_, {.samples = program.batch()}, device_state(), {}, {});
    cursor_ += program.batch();
  }
  static TrainConfig config(const BenchFlags& flags) {
    TrainConfig config;
    config.optimizer = flags.optimizer;
    config.lr = 1e-4;
    config.weight_decay = 1e-3;
    return config;
  }
  StepState* device_state() const { return static_cast<StepState*>(state_.data()); }
  void reset_state() {
    const StepState start{.lr = 1e-4f};
    ctx_->copy_in(state_.data(), &start, sizeof start);
    cursor_ = 0;
  }
  void record(const std::string& name, const char* pass, double ms) {
    const auto layer = std::find_if(
        layers_.begin(), layers_.end(), [&](const LayerTime& l) { return l.name == name; });
    layer->passes[pass].push_back(ms);
  }
  // Records the time of its scope.
  class Clock {
   public:
    Clock(Bench& bench, const char* name) : bench_(bench), name_(name) {
      bench_.ctx_->device().synchronize();
      start_ = bench_.now();
    }
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    ~Clock() {
      bench_.ctx_->device().synchronize();
      bench_.record(name_, "", bench_.now() - start_);
    }

   private:
    Bench& bench_;
    const char* name_;
    double start_ = 0;
  };
  Program& load() {
    const Clock clock(*this, "prepare");
    return walk_.load(cursor_);
  }

  double now() const { return now_ms(cpu_time_); }

  Context* ctx_;
  bool cpu_time_;
  Model model_;
  DeviceDataset data_;
  BatchWalk walk_;
  Optimizer optimizer_;
  MetricSums metrics_;
  Buffer state_, arena_;
  TrainStep step_;
  std::int64_t cursor_ = 0;
  double begin_ = 0;
  std::vector<LayerTime> layers_;
};

nlohmann::ordered_json bench_net(Context& ctx, const std::string& net, const BenchFlags& flags) {
  Bench bench(ctx, net, flags);
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
  for (const LayerTime& layer : bench.time_layers(std::min(flags.steps, kLayerSteps))) {
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
  LAMINA_CHECK(flags.batch > 0 && flags.steps > 0 && flags.warmup >= 0,
               "--batch and --steps must be positive.");
  Context ctx = open_device(flags.device,
                            {.threads = flags.threads,
                             .precision = precision_from_name(flags.precision),
                             .autotune = flags.autotune,
                             .winograd = !flags.no_winograd});
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
  command->add_option("nets", flags->nets, "network ids")->required();
  flags->options.add_to(*command);
  command->add_option("--batch", flags->batch, "images a step");
  command->add_option("--steps", flags->steps, "timed steps");
  command->add_option("--warmup", flags->warmup, "steps before");
  command->add_option("--optimizer,--opt", flags->optimizer, "adam, adamw or sgd");
  command->add_option("--device", flags->device, "auto, cuda, cpu or ref");
  command->add_option("--threads", flags->threads, "CPU threads (0: as many as there are)");
  command->add_option("--precision", flags->precision, "fp32; tf32, bf16 or fp16 with cuda");
  command->add_flag("--no-fuse", flags->no_fuse, "run every layer by itself");
  command->add_flag("--no-winograd", flags->no_winograd, "convolve directly only");
  command->add_flag("--no-graph", flags->no_graph, "launch every kernel of every step by itself");
  command->add_flag("--no-layers", flags->no_layers, "leave the table of layers out");
  command->add_flag("--cpu-time", flags->cpu_time, "processor time of all threads, not wall time");
  command->add_flag("--autotune", flags->autotune, "choose cuDNN's engines by their time");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { bench(*flags); });
}

}  // namespace lamina::cli
