// SPDX-License-Identifier: Apache-2.0
#include "engine/core/context.h"

namespace lamina {

std::string_view name_of(BackendKind kind) {
  switch (kind) {
    case BackendKind::ref:
      return "ref";
    case BackendKind::cpu:
      return "cpu";
    case BackendKind::cuda:
      return "cuda";
  }
  return "?";
}

}  // namespace lamina
