// Tensors alive together never share memory, and sharing is worth having.
// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/core/philox.h"

namespace lamina {
namespace {

bool clash(const Lifetime& a, const Lifetime& b) {
  const bool same_time = a.first <= b.last && b.first <= a.last;
  const bool same_place = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return same_time && same_place && a.bytes > 0 && b.bytes > 0;
}

std::size_t most_alive(const std::vector<Lifetime>& items) {
  std::size_t most = 0;
  for (const Lifetime& at : items) {
    std::size_t alive = 0;
    for (const Lifetime& item : items) {
      if (item.first <= at.first && at.first <= item.last) alive += item.bytes;
    }
    most = std::max(most, alive);
  }
  return most;
}

TEST(MemoryPlan, RandomLifetimesNeverClash) {
  std::uint64_t draw = 0;
  const auto below = [&](std::uint32_t bound) {
    return philox_u32(3, stream::kTest, 0, draw++) % bound;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> items;
    for (std::uint32_t i = 0, n = 1 + below(40); i < n; ++i) {
      const int first = static_cast<int>(below(30));
      items.push_back({"", below(5000), first, first + static_cast<int>(below(10))});
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
