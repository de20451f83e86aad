// Times the cases of the suite in this process.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>

#include "kernels/suite/measure.h"
#include "tools/kernels/bencher.h"
#include "tools/kernels/case_flags.h"

namespace lamina::cli {

class LocalBencher final : public kernel_bench::Bencher {
 public:
  struct Opts {
    bool peers = true;    // the libraries' kernels beside ours
    double handicap = 0;  // this share is added to the time of every kernel of ours
    std::size_t most_bytes = std::size_t{3} << 30;  // of tensors that are kept
  };
  LocalBencher(Context& ctx, const CaseFlags& flags, const Opts& opts);

  const kernel_bench::Machine& machine() override { return machine_; }
  const std::vector<kernel_bench::CaseInfo>& cases() override { return cases_; }
  kernel_bench::Round measure(const kernel_bench::CaseInfo& info, std::int64_t samples) override;
  void restart() override { kept_.clear(); }

  std::string peer(const kernel_bench::CaseInfo& info) override;
  kernel_bench::Round measure_peer(const kernel_bench::CaseInfo& info,
                                   std::int64_t samples) override;

  kernel_bench::Ceilings ceilings();

 private:
  struct Kept {
    std::string key;
    std::size_t bytes;
    suite::Measurement measurement;
  };

  void list_cases();
  suite::Measurement& measurement_of(const kernel_bench::CaseInfo& info);
  suite::Measurement& keep(const std::string& key, const suite::Problem& problem);

  Context& ctx_;
  CaseFlags flags_;
  Opts opts_;
  suite::Stopwatch watch_;
  suite::Suite suite_;
  kernel_bench::Machine machine_;
  std::vector<kernel_bench::CaseInfo> cases_;
  std::map<std::string, const suite::Suite::Entry*> entry_of_;  // by the key of the case
  std::map<std::string, std::string> peer_of_;
  std::list<Kept> kept_;  // the one used last in front
};

}  // namespace lamina::cli
