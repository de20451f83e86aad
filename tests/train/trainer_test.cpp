// Whole runs on drawn digits: they learn, repeat, and resume to the same bits.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/trainer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

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
