// lamina run: tensors in, tensors out. The bridge to PyTorch: layouts, names and order are
// PyTorch's.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>

#include "engine/files/torch_file.h"
#include "engine/graph/host_values.h"
#include "engine/graph/program.h"
#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"

namespace lamina::cli {

namespace {

struct RunFlags {
  std::string net, weights, input, output, labels, grads, weights_out, device = "auto",
                                                                       precision = "fp32";
  std::int64_t threads = 0, seed = 1;
  double dropout = -1;
  NetFlags options;
  bool train = false, winograd = false;
  PassFlags passes;
};

const HostTensor& required(const TensorFile& file, const char* name, const std::string& path) {
  const HostTensor* tensor = file.find(name);
  if (tensor == nullptr) fail("{}: has no tensor '{}'; add it under that name.", path, name);
  return *tensor;
}

// Copies N,C,H,W host data to an N,H,W,C device tensor and back, converting f32 <-> the tensor's
// dtype.
void copy_input(Context& ctx, const HostTensor& host, const Tensor& to) {
  const Shape& s = to.shape;
  const DType dtype = statistics_dtype(to.dtype);
  HostTensor memory = make_host_tensor("", dtype, {s.numel()});
  const auto values = host.as<float>();
  std::size_t from = 0;
  for (std::int64_t n = 0; n < s.n; ++n) {
    for (std::int64_t c = 0; c < s.c; ++c) {
      for (std::int64_t p = 0; p < s.h * s.w; ++p, ++from) {
        const auto at = static_cast<std::size_t>((n * s.h * s.w + p) * s.c + c);
        if (dtype == DType::f64)
          memory.as<double>()[at] = values[from];
        else
          memory.as<float>()[at] = values[from];
      }
    }
  }
  if (dtype == DType::f64)
    ctx.copy_in(to.data, memory.data.data(), to.bytes());
  else
    write_values(ctx, memory.as<float>(), to);
}

HostTensor copy_output(Context& ctx, const char* name, const Tensor& from) {
  const Shape& s = from.shape;
  const DType dtype = statistics_dtype(from.dtype);
  HostTensor memory = make_host_tensor(name, dtype, {s.n, s.per_sample()});
  if (dtype == DType::f64) {
    ctx.copy_out(memory.data.data(), from.data, from.bytes());
  } else {
    const std::vector<float> values = read_values(ctx, from);
    std::copy(values.begin(), values.end(), memory.as<float>().begin());
  }
  if (s.h * s.w == 1) return memory;
  HostTensor host = make_host_tensor(
      name, dtype, s.flat ? memory.shape : std::vector<std::int64_t>{s.n, s.c, s.h, s.w});
  const std::size_t size = size_of(dtype);
  std::size_t to = 0;
  for (std::int64_t n = 0; n < s.n; ++n) {
    for (std::int64_t c = 0; c < s.c; ++c) {
      for (std::int64_t p = 0; p < s.h * s.w; ++p, to += size) {
        std::memcpy(&host.data[to],
                    &memory.data[static_cast<std::size_t>((n * s.h * s.w + p) * s.c + c) * size],
                    size);
      }
    }
  }
  return host;
}

void copy_labels(Context& ctx,
                 const HostTensor& host,
                 std::int64_t classes,
                 const std::string& path,
                 const Tensor& to) {
  LAMINA_CHECK(host.dtype == DType::i64 && host.shape == std::vector<std::int64_t>{to.numel()},
               "{}: 'labels' must be i64 of shape [{}], one for each input.",
               path,
               to.numel());
  std::vector<std::int32_t> labels;
  for (std::int64_t label : host.as<std::int64_t>()) {
    LAMINA_CHECK(
        label >= 0 && label < classes, "{}: label {} is not in [0, {}).", path, label, classes);
    labels.push_back(static_cast<std::int32_t>(label));
  }
  ctx.copy_in(to.data, labels.data(), to.bytes());
}

void run(const RunFlags& flags) {
  LAMINA_CHECK(flags.grads.empty() || !flags.labels.empty(),
               "--grads needs --labels: without a loss there is no gradient.");
  LAMINA_CHECK(flags.weights_out.empty() || flags.train,
               "--weights-out holds what training changes; add --train.");
  Graph graph = build_net(flags.net, flags.options.opts());
  const TensorFile weights = read_weights(flags.weights);
  const TensorFile input_file = read_safetensors(flags.input);
  const HostTensor& input = required(input_file, "input", flags.input);
  const Shape want = graph.shape(graph.input());
  LAMINA_CHECK(input.dtype == DType::f32 && input.shape.size() == 4 && input.shape[0] > 0 &&
                   input.shape[1] == want.c && input.shape[2] == want.h && input.shape[3] == want.w,
               "{}: 'input' must be f32 of shape [N, {}, {}, {}] for net {}.",
               flags.input,
               want.c,
               want.h,
               want.w,
               flags.net);

  const Precision precision = precision_from_name(flags.precision);
  Context ctx = open_device(
      flags.device, {.threads = flags.threads, .precision = precision, .winograd = flags.winograd});
  Model model(ctx, std::move(graph), precision);
  model.load_state_dict(weights, flags.weights);
  ProgramOpts opts{.batch = input.shape[0],
                   .mode = flags.train ? Mode::train : Mode::eval,
                   .backward = !flags.grads.empty(),
                   .passes = flags.passes.set(),
                   .seed = static_cast<std::uint64_t>(flags.seed),
                   .memory = flags.passes.memory_bytes()};
  if (flags.dropout >= 0) opts.dropout = flags.dropout;
  Program program(model, opts);
  const Buffer arena = ctx.allocate(program.arena_bytes());
  const Buffer state = ctx.allocate(sizeof(StepState));
  const StepState start;
  ctx.copy_in(state.data(), &start, sizeof start);
  program.bind(arena.bytes_at(0), static_cast<const StepState*>(state.data()));

  copy_input(ctx, input, program.input());
  program.forward();
  TensorFile output;
  output.tensors.push_back(copy_output(ctx, "output", program.output()));
  if (!flags.labels.empty()) {
    const TensorFile label_file = read_safetensors(flags.labels);
    copy_labels(ctx,
                required(label_file, "labels", flags.labels),
                model.graph().classes(),
                flags.labels,
                program.labels());
    program.loss_and_gradient({});
    output.tensors.push_back(copy_output(ctx, "loss", program.loss()));
    output.tensors.back().shape = {1};
  }
  if (!flags.grads.empty()) {
    program.backward();
    write_safetensors(flags.grads, model.gradient_dict());
  }
  if (!flags.weights_out.empty()) write_safetensors(flags.weights_out, model.state_dict());
  write_safetensors(flags.output, output);
}

}  // namespace

void add_run(CLI::App& app) {
  CLI::App* command = app.add_subcommand("run", "tensors in, tensors out (safetensors)");
  auto flags = std::make_shared<RunFlags>();
  command->add_option("net", flags->net, "network id")->required();
  flags->options.add_to(*command);
  command->add_option("--weights", flags->weights, "state_dict of the net")->required();
  command->add_option("--input", flags->input, "file with 'input', f32 [N, C, H, W]")->required();
  command->add_option("--output", flags->output, "receives 'output', and 'loss' with --labels")
      ->required();
  command->add_option("--labels", flags->labels, "file with 'labels', i64 [N]");
  command->add_option("--grads", flags->grads, "receives the gradient of every parameter");
  command->add_option(
      "--weights-out", flags->weights_out, "receives the state_dict afterwards (with --train)");
  command->add_flag("--train", flags->train, "train mode: batch statistics, dropout");
  command->add_option("--dropout", flags->dropout, "overrides every dropout probability")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--precision",
                      flags->precision,
                      "fp32 or bf16; tf32 or fp16 with --device cuda; fp64 with --device ref");
  command->add_option("--seed", flags->seed, "of the dropout masks");
  command->add_option("--device", flags->device, "auto, cuda, cpu or ref");
  command->add_option("--threads", flags->threads, "CPU threads (0: as many as there are)");
  flags->passes.add_to(*command);
  command->add_flag("--winograd", flags->winograd, "3x3 convolutions as in training on the CPU");
  command->callback([flags] { run(*flags); });
}

}  // namespace lamina::cli
