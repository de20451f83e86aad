// The layers of nets as cases of the kernel suite: conv2d/resnet50/layer1.0.conv1@1/exact.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/kernels/case_flags.h"

namespace lamina::cli {

// Adds a table "LayersOfNets" to each op that layers have. The layers are those that training runs,
// after fusion. Without --net, layers that ask the same of the kernels appear once, under the name
// of the first net that has them.
void add_net_layers(suite::Suite& suite, const CaseFlags& flags);

}  // namespace lamina::cli
