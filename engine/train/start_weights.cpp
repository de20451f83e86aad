// SPDX-License-Identifier: Apache-2.0
#include "engine/train/start_weights.h"

#include <algorithm>
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

bool differs_in_classes(const std::vector<std::int64_t>& have,
                        const std::vector<std::int64_t>& need,
                        std::int64_t classes) {
  return !need.empty() && have.size() == need.size() && need[0] == classes && have[0] != classes &&
         std::equal(have.begin() + 1, have.end(), need.begin() + 1);
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
  // Tensors of the file that differ from the model's in the number of classes alone, with their
  // entries; a layer that is not wholly of this kind is left to load_state_dict.
  struct Replaced {
    HostTensor* tensor;
    const Model::Entry* entry;
  };
  std::vector<Replaced> replaced;
  std::set<std::string> others;
  const auto layer_of = [](const Model::Entry& entry) {
    return entry.name.substr(0, entry.name.rfind('.'));
  };
  for (const Model::Entry& entry : model.entries()) {
    if (!layers.contains(layer_of(entry))) continue;
    const auto found = std::find_if(file.tensors.begin(),
                                    file.tensors.end(),
                                    [&](const HostTensor& t) { return t.name == entry.name; });
    if (found != file.tensors.end() && differs_in_classes(found->shape, entry.spec.shape, classes))
      replaced.push_back({&*found, &entry});
    else
      others.insert(layer_of(entry));
  }
  std::erase_if(replaced, [&](const Replaced& r) { return others.contains(layer_of(*r.entry)); });

  std::string text;
  if (!replaced.empty()) {
    const std::int64_t file_classes = replaced.front().tensor->shape[0];
    std::erase_if(replaced, [&](const Replaced& r) { return r.tensor->shape[0] != file_classes; });
    const TensorFile initial = model.state_dict();
    std::vector<std::string> names;
    for (const Replaced& r : replaced) {
      *r.tensor = *initial.find(r.entry->name);
      names.push_back(r.entry->name);
    }
    text = fmt::format("{} {} new: the file has {} classes, the run {}",
                       sentence_list(names),
                       names.size() == 1 ? "is" : "are",
                       file_classes,
                       classes);
  }
  model.load_state_dict(file, origin);
  return text;
}

}  // namespace lamina
