// The learning rates of each schedule. The numbers are those of PyTorch 1.13's schedulers of the
// same name, unless a comment works them out.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/schedule.h"

#include <gtest/gtest.h>

#include "engine/core/error.h"

namespace lamina {
namespace {

TrainConfig with(const std::string& schedule, std::int64_t epochs) {
  TrainConfig config;
  config.lr = 0.8;
  config.epochs = epochs;
  config.schedule = schedule;
  config.gamma = 0.5;
  return config;
}

// Of the first update of each epoch, or of all updates when an epoch has one.
std::vector<double> rates(const TrainConfig& config, std::int64_t per_epoch = 1) {
  const Schedule schedule(config, per_epoch);
  std::vector<double> list;
  for (std::int64_t epoch = 0; epoch < config.epochs; ++epoch)
    list.push_back(schedule.rate(epoch * per_epoch));
  return list;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-15) << i;
}

TEST(Schedule, Constant) { expect_near(rates(with("constant", 3)), {0.8, 0.8, 0.8}); }

TEST(Schedule, Step) {
  TrainConfig config = with("step", 6);
  config.step_epochs = 2;
  expect_near(rates(config), {0.8, 0.8, 0.4, 0.4, 0.2, 0.2});
  expect_near(rates(config, 7), {0.8, 0.8, 0.4, 0.4, 0.2, 0.2});
  EXPECT_EQ(Schedule(config, 7).rate(13), 0.8);  // the last update of the second epoch
}

TEST(Schedule, MultiStep) {
  TrainConfig config = with("multi_step", 6);
  config.milestones = "1,4";
  expect_near(rates(config), {0.8, 0.4, 0.4, 0.4, 0.2, 0.2});
}

TEST(Schedule, Cosine) {
  TrainConfig config = with("cosine", 8);
  config.lr_min = 0.1;
  expect_near(rates(config),
              {0.8,
               0.7733578363789504,
               0.6974873734152917,
               0.5839392013277815,
               0.45,
               0.31606079867221865,
               0.20251262658470842,
               0.12664216362104966});
}

TEST(Schedule, OneCycle) {
  expect_near(rates(with("one_cycle", 12)),
              {0.032,
               0.2798317233756664,
               0.703428127297703,
               0.7955323483607295,
               0.7464103758731294,
               0.6493965231598104,
               0.5179031981560827,
               0.37010968213358003,
               0.22644879856695938,
               0.10678202415106448,
               0.02765358994031618,
               3.2e-06});
}

// With its defaults; the learning rates are those above.
TEST(Schedule, OneCycleOfTheMomentum) {
  TrainConfig config = with("one_cycle", 12);
  config.cycle_momentum = true;
  std::vector<double> list;
  for (std::int64_t update = 0; update < 12; ++update)
    list.push_back(Schedule(config, 1).momentum(update));
  expect_near(list,
              {0.95,
               0.9177302443521267,
               0.8625744625914449,
               0.8505584586887436,
               0.856698729810778,
               0.8688255099070633,
               0.8852622412794547,
               0.9037365046793212,
               0.9216941869558779,
               0.9366525935914912,
               0.9465436874322102,
               0.95});
}

TEST(Schedule, Plateau) {
  TrainConfig config = with("plateau", 9);
  config.patience = 1;
  config.lr_min = 0.15;
  Schedule schedule(config, 10);
  std::vector<double> list;
  for (double loss : {1.0, 0.99995, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9}) {
    list.push_back(schedule.rate(3));
    Schedule resumed(config, 10);  // remembers as much
    resumed.restore(schedule.plateau());
    EXPECT_EQ(resumed.rate(3), list.back());
    schedule.end_epoch(loss);
  }
  expect_near(list, {0.8, 0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2});
  schedule.end_epoch(0.9);
  schedule.end_epoch(0.9);
  EXPECT_EQ(schedule.rate(0), 0.15);  // the least
}

// Two epochs of five updates: a tenth more of the rate with each, then the schedule.
TEST(Schedule, WarmUp) {
  TrainConfig config = with("cosine", 4);
  config.warmup = 2;
  const Schedule schedule(config, 5);
  for (int update = 0; update < 10; ++update)
    EXPECT_NEAR(schedule.rate(update), 0.08 * (update + 1), 1e-15);
  EXPECT_NEAR(schedule.rate(10), 0.8, 1e-15);
  EXPECT_NEAR(schedule.rate(15), 0.4, 1e-15);  // half of what is left
}

TEST(Schedule, SettingsThatCannotWork) {
  const auto refused = [](const std::string& key, const std::string& value) {
    TrainConfig config = with("constant", 4);
    config.net = "lenet_bn";
    config.data = "mnist";
    config.check();
    config.set(key, value);
    EXPECT_THROW(config.check(), Error) << key << "=" << value;
  };
  refused("schedule", "multi_step");  // without milestones
  refused("schedule", "cosinus");
  refused("milestones", "3,2");
  refused("milestones", "3,,5");
  refused("warmup", "5");
  refused("gamma", "0");
  refused("lr_min", "1");
  refused("cycle_momentum", "true");  // of a constant schedule
  refused("max_momentum", "1");
  refused("base_momentum", "0.96");
}

}  // namespace
}  // namespace lamina
