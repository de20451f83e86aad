// Whole runs on drawn digits: they learn, repeat, and resume to the same bits.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/train/nonfinite.h"
#include "engine/train/recipes.h"
#include "kernels/context.h"
#include "nets/registry.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() {
    folder_ = fs::temp_directory_path() / fmt::format("lamina-trainer-{}", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~TrainerTest() override { fs::remove_all(folder_); }

  static TrainConfig small(const std::string& net) {
    TrainConfig config;
    config.net = net;
    config.data = "synthetic-digits";
    config.limit = 500;  // 400 to train on: batches of 48 leave a last one of 16
    config.val_split = 0.2;
    config.batch_size = 48;
    config.epochs = 3;
    config.lr = 2e-3;
    config.threads = 2;
    return config;
  }

  // Trains in folder_/name; stop_after: steps until the run is interrupted (0: never).
  TrainOutcome train(const TrainConfig& config,
                     const std::string& name,
                     bool resume = false,
                     int stop_after = 0) {
    Context ctx =
        make_context({.backend = BackendKind::cpu, .threads = static_cast<int>(config.threads)});
    const DataOpts data{"", static_cast<std::uint64_t>(config.seed), config.limit};
    const Dataset train_set = load_dataset(config.data, Part::train, data);
    const Dataset test_set = load_dataset(config.data, Part::test, data);
    fs::create_directories(folder_ / name);
    Trainer trainer(ctx, config, build_net(config.net), train_set, test_set, folder_ / name);
    int steps = 0;
    TrainHooks hooks;
    hooks.stop_requested = [&] { return stop_after > 0 && ++steps >= stop_after; };
    return trainer.run(hooks, resume);
  }

  std::string read(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_FALSE(text.str().empty()) << name;
    return text.str();
  }

  // log.csv without its wall-clock columns.
  std::vector<std::array<double, 6>> log_rows(const TrainOutcome& outcome) const {
    std::vector<std::array<double, 6>> rows;
    for (const EpochRow& r : outcome.epochs) {
      rows.push_back(
          {static_cast<double>(r.step), r.train_loss, r.train_acc, r.val_loss, r.val_acc, r.lr});
    }
    return rows;
  }

  fs::path folder_;
};

TEST_F(TrainerTest, EqualRunsAreEqualToTheBit) {
  const TrainConfig config = small("lenet_bn");
  const TrainOutcome a = train(config, "a"), b = train(config, "b");
  EXPECT_EQ(read("a/weights.safetensors"), read("b/weights.safetensors"));
  EXPECT_EQ(read("a/result.json"), read("b/result.json"));
  EXPECT_EQ(log_rows(a), log_rows(b));
  TrainConfig other = config;
  other.seed = 2;
  train(other, "c");
  EXPECT_NE(read("a/weights.safetensors"), read("c/weights.safetensors"));
}

TEST_F(TrainerTest, AnInterruptedRunResumesToTheSameBits) {
  for (const std::string optimizer : {"adam", "sgd"}) {
    TrainConfig config = small("lenet_bn");
    config.optimizer = optimizer;
    if (optimizer == "sgd") {
      config.momentum = 0.9;
      config.nesterov = true;
    }
    const std::string whole = "whole-" + optimizer;
    const TrainOutcome expected = train(config, whole);
    ASSERT_FALSE(expected.interrupted);
    // In the middle of an epoch, in its last, smaller batch, at its very end, in the second epoch.
    for (int stop : {1, 4, 9, 10, 12}) {
      const std::string name = fmt::format("{}-{}", optimizer, stop);
      ASSERT_TRUE(train(config, name, false, stop).interrupted);
      const TrainOutcome resumed = train(config, name, true);
      EXPECT_EQ(read(name + "/weights.safetensors"), read(whole + "/weights.safetensors")) << name;
      EXPECT_EQ(read(name + "/result.json"), read(whole + "/result.json")) << name;
      EXPECT_EQ(log_rows(resumed), log_rows(expected)) << name;
    }
  }
}

// Everything that a checkpoint has to remember besides the moments.
TEST_F(TrainerTest, EverySettingResumesToTheSameBits) {
  TrainConfig config = small("lenet_bn");
  config.optimizer = "rmsprop";
  config.momentum = 0.9;
  config.lr = 1e-3;
  config.weight_decay = 0.01;
  config.decay_of = "weights";
  config.label_smoothing = 0.1;
  config.schedule = "plateau";
  config.patience = 0;
  config.warmup = 0.5;
  config.clip_norm = 1.0;
  config.accumulate = 2;
  config.ema = 0.9;
  const TrainOutcome expected = train(config, "whole");
  EXPECT_NE(read("whole/weights.safetensors"), read("whole/average.safetensors"));
  for (int stop : {1, 3, 5, 7}) {
    const std::string name = fmt::format("stopped-{}", stop);
    ASSERT_TRUE(train(config, name, false, stop).interrupted);
    const TrainOutcome resumed = train(config, name, true);
    for (const char* file : {"/weights.safetensors", "/average.safetensors", "/result.json"})
      EXPECT_EQ(read(name + file), read("whole" + std::string(file))) << name;
    EXPECT_EQ(log_rows(resumed), log_rows(expected)) << name;
  }
}

double largest_difference(const TensorFile& a, const TensorFile& b) {
  double largest = 0;
  for (const HostTensor& tensor : a.tensors) {
    if (tensor.dtype != DType::f32) continue;
    const auto x = tensor.as<float>(), y = b.find(tensor.name)->as<float>();
    for (std::size_t i = 0; i < x.size(); ++i)
      largest = std::max(largest, std::abs(static_cast<double>(x[i]) - y[i]));
  }
  return largest;
}

// 400 images: updates of 48 and a last one of 16, in batches of 48, of 24, and of 13 and less.
// The momentum of the next update comes from the schedule, and so does that of a resumed run. Where
// both of its ends are adam's beta1, a cycle changes nothing.
TEST_F(TrainerTest, TheMomentumCycles) {
  TrainConfig config = small("lenet_bn");
  config.schedule = "one_cycle";
  train(config, "as it was");
  config.cycle_momentum = true;
  for (const std::string optimizer : {"adam", "sgd"}) {
    config.optimizer = optimizer;
    const TrainOutcome expected = train(config, optimizer);
    ASSERT_TRUE(train(config, optimizer + "-stopped", false, 10).interrupted);
    const TrainOutcome resumed = train(config, optimizer + "-stopped", true);
    EXPECT_EQ(read(optimizer + "-stopped/weights.safetensors"),
              read(optimizer + "/weights.safetensors"));
    EXPECT_EQ(log_rows(resumed), log_rows(expected));
  }
  EXPECT_NE(read("adam/weights.safetensors"), read("as it was/weights.safetensors"));
  config.optimizer = "adam";
  config.beta1 = config.base_momentum = config.max_momentum = 0.875;  // the same in f32
  train(config, "flat");
  config.cycle_momentum = false;
  train(config, "fixed");
  EXPECT_EQ(read("flat/weights.safetensors"), read("fixed/weights.safetensors"));
}

TEST_F(TrainerTest, BatchesOfOneUpdateCountAsOne) {
  TrainConfig config = small("lenet5");  // no batch norm, which sees single batches
  config.optimizer = "sgd";
  config.momentum = 0.9;
  config.lr = 0.1;
  config.epochs = 2;
  train(config, "whole");
  const TensorFile whole = read_safetensors(folder_ / "whole/weights.safetensors");
  for (const auto& [batch, count] : {std::pair{24, 2}, {12, 4}, {16, 3}}) {
    config.batch_size = batch;
    config.accumulate = count;
    const std::string name = fmt::format("batches-of-{}", batch);
    const TrainOutcome outcome = train(config, name);
    EXPECT_EQ(outcome.epochs.back().step, 2 * ((400 + batch - 1) / batch));
    const TensorFile parts = read_safetensors(folder_ / name / "weights.safetensors");
    EXPECT_GT(largest_difference(parts, whole), 0) << name;  // sums in another order
    EXPECT_LT(largest_difference(parts, whole), 2e-6) << name;
  }
}

TEST_F(TrainerTest, EveryOptimizerLossAndScheduleLearns) {
  const auto learns = [&](const std::string& name,
                          std::vector<std::pair<std::string, std::string>> settings,
                          const std::string& net = "lenet_bn") {
    TrainConfig config = small(net);
    config.limit = 1000;
    for (const auto& [key, value] : settings) config.set(key, value);
    config.check();
    const TrainOutcome outcome = train(config, name);
    EXPECT_GT(outcome.test.sums.accuracy(), 0.5) << name;
    EXPECT_GE(outcome.test.sums.accuracy5(), outcome.test.sums.accuracy()) << name;
  };
  learns("rmsprop", {{"optimizer", "rmsprop"}, {"lr", "1e-3"}});
  learns("lars", {{"optimizer", "lars"}, {"momentum", "0.9"}, {"lr", "1"}, {"trust", "0.01"}});
  learns("adamw", {{"optimizer", "adamw"}, {"weight_decay", "0.01"}, {"decay_of", "weights"}});
  learns("hinge", {{"loss", "hinge"}});
  learns("mse", {{"loss", "mse"}, {"lr", "5e-3"}});
  learns("smooth", {{"label_smoothing", "0.2"}});
  learns("cosine", {{"schedule", "cosine"}});
  learns("one_cycle", {{"schedule", "one_cycle"}, {"lr", "5e-3"}});
  learns("cycled", {{"schedule", "one_cycle"}, {"lr", "5e-3"}, {"cycle_momentum", "true"}});
  learns("clipped", {{"clip_norm", "0.5"}});
  learns("averaged", {{"ema", "0.9"}});
  learns("nll", {{"loss", "nll"}, {"lr", "1e-2"}, {"epochs", "6"}}, "fc2_mnist");
}

// With nine zeros in ten the least distance to a one-hot target is that of all zeros: l1 falls, and
// tells nothing about the classes.
TEST_F(TrainerTest, TheAbsoluteDistanceFalls) {
  TrainConfig config = small("lenet_bn");
  config.loss = "l1";
  const TrainOutcome outcome = train(config, "a");
  EXPECT_LT(outcome.epochs.back().train_loss, 0.8 * outcome.epochs.front().train_loss);
}

// Weights that the first update throws beyond all bounds: the second batch shows it.
TEST_F(TrainerTest, DebuggingNamesTheFirstLayerThatIsNotFinite) {
  TrainConfig config = small("lenet_bn");
  config.debug = "nan";
  config.epochs = 1;
  EXPECT_FALSE(train(config, "healthy").interrupted);
  config.optimizer = "sgd";
  config.lr = 1e30;
  try {
    train(config, "ill");
    FAIL() << "nothing was found";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(
        text.find("epoch 1, image 48 of 400, learning rate 1e+30: layer 'conv2.0' (Conv2d), "), 0u)
        << text;
    EXPECT_NE(text.find("what went in: x from 0 to "), std::string::npos) << text;
    EXPECT_NE(text.find("weight from"), std::string::npos) << text;
  }
}

// A pass has to answer for what it wrote; memory that a later one will write may hold anything.
TEST(NonfiniteWatch, LeavesWhatIsNotYetWrittenAlone) {
  Context cpu = make_context({.backend = BackendKind::cpu});
  Model model(cpu, build_net("lenet_bn", {}));
  model.initialise(1);
  Program program(model, {.batch = 2});
  const Buffer arena = cpu.allocate(program.arena_bytes()), state = cpu.allocate(sizeof(StepState));
  std::memset(arena.data(), 0xFF, arena.size());
  cpu.zero(state.data(), state.size());
  program.bind(arena.bytes_at(0), static_cast<const StepState*>(state.data()));
  cpu.zero(program.input().data, program.input().bytes());
  cpu.zero(program.labels().data, program.labels().bytes());
  const NonfiniteWatch watch(model, program);
  program.forward();
  program.loss_and_gradient({});
  EXPECT_NO_THROW(program.backward());
  // A gradient that is lost on the way is still found.
  std::memset(arena.data(), 0xFF, arena.size());
  EXPECT_THROW(program.backward(), Error);
}

// Weights that grow about fourfold with every update: some epochs later the loss is lost.
TEST_F(TrainerTest, ARunThatDivergesEnds) {
  TrainConfig config = small("fc2_mnist");
  config.optimizer = "sgd";
  config.lr = 5;
  config.weight_decay = 1;
  config.batch_size = 100;
  config.epochs = 50;
  config.log_every = 1;
  const auto message = [&](const std::string& name, bool resume) {
    try {
      train(config, name, resume);
    } catch (const Diverged& error) {
      EXPECT_EQ(read(name + "/diverged.txt"), error.what() + std::string("\n"));
      return std::string(error.what());
    }
    return std::string("it did not");
  };
  const std::string text = message("whole", false);
  EXPECT_EQ(text.find("fc2_mnist has diverged: "), 0u) << text;
  for (const char* part : {"of step", "in epoch", "learning rate 5;", "--clip-norm", "--debug nan"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_FALSE(fs::exists(folder_ / "whole/weights.safetensors"));
  EXPECT_FALSE(fs::exists(folder_ / "whole/result.json"));
  // What is kept is finite, and of the end of the last epoch with a finite loss.
  const TensorFile state = read_safetensors(folder_ / "whole/state.safetensors");
  EXPECT_EQ(nonfinite_text(state), "");
  const std::vector<EpochRow> rows = read_log(folder_ / "whole");
  ASSERT_FALSE(rows.empty());
  for (const EpochRow& row : rows) EXPECT_TRUE(std::isfinite(row.train_loss)) << row.epoch;
  EXPECT_EQ(state.find("progress.counters")->as<std::int64_t>()[2], rows.back().step);
  EXPECT_NE(text.find(fmt::format("The checkpoint of step {} stays", rows.back().step)),
            std::string::npos)
      << text;
  // The step is exact: resumed, or saved after every step, the run ends at the same one.
  EXPECT_EQ(message("whole", true), text);
  config.save_every = 1;
  const std::string often = message("often", false);
  EXPECT_EQ(often.substr(0, often.find(", in epoch")), text.substr(0, text.find(", in epoch")));
  EXPECT_EQ(nonfinite_text(read_safetensors(folder_ / "often/state.safetensors")), "");
}

TEST(MetricSums, HasNaNsWithoutASign) {
  const MetricSums::Host sums{.loss_sum = -std::numeric_limits<double>::quiet_NaN(), .samples = 1};
  EXPECT_EQ(fmt::format("{} {}", sums.loss(), number_text(sums.loss_sum)), "nan nan");
}

// Weights thrown beyond all bounds by the last update show in no loss.
TEST_F(TrainerTest, WeightsThatAreNotFiniteAreNotSaved) {
  TrainConfig config = small("fc2_mnist");
  config.optimizer = "sgd";
  config.lr = 1e38;
  config.batch_size = 400;
  config.epochs = 1;
  config.weight_decay = 1e30;
  try {
    train(config, "a");
    FAIL() << "it did not diverge";
  } catch (const Diverged& error) {
    EXPECT_NE(std::string(error.what()).find("after step 1 'network.0.weight' is "),
              std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(fs::exists(folder_ / "a/state.safetensors"));
}

TEST_F(TrainerTest, TheLogHasTheRateOfEachEpoch) {
  TrainConfig config = small("fc2_mnist");
  config.schedule = "step";
  config.step_epochs = 1;
  std::vector<double> rates;
  for (const EpochRow& row : train(config, "a").epochs) rates.push_back(row.lr);
  EXPECT_EQ(rates, (std::vector<double>{2e-3, 2e-3 * 0.1, 2e-3 * std::pow(0.1, 2.0)}));
}

TEST_F(TrainerTest, ResumingAFinishedRunChangesNothing) {
  const TrainConfig config = small("fc2_mnist");
  train(config, "a");
  const std::string weights = read("a/weights.safetensors"), log = read("a/log.csv");
  const TrainOutcome again = train(config, "a", true);
  EXPECT_EQ(again.epochs.size(), 3u);
  EXPECT_EQ(read("a/weights.safetensors"), weights);
  EXPECT_EQ(read("a/log.csv"), log);
}

TEST_F(TrainerTest, EveryNetLearns) {
  for (const char* net :
       {"lenet_bn", "lenet5", "lenet_fashion", "fc2_mnist", "cnn_mnist", "resnet_mini"}) {
    TrainConfig config = small(net);
    config.limit = 2000;
    config.epochs = 4;
    const TrainOutcome outcome = train(config, net);
    EXPECT_LT(outcome.epochs.back().train_loss, outcome.epochs.front().train_loss) << net;
    // Chance is 0.1. Sigmoid LeNet needs more steps than this to leave its plateau.
    if (net != std::string("lenet_fashion")) {
      EXPECT_GT(outcome.test.sums.accuracy(), 0.3) << net;
    }
    std::int64_t images = 0;
    for (std::int64_t count : outcome.test.confusion) images += count;
    EXPECT_EQ(images, static_cast<std::int64_t>(outcome.test.sums.samples)) << net;
  }
}

TEST_F(TrainerTest, EarlyStoppingEndsTheRun) {
  TrainConfig config = small("fc2_mnist");
  config.lr = 1e-12;  // nothing can improve
  config.epochs = 10;
  config.early_stop = 3;
  const TrainOutcome outcome = train(config, "a");
  EXPECT_TRUE(outcome.stopped_early);
  EXPECT_EQ(outcome.epochs.size(), 4u);
}

TEST_F(TrainerTest, ADataSetThatDoesNotFitIsRefused) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Dataset colour{.name = "colour", .count = 2, .h = 28, .w = 28, .c = 3, .classes = 10};
  colour.images.resize(2 * 28 * 28 * 3);
  colour.labels = {0, 1};
  TrainConfig config = small("lenet5");
  try {
    Trainer(ctx, config, build_net("lenet5"), colour, colour, folder_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("3 channels"), std::string::npos) << error.what();
  }
}

TEST_F(TrainerTest, ACheckpointOfAnotherNetIsRefused) {
  train(small("fc2_mnist"), "a", false, 2);
  EXPECT_THROW(train(small("cnn_mnist"), "a", true), Error);
  TrainConfig other = small("fc2_mnist");
  other.optimizer = "sgd";
  other.momentum = 0.5;
  train(other, "b", false, 2);
  EXPECT_THROW(train(small("fc2_mnist"), "b", true), Error);  // no second moments in there
}

}  // namespace
}  // namespace lamina
