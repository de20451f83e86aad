// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/recompute.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace lamina {

namespace {

struct Choice {
  std::vector<Lifetime> lifetimes;
  std::vector<std::size_t> chosen;
};

// What has to live longer for this candidate, in bytes.
std::size_t cost_of(const std::vector<Lifetime>& lifetimes, const Recomputable& candidate) {
  std::size_t bytes = 0;
  for (const int input : candidate.inputs) {
    const Lifetime& lifetime = lifetimes[static_cast<std::size_t>(input)];
    if (lifetime.last < candidate.first_backward) bytes += lifetime.bytes;
  }
  return bytes;
}

// At most `count` of the candidates, in this order.
Choice choose(const std::vector<Lifetime>& lifetimes,
              const std::vector<Recomputable>& candidates,
              const std::vector<std::size_t>& order,
              std::size_t count) {
  Choice choice{lifetimes, {}};
  std::set<int> given_up, needed;
  for (const std::size_t index : order) {
    if (choice.chosen.size() == count) break;
    const Recomputable& c = candidates[index];
    Lifetime& output = choice.lifetimes[static_cast<std::size_t>(c.lifetime)];
    const bool from_another = std::any_of(
        c.inputs.begin(), c.inputs.end(), [&](int input) { return given_up.contains(input); });
    if (from_another || needed.contains(c.lifetime) || cost_of(choice.lifetimes, c) >= output.bytes)
      continue;
    output.idle_first = c.last_forward + 1;
    output.idle_last = c.first_backward - 1;
    for (const int input : c.inputs) {
      Lifetime& lifetime = choice.lifetimes[static_cast<std::size_t>(input)];
      lifetime.last = std::max(lifetime.last, c.first_backward);
    }
    given_up.insert(c.lifetime);
    needed.insert(c.inputs.begin(), c.inputs.end());
    choice.chosen.push_back(index);
  }
  return choice;
}

}  // namespace

std::vector<std::size_t> recompute_to_fit(std::vector<Lifetime>& lifetimes,
                                          const std::vector<Recomputable>& candidates,
                                          std::size_t limit) {
  std::vector<std::size_t> by_size(candidates.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  const auto bytes_of = [&](std::size_t index) {
    return lifetimes[static_cast<std::size_t>(candidates[index].lifetime)].bytes;
  };
  std::stable_sort(by_size.begin(), by_size.end(), [&](std::size_t a, std::size_t b) {
    return bytes_of(a) > bytes_of(b);
  });
  const auto plan_with = [&](std::size_t count) {
    Choice choice = choose(lifetimes, candidates, by_size, count);
    return std::pair{plan_memory(choice.lifetimes), std::move(choice)};
  };
  if (plan_with(0).first <= limit) return {};
  Choice best = plan_with(candidates.size()).second;
  // The least count that fits lies above `few` and is at most `enough`.
  for (std::size_t few = 0, enough = best.chosen.size(); few + 1 < enough;) {
    const std::size_t count = few + (enough - few) / 2;
    auto [bytes, choice] = plan_with(count);
    if (bytes <= limit) {
      enough = count;
      best = std::move(choice);
    } else {
      few = count;
    }
  }
  lifetimes = std::move(best.lifetimes);
  return best.chosen;
}

}  // namespace lamina
