// The peers of the suite's problems do the same work: on the same inputs they give what our kernels
// give. Only then do their times say anything.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/suite/judge.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

// Both are within the budget of the truth, but oneDNN sums in another order and rounds where it
// likes.
constexpr double kSlack = 10;

// oneDNN keeps the variance in place of invstd and no running statistics.
bool peer_lacks(const Slot& slot) {
  return slot.name == "invstd" || slot.name == "count" || slot.name.starts_with("running_");
}

Outcome outcome_of(const Problem& problem, const std::function<void(Call&)>& body) {
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 2});
  Instance instance(ctx, problem.dtype, problem);
  // What a plan keeps must not wear off. A tensor that is read and written cannot be run twice.
  const bool twice = std::none_of(problem.slots.begin(), problem.slots.end(), [](const Slot& slot) {
    return slot.role == Role::inout;
  });
  instance.run(body);
  if (twice) instance.run(body);
  Outcome outcome = instance.finish();
  if (problem.reduction) problem.reduction->reduce(outcome);
  return outcome;
}

// The passes that peers were run for, by op.
using Seen = std::map<std::string, std::set<std::string>>;

void expect_same_work(const CaseKey& key, const Problem& problem, Seen& seen) {
  if (!problem.peer) return;
  seen[key.op()].insert(key.pass);
  const Outcome own = outcome_of(problem, problem.body);
  const Outcome peer = outcome_of(problem, problem.peer);
  EXPECT_EQ(peer.faults, std::vector<std::string>{}) << key.name << " " << key.pass;
  for (Slot slot : problem.reduction ? problem.reduction->slots : problem.slots) {
    if (slot.role == Role::in || peer_lacks(slot)) continue;
    slot.budget.roundings *= kSlack;
    const Judgement judged =
        judge_output(slot, problem.dtype, peer.values.at(slot.name), own.values.at(slot.name));
    for (const std::string& failure : judged.failures)
      ADD_FAILURE() << failure_text(key, failure) << "\n  by " << problem.peer_name;
  }
}

Seen compare_all(const std::string& op) {
  Seen seen;
  const Suite suite;
  for (const Suite::Entry& entry : suite.entries()) {
    // NaN and infinities are oneDNN's own choice in a maximum.
    if (entry.op != op || entry.gradients || entry.name == "OddValuesInMax") continue;
    Table table(
        {.backend = BackendKind::cpu, .instead = [&](const CaseKey& key, const Problem& problem) {
           expect_same_work(key, problem, seen);
         }});
    entry.run(table);
  }
  return seen;
}

TEST(Peers, Activation) {
  EXPECT_EQ(compare_all("activation"), (Seen{{"activation", {"backward", "forward"}}}));
}
TEST(Peers, AdaptivePool) {
  EXPECT_EQ(compare_all("adaptive_pool"), (Seen{{"adaptive_pool", {"backward", "forward"}}}));
}
TEST(Peers, Add) { EXPECT_EQ(compare_all("add"), (Seen{{"add", {"forward"}}})); }
TEST(Peers, BatchNorm) {
  EXPECT_EQ(compare_all("batch_norm"),
            (Seen{{"batch_norm", {"backward", "frozen", "infer", "train"}}}));
}
TEST(Peers, Concat) { EXPECT_EQ(compare_all("concat"), (Seen{{"concat", {"forward"}}})); }
TEST(Peers, Lrn) { EXPECT_EQ(compare_all("lrn"), (Seen{{"lrn", {"backward", "forward"}}})); }
TEST(Peers, Pool) {
  EXPECT_EQ(compare_all("pool"),
            (Seen{{"avg_pool", {"backward", "forward"}}, {"max_pool", {"backward", "forward"}}}));
}
TEST(Peers, Softmax) {
  EXPECT_EQ(compare_all("softmax"),
            (Seen{{"log_softmax", {"backward", "forward"}}, {"softmax", {"backward", "forward"}}}));
}
TEST(Peers, Upsample) {
  EXPECT_EQ(compare_all("upsample"), (Seen{{"upsample", {"backward", "forward"}}}));
}
// Which of these are ours depends on the width of the vectors.
TEST(Peers, Conv2d) { compare_all("conv2d"); }
TEST(Peers, Linear) { compare_all("linear"); }

// Layers of nets take another way to their problems. Whole numbers must come out equal; for real
// ones a table that judges nothing has no budgets.
TEST(Peers, Layers) {
  const Suite suite;
  Seen seen;
  const Conv2dDesc conv{
      .x = {16, 14, 14, 6}, .k = 16, .r = 5, .s = 5, .bias = false, .act = Act::relu};
  const LinearDesc linear{.n = 64, .in = 120, .k = 84, .act = Act::relu};
  for (const auto& [op, layer] :
       {std::pair<const char*, LayerCase>{"conv2d", {"lenet/conv2@16", {conv.x}, conv.y(), conv}},
        {"linear", {"lenet/fc2@64", {features(64, 120)}, features(64, 84), linear}},
        {"batch_norm",
         {"net/bn@4", {{4, 14, 14, 32}}, {4, 14, 14, 32}, BatchNormOpts{.act = Act::relu}}}}) {
    Table table({.backend = BackendKind::cpu,
                 .wants = [](const CaseKey& key) { return !key.name.ends_with("/real"); },
                 .instead = [&](const CaseKey& key,
                                const Problem& problem) { expect_same_work(key, problem, seen); }});
    suite.layer_check(op)(table, layer);
  }
  EXPECT_EQ(seen["batch_norm"], (std::set<std::string>{"backward", "infer", "train"}));
  if (cpu::linear_is_own(linear)) {  // wide vectors, for which both were chosen
    EXPECT_TRUE(seen["conv2d"].contains("forward"));
    EXPECT_EQ(seen["linear"].size(), 3U);
  }
}

}  // namespace
}  // namespace lamina::test
