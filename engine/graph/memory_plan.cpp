// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace lamina {

// Two lives meet, if at all, at the first step of one of them, or where one comes back.
bool Lifetime::meets(const Lifetime& other) const {
  const auto both = [&](int step) { return alive_at(step) && other.alive_at(step); };
  return both(first) || both(other.first) || both(idle_last + 1) || both(other.idle_last + 1);
}

std::size_t plan_memory(std::vector<Lifetime>& items) {
  std::vector<std::size_t> by_size(items.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(), [&](std::size_t a, std::size_t b) {
    return items[a].bytes > items[b].bytes;
  });

  std::size_t slab = 0;
  std::vector<const Lifetime*> placed;  // sorted by offset
  for (std::size_t index : by_size) {
    Lifetime& item = items[index];
    const std::size_t bytes = align_up(item.bytes);
    std::size_t offset = 0;
    for (const Lifetime* other : placed) {
      if (!other->meets(item)) continue;
      if (offset + bytes <= other->offset) break;
      offset = std::max(offset, other->offset + align_up(other->bytes));
    }
    item.offset = offset;
    slab = std::max(slab, offset + bytes);
    const auto at = std::upper_bound(
        placed.begin(), placed.end(), offset, [](std::size_t o, const Lifetime* l) {
          return o < l->offset;
        });
    placed.insert(at, &item);
  }
  return slab;
}

}  // namespace lamina
