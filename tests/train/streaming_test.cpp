// Training on a data set that stays on the host gives the bits of training on a resident one.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "engine/files/atomic_file.h"
#include "engine/train/trainer.h"
#include "kernels/context.h"
#include "nets/registry.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

class InMemory : public ImageSource {
 public:
  explicit InMemory(const Dataset& data) : data_(data) {}
  void read(std::int64_t index, std::span<std::uint8_t> to) const override {
    data_.read_image(index, to);
  }

 private:
  const Dataset data_;
};

Dataset on_the_host(const Dataset& data) {
  Dataset streamed = data;
  streamed.source = std::make_shared<InMemory>(data);
  streamed.images.clear();
  return streamed;
}

class Streaming : public testing::Test {
 protected:
  static TrainConfig small() {
    TrainConfig config;
    config.net = "lenet_bn";
    config.data = "synthetic-digits";
    config.val_split = 0.2;
    config.batch_size = 48;  // 400 to train on: a last batch of 16
    config.epochs = 2;
    config.lr = 2e-3;
    config.crop_padding = 2;
    return config;
  }

  // The files of the run, and what it says of the memory for the data set.
  std::vector<std::string> train(const TrainConfig& config, bool streamed, int stop_after = 0) {
    Context ctx = make_context({.backend = BackendKind::cpu, .threads = 2});
    const Dataset part = load_dataset(config.data, Part::train, {"", 1, 500});
    const Dataset test = load_dataset(config.data, Part::test, {"", 1, 300});
    const Dataset part_there = on_the_host(part), test_there = on_the_host(test);
    const auto folder = home_ / fmt::format("run{}", runs_++);
    std::filesystem::create_directories(folder);
    for (const bool resume : {false, true}) {
      Trainer trainer(ctx,
                      config,
                      build_net(config.net),
                      streamed ? part_there : part,
                      streamed ? test_there : test,
                      folder);
      int steps = 0;
      const TrainHooks hooks{
          .stop_requested = [&] { return !resume && stop_after > 0 && ++steps >= stop_after; }};
      memory_ = trainer.memory_rows();
      outcome_ = trainer.run(hooks, resume);
      if (!outcome_.interrupted) break;
    }
    return {read_text_file(folder / "weights.safetensors"), read_text_file(folder / "result.json")};
  }

  TempFolder home_;
  int runs_ = 0;
  std::vector<std::pair<std::string, std::string>> memory_;
  TrainOutcome outcome_;
};

TEST_F(Streaming, GivesTheBitsOfAResidentSet) {
  const TrainConfig config = small();
  const auto resident = train(config, false);
  EXPECT_EQ(outcome_.epochs.back().data_wait, 0);
  EXPECT_EQ(memory_[5].first, "data set");
  EXPECT_EQ(train(config, true), resident);
  EXPECT_EQ(memory_[5].first, "data set, read ahead");
}

TEST_F(Streaming, AccumulatesAndResumesToTheSameBits) {
  TrainConfig config = small();
  config.accumulate = 3;  // updates of 144 and a last one of 112
  const auto resident = train(config, false);
  EXPECT_EQ(train(config, true), resident);
  for (int stop : {1, 2, 4}) EXPECT_EQ(train(config, true, stop), resident) << stop;
}

TEST_F(Streaming, ShowsTheShareOfTimeSpentWaiting) {
  class Slow : public InMemory {
   public:
    using InMemory::InMemory;
    void read(std::int64_t index, std::span<std::uint8_t> to) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      InMemory::read(index, to);
    }
  };
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  const Dataset test = load_dataset("synthetic-digits", Part::test, {"", 1, 50});
  Dataset slow = load_dataset("synthetic-digits", Part::train, {"", 1, 200});
  slow.source = std::make_shared<Slow>(slow);
  TrainConfig config = small();
  config.epochs = 1;
  std::filesystem::create_directories(home_ / "slow");
  Trainer trainer(ctx, config, build_net(config.net), slow, test, home_ / "slow");
  const TrainOutcome outcome = trainer.run({}, false);
  // 160 images to train on take 1.6 s to read and less to learn from, under sanitizers too.
  EXPECT_GT(outcome.epochs.at(0).data_wait, 0.3);
  EXPECT_LT(outcome.epochs.at(0).data_wait, 1.0);
}

}  // namespace
}  // namespace lamina
