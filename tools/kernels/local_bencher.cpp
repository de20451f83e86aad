// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/local_bencher.h"

#include <algorithm>

#include <fmt/format.h>

#include "tools/kernels/net_layers.h"

namespace lamina::cli {
namespace {

using kernel_bench::CaseInfo;
using kernel_bench::Round;

constexpr std::int64_t kYardsticks = 3;  // the best of them counts

kernel_bench::Machine machine_of(const Context& ctx) {
  return {{"device", ctx.device().describe()},
          {"backend", std::string(name_of(ctx.backend()))},
          {"threads", std::to_string(ctx.threads())},
          {"lamina", LAMINA_VERSION},
          {"compiler", LAMINA_COMPILER}};
}

bool is_timed(const suite::CaseKey& key) { return !key.name.ends_with("/exact"); }

}  // namespace

LocalBencher::LocalBencher(Context& ctx, const CaseFlags& flags, const Opts& opts)
    : ctx_(ctx), flags_(flags), opts_(opts), watch_(ctx), machine_(machine_of(ctx)) {
  // Tables are full of small odd shapes; without a wish of the user it is layers that are timed.
  if (flags_.tables.empty() && flags_.cases.empty()) flags_.tables = {suite::kLayersOfNets};
  if (flags_.nets.empty() && flags_.ops.empty() && flags_.cases.empty())
    flags_.nets = {"lenet_bn", "resnet18"};
  if (flags_.batch == 0) flags_.batch = ctx.backend() == BackendKind::cuda ? 64 : 8;
  add_net_layers(suite_, flags_);
  list_cases();
}

void LocalBencher::list_cases() {
  for (const suite::Suite::Entry& entry : suite_.entries()) {
    if (!flags_.wants(entry) || entry.gradients) continue;
    suite::Table table(
        {.backend = ctx_.backend(),
         .wants = [&](const suite::CaseKey& key) { return is_timed(key) && flags_.wants(key); },
         .instead =
             [&](const suite::CaseKey& key, const suite::Problem& problem) {
               CaseInfo info{
                   .name = key.name,
                   .op = key.op(),
                   .pass = key.pass,
                   .dtype = std::string(name_of(key.dtype)),
                   .implementation = problem.implementation ? problem.implementation(ctx_) : "own",
                   .bytes = suite::Measurement::bytes_of(problem),
                   .flops = problem.flops};
               const std::string text = info.key();
               if (!entry_of_.emplace(text, &entry).second) return;
               if (opts_.peers && suite::Measurement::has_peer(ctx_, problem))
                 peer_of_[text] = problem.peer_name;
               cases_.push_back(std::move(info));
               keep(text, problem);
             }});
    entry.run(table);
  }
  LAMINA_CHECK(!cases_.empty(), "no case is named so; `lamina kernels list` shows what there is.");
}

suite::Measurement& LocalBencher::keep(const std::string& key, const suite::Problem& problem) {
  const auto bytes = static_cast<std::size_t>(suite::Measurement::bytes_of(problem));
  std::size_t all = bytes;
  for (const Kept& kept : kept_) all += kept.bytes;
  for (; all > opts_.most_bytes && !kept_.empty(); kept_.pop_back()) all -= kept_.back().bytes;
  kept_.push_front({key, bytes, suite::Measurement(watch_, problem, opts_.handicap, opts_.peers)});
  return kept_.front().measurement;
}

suite::Measurement& LocalBencher::measurement_of(const CaseInfo& info) {
  const std::string key = info.key();
  const auto found =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) { return kept.key == key; });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return kept_.front().measurement;
  }
  const auto entry = entry_of_.find(key);
  LAMINA_CHECK(entry != entry_of_.end(), "there is no case {}.", key);
  suite::Measurement* made = nullptr;
  suite::Table table({.backend = ctx_.backend(),
                      .wants =
                          [&](const suite::CaseKey& wanted) {
                            return wanted.name == info.name &&
                                   name_of(wanted.dtype) == info.dtype &&
                                   (wanted.pass.empty() || wanted.pass == info.pass);
                          },
                      .instead =
                          [&](const suite::CaseKey&, const suite::Problem& problem) {
                            if (made == nullptr) made = &keep(key, problem);
                          }});
  entry->second->run(table);
  return *made;
}

Round LocalBencher::measure(const CaseInfo& info, std::int64_t samples) {
  suite::Measurement& measurement = measurement_of(info);
  Round round{.yardstick_ms = watch_.yardstick_ms()};
  for (std::int64_t i = 1; i < kYardsticks; ++i)
    round.yardstick_ms = std::min(round.yardstick_ms, watch_.yardstick_ms());
  round.ms = measurement.samples_ms(samples);
  return round;
}

std::string LocalBencher::peer(const CaseInfo& info) {
  const auto found = peer_of_.find(info.key());
  return found == peer_of_.end() ? std::string() : found->second;
}

Round LocalBencher::measure_peer(const CaseInfo& info, std::int64_t samples) {
  try {
    return {.ms = measurement_of(info).peer_samples_ms(samples)};
  } catch (const Error& error) {
    // A library that was built without this primitive.
    fmt::print(stderr, "{}: no times of {}: {}\n", info.key(), peer(info), error.what());
    return {};
  }
}

kernel_bench::Ceilings LocalBencher::ceilings() {
  kernel_bench::Ceilings ceilings{.copy_gbps = watch_.copy_gbps()};
  for (DType dtype : suite::dtypes_of(ctx_.backend()))
    ceilings.matmul_tflops[std::string(name_of(dtype))] = watch_.matmul_tflops(dtype);
  return ceilings;
}

}  // namespace lamina::cli
