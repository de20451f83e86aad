// SPDX-License-Identifier: Apache-2.0
#include "engine/train/start_weights.h"

#include <algorithm>
#include <optional>
#include <set>

namespace lamina {

namespace {

// The names of the layers that decide the number of classes: from every value that no other layer
// reads (the net's output, the outputs of auxiliary heads) back to the first layers with
// parameters.
std::set<std::string> class_layers(const Graph& graph) {
  std::vector<const Node*> maker(graph.value_count(), nullptr);
  std::vector<bool> is_read(graph.value_count(), false);
  for (const Node& node : graph.nodes()) {
    maker[static_cast<std::size_t>(node.output)] = &node;
    for (ValueId input : node.inputs) is_read[static_cast<std::size_t>(input)] = true;
  }
  std::vector<ValueId> open;
  for (const Node& node : graph.nodes()) {
    if (!is_read[static_cast<std::size_t>(node.output)]) open.push_back(node.output);
  }
  std::set<std::string> names;
  std::vector<bool> seen(graph.value_count(), false);
  while (!open.empty()) {
    const auto value = static_cast<std::size_t>(open.back());
    open.pop_back();
    if (seen[value] || maker[value] == nullptr) continue;  // the net's input has no maker
    seen[value] = true;
    const Node& node = *maker[value];
    if (node.layer->params(graph.input_shapes(node, 1)).empty())
      open.insert(open.end(), node.inputs.begin(), node.inputs.end());
    else
      names.insert(node.name);
  }
  return names;
}

// "a", "a and b", "a, b and c"
std::string sentence_list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace

std::string load_start_weights(Model& model, TensorFile file, const std::string& origin) {
  const std::set<std::string> layers = class_layers(model.graph());
  const std::int64_t classes = model.graph().classes();
  std::optional<std::int64_t> file_classes;
  std::vector<std::string> fresh;
  std::optional<TensorFile> initial;  // what the model holds, fetched when it is needed
  for (const Model::Entry& entry : model.entries()) {
    const std::string layer = entry.name.substr(0, entry.name.rfind('.'));
    const auto found = std::find_if(file.tensors.begin(), file.tensors.end(), [&](const auto& t) {
      return t.name == entry.name;
    });
    if (!layers.contains(layer) || found == file.tensors.end()) continue;
    const std::vector<std::int64_t>&have = found->shape, &need = entry.spec.shape;
    const bool other_classes = !need.empty() && have.size() == need.size() && need[0] == classes &&
                               have[0] != classes && have[0] == file_classes.value_or(have[0]) &&
                               std::equal(have.begin() + 1, have.end(), need.begin() + 1);
    if (!other_classes) continue;
    file_classes = have[0];
    if (!initial) initial = model.state_dict();
    *found = *initial->find(entry.name);
    fresh.push_back(entry.name);
  }
  model.load_state_dict(file, origin);
  if (fresh.empty()) return {};
  return fmt::format("{} {} new: the file has {} classes, the run {}",
                     sentence_list(fresh),
                     fresh.size() == 1 ? "is" : "are",
                     *file_classes,
                     classes);
}

}  // namespace lamina
