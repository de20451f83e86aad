// SPDX-License-Identifier: Apache-2.0
#include "engine/core/suggest.h"

#include <vector>

#include <gtest/gtest.h>

namespace lamina {
namespace {

const std::vector<std::string> kNames = {
    "mnist", "fashion-mnist", "cifar10", "lenet_bn", "lenet5", "resnet18", "--epochs", "ab"};

TEST(suggest, finds_one_slip_of_each_kind) {
  EXPECT_EQ(suggest("mnit", kNames), " Did you mean 'mnist'?");         // left out
  EXPECT_EQ(suggest("mniist", kNames), " Did you mean 'mnist'?");       // doubled
  EXPECT_EQ(suggest("mmist", kNames), " Did you mean 'mnist'?");        // replaced
  EXPECT_EQ(suggest("--epohcs", kNames), " Did you mean '--epochs'?");  // swapped
}

TEST(suggest, counts_a_swap_as_one_slip) {
  const std::vector<std::string> names = {"cdab", "abdc"};
  EXPECT_EQ(suggest("abcd", names), " Did you mean 'abdc'?");
  const std::vector<std::string> short_names = {"sgd"};
  EXPECT_EQ(suggest("sdg", short_names), " Did you mean 'sgd'?");
}

TEST(suggest, allows_more_slips_in_longer_names) {
  EXPECT_EQ(suggest("fashoin_mnsit", kNames), " Did you mean 'fashion-mnist'?");
  EXPECT_EQ(suggest("resnet", kNames), " Did you mean 'resnet18'?");
}

TEST(suggest, ignores_case) {
  EXPECT_EQ(suggest("MNIST", kNames), " Did you mean 'mnist'?");
  EXPECT_EQ(suggest("LeNet_BN", kNames), " Did you mean 'lenet_bn'?");
}

TEST(suggest, takes_the_closest_and_then_the_first) {
  EXPECT_EQ(suggest("lenet", kNames), " Did you mean 'lenet5'?");
  const std::vector<std::string> equals = {"vgg13", "vgg11", "vgg16"};
  EXPECT_EQ(suggest("vgg17", equals), " Did you mean 'vgg13'?");
}

TEST(suggest, says_nothing_when_nothing_is_close) {
  EXPECT_EQ(suggest("imagenet", kNames), "");
  EXPECT_EQ(suggest("xyz", kNames), "");
  EXPECT_EQ(suggest("xy", kNames), "");
  EXPECT_EQ(suggest("c", kNames), "");
  EXPECT_EQ(suggest("", kNames), "");
  EXPECT_EQ(suggest("mnist", {}), "");
  const std::vector<std::string> letters = {"a", ""};
  EXPECT_EQ(suggest("b", letters), "");
}

TEST(suggest, gives_up_on_very_long_input) {
  const std::vector<std::string> names = {std::string(1000, 'a')};
  EXPECT_EQ(suggest(std::string(1000, 'a'), names), "");
}

}  // namespace
}  // namespace lamina
