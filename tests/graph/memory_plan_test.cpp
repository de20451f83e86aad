// Tensors alive together never share memory, and sharing is worth having.
// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/core/philox.h"

namespace lamina {
namespace {

constexpr int kSteps = 40;

// Step by step, as the plan itself does not look at it.
bool clash(const Lifetime& a, const Lifetime& b) {
  const bool same_place = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  for (int step = 0; step < kSteps; ++step) {
    if (same_place && a.alive_at(step) && b.alive_at(step) && a.bytes > 0 && b.bytes > 0)
      return true;
  }
  return false;
}

std::size_t most_alive(const std::vector<Lifetime>& items) {
  std::size_t most = 0;
  for (int step = 0; step < kSteps; ++step) {
    std::size_t alive = 0;
    for (const Lifetime& item : items) alive += item.alive_at(step) ? item.bytes : 0;
    most = std::max(most, alive);
  }
  return most;
}

// Every third of them comes back after a while.
TEST(MemoryPlan, RandomLifetimesNeverClash) {
  std::uint64_t draw = 0;
  const auto below = [&](int bound) {
    return static_cast<int>(philox_u32(3, stream::kTest, 0, draw++) %
                            static_cast<std::uint32_t>(bound));
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> items;
    for (int i = 0, n = 1 + below(40); i < n; ++i) {
      const int first = below(30), last = first + below(10);
      Lifetime item{"", static_cast<std::size_t>(below(5000)), first, last};
      if (i % 3 == 0 && last - first > 1) {
        item.idle_first = first + 1 + below(last - first - 1);
        item.idle_last = item.idle_first + below(last - item.idle_first);
      }
      items.push_back(item);
    }
    const std::size_t slab = plan_memory(items);
    EXPECT_GE(slab, most_alive(items));
    for (std::size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(items[i].offset % kSlabAlignment, 0u);
      EXPECT_LE(items[i].offset + items[i].bytes, slab);
      for (std::size_t j = 0; j < i; ++j)
        ASSERT_FALSE(clash(items[i], items[j])) << "round " << round;
    }
  }
}

TEST(MemoryPlan, IdleMemoryIsLent) {
  std::vector<Lifetime> items{{.bytes = 1024, .first = 0, .last = 9},
                              {.bytes = 1024, .first = 3, .last = 6}};
  EXPECT_EQ(plan_memory(items), 2048u);
  items[0].idle_first = 3;
  items[0].idle_last = 6;
  EXPECT_EQ(plan_memory(items), 1024u);
  items[1].last = 7;
  EXPECT_EQ(plan_memory(items), 2048u);
}

TEST(MemoryPlan, AChainNeedsTwoTensors) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 20; ++i) chain.push_back({"", 1024, i, i + 1});
  EXPECT_EQ(plan_memory(chain), 2048u);
}

TEST(MemoryPlan, NothingNeedsNothing) {
  std::vector<Lifetime> none;
  EXPECT_EQ(plan_memory(none), 0u);
}

}  // namespace
}  // namespace lamina
