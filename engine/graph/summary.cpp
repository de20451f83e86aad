// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/summary.h"

#include <algorithm>
#include <map>

namespace lamina {

namespace {

constexpr int kNameWidth = 42, kShapeWidth = 26, kParamWidth = 16;

std::string with_commas(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

// torchinfo's units: the largest of M, G, T that leaves at least one; below that the plain number.
std::string mult_adds_line(std::int64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000'000) return fmt::format("Total mult-adds (T): {:.2f}", value / 1e12);
  if (count >= 1'000'000'000) return fmt::format("Total mult-adds (G): {:.2f}", value / 1e9);
  return fmt::format("Total mult-adds (M): {:.2f}", value / 1e6);
}

std::vector<int> scope_path(const Graph& graph, int scope) {
  std::vector<int> path;
  for (; scope >= 0; scope = graph.scopes()[static_cast<std::size_t>(scope)].parent)
    path.push_back(scope);
  std::reverse(path.begin(), path.end());
  return path;
}

// A row is the last of its siblings when the next row of its depth or above is above it.
void mark_last(std::vector<SummaryRow>& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].last = true;
    for (std::size_t j = i + 1; j < rows.size() && rows[j].depth >= rows[i].depth; ++j) {
      if (rows[j].depth == rows[i].depth) {
        rows[i].last = false;
        break;
      }
    }
  }
}

std::size_t columns(const std::string& text) {  // UTF-8: count what is not a continuation byte
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, int width) {
  const auto have = columns(text);
  return text + std::string(have < static_cast<std::size_t>(width)
                                ? static_cast<std::size_t>(width) - have
                                : 1,
                            ' ');
}

}  // namespace

Summary summarise(const Graph& net, std::int64_t batch) {
  const Graph graph = net.without_auxiliary();
  Summary summary;
  summary.title = graph.title();
  summary.batch = batch;
  summary.input = graph.shape(graph.input()).with_n(batch);
  summary.output = graph.shape(graph.output()).with_n(batch);
  std::map<int, int> numbers;           // depth -> rows so far
  std::map<int, std::size_t> open_row;  // scope -> its row
  std::int64_t outputs = 0;

  for (const Node& node : graph.nodes()) {
    if (!node.module) continue;
    const std::vector<int> path = scope_path(graph, node.scope);
    const Shape output = graph.shape(node.output).with_n(batch);
    int depth = 1;
    for (int scope : path) {
      if (!open_row.contains(scope)) {
        const ScopeInfo& info = graph.scopes()[static_cast<std::size_t>(scope)];
        open_row[scope] = summary.rows.size();
        summary.rows.push_back({.name = info.name,
                                .type = info.type,
                                .depth = depth,
                                .number = ++numbers[depth],
                                .leaf = false});
      }
      summary.rows[open_row[scope]].output = output;  // the last node inside decides
      ++depth;
    }
    SummaryRow row{.name = node.name,
                   .type = node.layer->type(),
                   .output = output,
                   .depth = depth,
                   .number = ++numbers[depth]};
    for (const ParamSpec& spec : node.layer->params(graph.input_shapes(node, batch))) {
      if (spec.kind == ParamSpec::Kind::trained) row.params += spec.numel();
    }
    const std::int64_t uses = row.type == "Conv2d" ? output.n * output.h * output.w : output.n;
    row.mult_adds = row.params * uses;
    if (row.params > 0) outputs += output.numel();
    summary.mult_adds += row.mult_adds;
    summary.rows.push_back(row);
  }
  for (const Node& node : net.nodes()) {
    for (const ParamSpec& spec : node.layer->params(net.input_shapes(node, 1))) {
      if (spec.kind == ParamSpec::Kind::trained) summary.params += spec.numel();
    }
  }
  mark_last(summary.rows);
  summary.input_bytes = summary.input.numel() * 4;
  summary.forward_backward_bytes = outputs * 2 * 4;
  summary.params_bytes = summary.params * 4;
  return summary;
}

std::string summary_table(const Summary& summary) {
  const std::string rule(kNameWidth + kShapeWidth + kParamWidth, '=');
  std::string text = rule + "\n" + padded("Layer (type:depth-idx)", kNameWidth) +
                     padded("Output Shape", kShapeWidth) + "Param #\n" + rule + "\n";
  text +=
      padded(summary.title, kNameWidth) + padded(summary.output.to_string(), kShapeWidth) + "--\n";
  for (const SummaryRow& row : summary.rows) {
    std::string label;
    for (int d = 1; d < row.depth; ++d) label += "│    ";
    label += fmt::format("{}{}: {}-{}", row.last ? "└─" : "├─", row.type, row.depth, row.number);
    text += padded(label, kNameWidth) + padded(row.output.to_string(), kShapeWidth) +
            (row.params > 0 ? with_commas(row.params) : "--") + "\n";
  }
  const auto mb = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  text += rule + "\n";
  text += "Total params: " + with_commas(summary.params) + "\n";
  text += "Trainable params: " + with_commas(summary.params) + "\n";
  text += "Non-trainable params: 0\n";
  text += mult_adds_line(summary.mult_adds) + "\n" + rule + "\n";
  text += fmt::format("Input size (MB): {:.2f}\n", mb(summary.input_bytes));
  text +=
      fmt::format("Forward/backward pass size (MB): {:.2f}\n", mb(summary.forward_backward_bytes));
  text += fmt::format("Params size (MB): {:.2f}\n", mb(summary.params_bytes));
  text +=
      fmt::format("Estimated Total Size (MB): {:.2f}\n",
                  mb(summary.input_bytes + summary.forward_backward_bytes + summary.params_bytes));
  return text + rule + "\n";
}

}  // namespace lamina
