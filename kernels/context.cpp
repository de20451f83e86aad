// SPDX-License-Identifier: Apache-2.0
#include "kernels/context.h"

#include <omp.h>

namespace lamina {

Context make_context(const ContextOpts& opts) {
  LAMINA_CHECK(opts.threads >= 0,
               "--threads {} is negative; give 0 for all of the machine's.",
               opts.threads);
  const int threads = opts.threads > 0 ? opts.threads : omp_get_max_threads();
  // oneDNN asks OpenMP for its thread count, so ours has to be OpenMP's too.
  if (opts.backend != BackendKind::cuda) omp_set_num_threads(threads);
  ContextOpts host = opts;
  host.threads = threads;
  switch (opts.backend) {
    case BackendKind::ref:
      return {opts.backend, 1, ref::make_device(1)};
    case BackendKind::cpu:
      return {opts.backend, threads, cpu::make_device(host)};
    case BackendKind::cuda:
      return {opts.backend, 1, cuda::make_device(opts)};
  }
  fail("no such backend.");
}

std::vector<DeviceReport> list_devices() {
  std::vector<DeviceReport> reports;
  for (BackendKind kind : {BackendKind::cuda, BackendKind::cpu, BackendKind::ref}) {
    DeviceReport report{kind, false, {}};
    try {
      const Context ctx = make_context({.backend = kind});
      report = {kind, true, ctx.device().describe()};
    } catch (const Error& error) {
      report.description = error.what();
    }
    reports.push_back(report);
  }
  return reports;
}

}  // namespace lamina
