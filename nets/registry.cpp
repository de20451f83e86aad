// SPDX-License-Identifier: Apache-2.0
#include "nets/registry.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "engine/core/suggest.h"

namespace lamina {

namespace {

constexpr std::vector<NetInfo> (*kFamilies[])() = {
    lenet_family,
    alexnet_family,
    vgg_family,
    nin_family,
    googlenet_family,
    inception_v3_family,
    inception_resnet_family,
    googlenet_fashion_family,
    mini_family,
    resnet_family,
    cifar_resnet_family,
    mobilenet_family,
    squeezenet_family,
    densenet_family,
    mnist_pair_family,
};

double number(const std::string& key, const std::string& value) {
  double result = 0;
  const char* const end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, result);
  LAMINA_CHECK(read.ec == std::errc() && read.ptr == end && result >= 0,
               "net option {} takes a number of zero or more, not '{}'.",
               key,
               value);
  return result;
}

bool truth(const std::string& key, const std::string& value) {
  if (value == "true" || value == "1" || value == "yes") return true;
  if (value == "false" || value == "0" || value == "no") return false;
  fail_request("net option {} takes true or false, not '{}'.", key, value);
}

// The options that were set beyond those every net has.
std::vector<std::string> set_options(const NetOpts& opts) {
  std::vector<std::string> names;
  const auto note = [&](bool set, const char* name) {
    if (set) names.emplace_back(name);
  };
  note(opts.dropout.has_value(), "dropout");
  note(opts.aux_logits.has_value(), "aux_logits");
  note(opts.transform_input.has_value(), "transform_input");
  note(opts.zero_init_residual.has_value(), "zero_init_residual");
  note(opts.replace_stride_with_dilation.has_value(), "replace_stride_with_dilation");
  note(opts.groups.has_value(), "groups");
  note(opts.width_per_group.has_value(), "width_per_group");
  note(opts.lrn.has_value(), "lrn");
  return names;
}

}  // namespace

void NetOpts::set(const std::string& key, const std::string& value) {
  const auto whole = [&] { return static_cast<std::int64_t>(number(key, value)); };
  if (key == "classes") {
    classes = whole();
  } else if (key == "channels") {
    channels = whole();
  } else if (key == "size") {
    size = whole();
  } else if (key == "width") {
    width = number(key, value);
    LAMINA_CHECK(width > 0, "net option width must be positive.");
  } else if (key == "dropout") {
    dropout = number(key, value);
  } else if (key == "aux_logits") {
    aux_logits = truth(key, value);
  } else if (key == "transform_input") {
    transform_input = truth(key, value);
  } else if (key == "zero_init_residual") {
    zero_init_residual = truth(key, value);
  } else if (key == "replace_stride_with_dilation") {
    std::array<bool, 3> stages{};
    std::stringstream text(value);
    std::string part;
    std::size_t count = 0;
    while (std::getline(text, part, ',') && count < 3) stages[count++] = truth(key, part);
    LAMINA_CHECK(count == 3 && text.eof(), "net option {} takes three truths, as 0,1,1.", key);
    replace_stride_with_dilation = stages;
  } else if (key == "groups") {
    groups = whole();
  } else if (key == "width_per_group") {
    width_per_group = whole();
  } else if (key == "lrn") {
    lrn = truth(key, value);
  } else {
    const std::vector<std::string> keys{"classes",
                                        "channels",
                                        "size",
                                        "width",
                                        "dropout",
                                        "aux_logits",
                                        "transform_input",
                                        "zero_init_residual",
                                        "replace_stride_with_dilation",
                                        "groups",
                                        "width_per_group",
                                        "lrn"};
    fail_request("unknown net option '{}'.{}", key, suggest(key, keys));
  }
}

std::vector<NetInfo> nets() {
  std::vector<NetInfo> all;
  for (const auto& family : kFamilies) {
    for (NetInfo& net : family()) all.push_back(std::move(net));
  }
  return all;
}

std::vector<std::string> net_ids() {
  std::vector<std::string> ids;
  for (const NetInfo& net : nets()) ids.push_back(net.id);
  return ids;
}

Graph build_net(const std::string& id, const NetOpts& opts) {
  LAMINA_CHECK(opts.classes >= 0, "net {}: {} classes are not possible.", id, opts.classes);
  const std::vector<NetInfo> all = nets();
  const auto net =
      std::find_if(all.begin(), all.end(), [&](const NetInfo& info) { return info.id == id; });
  if (net == all.end())
    fail_request("unknown net '{}'; `lamina nets` lists them.{}", id, suggest(id, net_ids()));
  for (const std::string& name : set_options(opts)) {
    const auto& known = net->options;
    LAMINA_CHECK(std::find(known.begin(), known.end(), name) != known.end(),
                 "net {} has no option {}; `lamina nets --json` lists what each has.",
                 id,
                 name);
  }
  return net->build(opts);
}

}  // namespace lamina
