// Two programs side by side, and one program alone: who is asked for which kernel, when.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "engine/core/error.h"
#include "tools/kernels/compare.h"

namespace lamina::kernel_bench {
namespace {

using Clock = std::chrono::steady_clock;

// Pairs after which the rows are judged. Each look costs confidence, so they are few.
constexpr std::int64_t kLooks[] = {12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384};

// Starts of both programs, and how many of them have to agree.
constexpr int kMostStarts = 7, kVotes = 3;

std::vector<std::int64_t> looks_until(std::int64_t most) {
  std::vector<std::int64_t> looks;
  for (const std::int64_t look : kLooks) {
    if (look < most) looks.push_back(look);
  }
  looks.push_back(most);
  return looks;
}

struct Row {
  ComparedRow out;
  CaseInfo base_info;
  std::vector<Round> base, now;
  std::int64_t samples = 0;  // a burst; 0: not yet known
  bool open = true;
};

class Interleaved {
 public:
  Interleaved(Bencher& base, Bencher& now, const CompareOpts& opts)
      : base_(base), now_(now), opts_(opts), looks_(looks_until(opts.most_pairs)) {
    verdict_.threshold = opts.threshold;
    verdict_.confidence = opts.confidence;
    verdict_.looks = static_cast<std::int64_t>(looks_.size());
    LAMINA_CHECK(looks_.back() >= fewest_rounds(verdict_),
                 "{} pairs are too few for a verdict; give at least {}.",
                 looks_.back(),
                 fewest_rounds(verdict_));
    if (opts.minutes > 0)
      until_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double, std::ratio<60>>(opts.minutes));
  }

  Comparison run() {
    Comparison comparison{.changed = changed_facts(base_.machine(), now_.machine())};
    comparison.method =
        method_text(verdict_) +
        "; what is not SAME at once is decided by three starts of the programs that agree";
    std::vector<Row> rows = shared_rows(comparison);
    try {
      settle(rows, "");
      confirm(rows);
    } catch (const Error&) {
      if (!stopped()) throw;
    }
    comparison.interrupted = stopped();
    comparison.measured.machine = now_.machine();
    for (Row& row : rows) {
      if (row.out.verdict.text.empty()) row.out.verdict.text = "not measured";
      comparison.measured.rows.push_back({.info = row.out.info});
      for (Round& round : row.now)
        comparison.measured.rows.back().rounds.push_back(std::move(round.ms));
      comparison.rows.push_back(std::move(row.out));
    }
    return comparison;
  }

 private:
  bool stopped() const { return opts_.stop && opts_.stop(); }
  bool out_of_time() const { return opts_.minutes > 0 && Clock::now() > until_; }

  std::vector<Row> shared_rows(Comparison& comparison) {
    std::unordered_map<std::string, const CaseInfo*> before;
    for (const CaseInfo& info : base_.cases()) before[info.key()] = &info;
    std::vector<Row> rows;
    std::set<std::string> shared;
    for (const CaseInfo& info : now_.cases()) {
      const auto found = before.find(info.key());
      if (found == before.end()) {
        comparison.only_now.push_back(info.key());
      } else if (shared.insert(info.key()).second) {
        rows.push_back({.out = {.info = info}, .base_info = *found->second});
        if (found->second->implementation != info.implementation)
          rows.back().out.note = found->second->implementation + " -> " + info.implementation;
      }
    }
    for (const CaseInfo& info : base_.cases()) {
      if (shared.count(info.key()) == 0) comparison.only_base.push_back(info.key());
    }
    return rows;
  }

  // Visits the open rows until each has a verdict or the limits are reached.
  void settle(std::vector<Row>& rows, const std::string& title) {
    for (const std::int64_t look : looks_) {
      const std::int64_t open =
          std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.open; });
      if (open == 0) return;
      // The first look is three visits: a burst of noise must not make up all that is known.
      const std::int64_t done = look == looks_.front() ? 0 : rows_done(rows);
      const std::int64_t visits = std::max<std::int64_t>(1, (look - done + 3) / 4);
      for (std::int64_t visit = 1; visit <= visits; ++visit) {
        if (opts_.progress) opts_.progress(fmt::format("{}{} rows to {} pairs", title, open, look));
        for (Row& row : rows) {
          if (!row.open) continue;
          if (stopped()) return;
          if (out_of_time()) {
            close_late(row);
            continue;
          }
          this->visit(row, done + (look - done) * visit / visits);
        }
      }
      for (Row& row : rows) {
        if (!row.open) continue;
        row.out.verdict = judge(row.base, row.now, verdict_);
        row.open = row.out.verdict.kind == VerdictKind::ambiguous;
      }
    }
  }

  static std::int64_t rows_done(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      if (row.open) return static_cast<std::int64_t>(row.base.size());
    }
    return 0;
  }

  void close_late(Row& row) {
    if (!row.base.empty()) row.out.verdict = judge(row.base, row.now, verdict_);
    row.out.note += std::string(row.out.note.empty() ? "" : "; ") + "out of time";
    row.open = false;
  }

  // Bursts until the row has `pairs`: base, new, new, base, ... The first of a visit warms up.
  void visit(Row& row, std::int64_t pairs) {
    const std::int64_t warm = row.samples == 0 ? 3 : 1;
    const Round one = base_.measure(row.base_info, warm);
    now_.measure(row.out.info, warm);
    if (row.samples == 0) {
      const double ms = *std::min_element(one.ms.begin(), one.ms.end());
      row.samples = std::clamp<std::int64_t>(std::llround(opts_.burst_ms / ms), 3, 15);
    }
    while (static_cast<std::int64_t>(row.base.size()) < pairs) {
      Round before, after;
      if (row.base.size() % 2 == 0) {
        before = base_.measure(row.base_info, row.samples);
        after = now_.measure(row.out.info, row.samples);
      } else {
        after = now_.measure(row.out.info, row.samples);
        before = base_.measure(row.base_info, row.samples);
      }
      row.base.push_back(std::move(before));
      row.now.push_back(std::move(after));
    }
  }

  // What was not SAME at once is measured again from scratch, by freshly started programs, until
  // one verdict has come out of three starts.
  void confirm(std::vector<Row>& rows) {
    std::map<std::size_t, Votes> votes;  // by the row
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const VerdictKind kind = rows[i].out.verdict.kind;
      if (kind != VerdictKind::same && !rows[i].base.empty()) ++votes[i][kind];
    }
    for (int start = 2; start <= kMostStarts; ++start) {
      std::vector<Row> again;
      std::vector<std::size_t> where;
      for (const auto& [i, counts] : votes) {
        if (decided(rows[i], counts)) continue;
        again.push_back({.out = {.info = rows[i].out.info}, .base_info = rows[i].base_info});
        where.push_back(i);
      }
      if (again.empty() || stopped() || out_of_time()) break;
      Bencher& first = start % 2 == 0 ? now_ : base_;  // what starts first may get the better place
      first.restart();
      (start % 2 == 0 ? base_ : now_).restart();
      settle(again, fmt::format("start {}: ", start));
      for (std::size_t k = 0; k < again.size(); ++k) {
        Row& row = rows[where[k]];
        if (again[k].base.empty()) continue;
        row.base.insert(row.base.end(), again[k].base.begin(), again[k].base.end());
        row.now.insert(row.now.end(), again[k].now.begin(), again[k].now.end());
        ++votes[where[k]][again[k].out.verdict.kind];
      }
    }
    for (const auto& [i, counts] : votes) count_votes(rows[i], counts);
  }

  // Verdicts of the starts of the programs.
  using Votes = std::map<VerdictKind, int>;

  // Three starts that agree; or all pairs together, where that many starts do not contradict them.
  std::optional<VerdictKind> decided(const Row& row, const Votes& votes) const {
    int starts = 0;
    for (const auto& [kind, count] : votes) {
      if (kind != VerdictKind::ambiguous && count >= kVotes) return kind;
      starts += count;
    }
    const VerdictKind all = judge(row.base, row.now, verdict_).kind;
    if (starts < kVotes || all == VerdictKind::ambiguous) return std::nullopt;
    for (const auto& [kind, count] : votes)
      if (kind != all && kind != VerdictKind::ambiguous) return std::nullopt;
    return all;
  }

  void count_votes(Row& row, const Votes& votes) const {
    row.out.verdict = judge(row.base, row.now, verdict_);
    const std::optional<VerdictKind> kind = decided(row, votes);
    row.out.verdict.kind = kind.value_or(VerdictKind::ambiguous);
    if (votes.size() == 1 && kind) return;
    std::string text;
    for (const auto& [vote, count] : votes)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name_of(vote));
    row.out.note += fmt::format("{}starts: {}", row.out.note.empty() ? "" : "; ", text);
  }

  Bencher& base_;
  Bencher& now_;
  const CompareOpts& opts_;
  std::vector<std::int64_t> looks_;
  VerdictOpts verdict_;
  Clock::time_point until_;
};

}  // namespace

Comparison compare_benchers(Bencher& base, Bencher& now, const CompareOpts& opts) {
  const std::string differs = different_machine(base.machine(), now.machine());
  LAMINA_CHECK(differs.empty() || opts.force,
               "The programs do not run on the same thing: {}. Give both the same flags, or "
               "--force.",
               differs);
  return Interleaved(base, now, opts).run();
}

BenchFile record(Bencher& bencher, const CompareOpts& opts) {
  constexpr std::int64_t kWarm = 3;
  BenchFile file{.machine = bencher.machine()};
  std::vector<std::int64_t> samples;
  for (const CaseInfo& info : bencher.cases()) {
    const Round warm = bencher.measure(info, kWarm);
    const double ms = *std::min_element(warm.ms.begin(), warm.ms.end());
    samples.push_back(std::clamp<std::int64_t>(std::llround(opts.burst_ms / ms), 3, 15));
    file.rows.push_back({.info = info});
    if (const std::string name = bencher.peer(info); !name.empty())
      file.rows.back().peer = Peer{name, {}};
  }
  for (std::int64_t round = 0; round < opts.rounds; ++round) {
    if (opts.progress) opts.progress(fmt::format("round {} of {}", round + 1, opts.rounds));
    std::vector<double> yardsticks;
    for (std::size_t i = 0; i < file.rows.size(); ++i) {
      Round got = bencher.measure(file.rows[i].info, samples[i]);
      file.rows[i].rounds.push_back(std::move(got.ms));
      if (got.yardstick_ms > 0) yardsticks.push_back(got.yardstick_ms);
      auto& peer = file.rows[i].peer;
      if (!peer) continue;
      peer->rounds.push_back(bencher.measure_peer(file.rows[i].info, samples[i]).ms);
      if (peer->rounds.back().empty()) peer.reset();
    }
    if (yardsticks.size() == file.rows.size() && !yardsticks.empty())
      file.yardstick_ms.push_back(median_of(std::move(yardsticks)));
  }
  if (static_cast<std::int64_t>(file.yardstick_ms.size()) != opts.rounds) file.yardstick_ms.clear();
  return file;
}

}  // namespace lamina::kernel_bench
