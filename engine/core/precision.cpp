// SPDX-License-Identifier: Apache-2.0
#include "engine/core/precision.h"

#include <array>

namespace lamina {
namespace {

struct Row {
  Precision precision;
  std::string_view name;
};
constexpr std::array<Row, 5> kRows{{{Precision::fp32, "fp32"},
                                    {Precision::tf32, "tf32"},
                                    {Precision::bf16, "bf16"},
                                    {Precision::fp16, "fp16"},
                                    {Precision::fp64, "fp64"}}};

}  // namespace

std::string_view name_of(Precision precision) {
  for (const Row& row : kRows) {
    if (row.precision == precision) return row.name;
  }
  return "?";
}

Precision precision_from_name(const std::string& name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.precision;
  }
  fail_request("precision is {}; it must be fp32, tf32, bf16, fp16 or fp64.", name);
}

void check_precision(Precision precision, BackendKind backend) {
  const bool everywhere = precision == Precision::fp32;
  const bool wanted = precision == Precision::fp64   ? backend == BackendKind::ref
                      : precision == Precision::bf16 ? backend != BackendKind::ref
                                                     : backend == BackendKind::cuda;
  if (everywhere || wanted) return;
  fail_request(
      "precision is {}, which the {} backend does not compute in; it must be fp32{}, or add "
      "--device {}.",
      name_of(precision),
      name_of(backend),
      backend == BackendKind::cpu ? " or bf16" : "",
      precision == Precision::fp64 ? "ref" : "cuda");
}

}  // namespace lamina
