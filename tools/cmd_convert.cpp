// lamina convert: weights of PyTorch or safetensors, as safetensors or as a list.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "engine/files/damage.h"
#include "engine/files/torch_file.h"
#include "tools/commands.h"

namespace lamina::cli {

namespace {

struct ConvertFlags {
  std::string in, out;
  bool list = false;
};

void print_list(const TensorFile& file) {
  std::size_t width = 0;
  for (const HostTensor& tensor : file.tensors)
    width = std::max(width, printable(tensor.name).size());
  for (const HostTensor& tensor : file.tensors) {
    std::string shape;
    for (std::int64_t extent : tensor.shape)
      shape += (shape.empty() ? "" : ", ") + std::to_string(extent);
    fmt::print(
        "{:<{}}  {:<4}  [{}]\n", printable(tensor.name), width, name_of(tensor.dtype), shape);
  }
}

void convert(const ConvertFlags& flags) {
  LAMINA_CHECK(flags.list != !flags.out.empty(),
               "give either the file to write, `lamina convert IN OUT`, or --list.");
  const TensorFile file = read_weights(flags.in);
  if (flags.list) return print_list(file);
  write_safetensors(flags.out, file);
  std::size_t bytes = 0;
  for (const HostTensor& tensor : file.tensors) bytes += tensor.data.size();
  fmt::print("{}: {} tensors, {} bytes\n", flags.out, file.tensors.size(), bytes);
}

}  // namespace

void add_convert(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("convert", "weights of PyTorch (.pth) or safetensors, to safetensors");
  auto flags = std::make_shared<ConvertFlags>();
  command->add_option("in", flags->in, ".pth, .pt or safetensors file")->required();
  command->add_option("out", flags->out, "safetensors file to write");
  command->add_flag("--list", flags->list, "print names, types and shapes; write nothing");
  command->callback([flags] { convert(*flags); });
}

}  // namespace lamina::cli
