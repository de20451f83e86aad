// Every net of the zoo in a size that the reference backend runs in a second: narrow, on small
// images, with ten classes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "nets/registry.h"

namespace lamina::test {

inline NetOpts small_opts(const std::string& id) {
  const auto starts = [&](const char* prefix) { return id.starts_with(prefix); };
  NetOpts opts{.classes = 10};
  if (id == "vgg_cifar10") {
    opts.width = 1.0 / 8;
  } else if (starts("alexnet") || starts("zfnet") || starts("nin")) {
    opts.size = 67;
    opts.width = 1.0 / 16;
  } else if (starts("vgg")) {
    opts.size = 32;
    if (id.find("small") == std::string::npos) opts.width = 1.0 / 16;
  } else if (starts("googlenet_fashion")) {
    opts.size = 32;
    opts.width = 1.0 / 8;
  } else if (starts("googlenet") && id != "googlenet_mini") {
    opts.size = 64;
    opts.width = 1.0 / 8;
  } else if (starts("inception_v3")) {
    opts.width = 1.0 / 16;  // the auxiliary head needs the size
  } else if (starts("inception_resnet")) {
    opts.size = 75;
    opts.width = 1.0 / 16;
  } else if (starts("resnext")) {
    opts.size = 32;
    opts.width = 1.0 / 8;
    opts.groups = 4;
    opts.width_per_group = 16;
  } else if (starts("wide_resnet") || (starts("resnet") && id != "resnet_mini")) {
    opts.size = 32;
    opts.width = 1.0 / 8;
  } else if (starts("densenet")) {
    opts.size = 32;
    opts.width = 1.0 / 16;
  } else if (starts("mobilenet")) {
    opts.size = 32;
    opts.width = 1.0 / 4;
  } else if (starts("squeezenet")) {
    opts.size = 64;
    opts.width = 1.0 / 8;
  } else if (starts("cifar_resnet")) {
    opts.size = 16;
    opts.width = 1.0 / 2;
  }
  return opts;
}

inline Graph small_net(const std::string& id) { return build_net(id, small_opts(id)); }

}  // namespace lamina::test
