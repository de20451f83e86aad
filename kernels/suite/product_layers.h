// Convolutions and linear layers of nets as cases, as large as they are there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/suite/suite.h"

namespace lamina::suite {

void check_conv2d_layer(Table& table, const LayerCase& layer);
void check_linear_layer(Table& table, const LayerCase& layer);

}  // namespace lamina::suite
