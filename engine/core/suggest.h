// "Did you mean ...?" for names a person typed: nets, recipes, data sets, flags.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lamina {

// " Did you mean 'mnist'?", with its leading space, when one of `names` is close to `wrong`; else
// "". Close means at most a third of the letters (and at least one) inserted, removed, replaced or
// swapped with their neighbour; upper and lower case are the same. The first of equals wins.
std::string suggest(std::string_view wrong, std::span<const std::string> names);

}  // namespace lamina
