// Asks cuDNN for a plan for every pass of every convolution of some nets, on devices that are only
// described, so it needs no GPU:
//   cuda_plans --device tests/cuda/devices/h100.json --dtype bf16 lenet_bn cnn_mnist
//   cuda_plans --this-device         (with a GPU: its description, as in tests/cuda/devices)
// Prints a row a pass: the engine and its knobs, and its workspace. Exits with 1 when a pass has no
// engine. Each layer is planned in a process of its own, because cuDNN can crash on a graph that it
// cannot take.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "engine/graph/fuse.h"
#include "nets/registry.h"
#include "tests/cuda/describe_device.h"
#include "tests/cuda/plan_device.h"

namespace lamina::test {
namespace {

struct Options {
  std::vector<std::string> nets, devices, dtypes{"f32", "bf16", "f16"};
  std::int64_t batch = 64;
  bool tf32 = false, this_device = false;
};

// A convolution of a net, as Program would compile it for training.
struct Convolution {
  std::string name;
  std::shared_ptr<const Layer> layer;
  std::vector<Shape> x;
  Shape y;
  bool need_dx = false;
};

std::vector<Convolution> convolutions(const std::string& net, std::int64_t batch) {
  const Graph graph = fuse(build_net(net));
  std::vector<Convolution> found;
  std::vector<bool> needs_gradient(graph.value_count(), false);
  const auto needs = [&](ValueId value) { return needs_gradient[static_cast<std::size_t>(value)]; };
  for (const Node& node : graph.nodes()) {
    std::vector<Shape> x = graph.input_shapes(node, batch);
    const bool need_dx = std::any_of(node.inputs.begin(), node.inputs.end(), needs);
    needs_gradient[static_cast<std::size_t>(node.output)] =
        need_dx || !node.layer->params(x).empty();
    if (node.layer->type() != "Conv2d") continue;
    found.push_back(
        {node.name, node.layer, std::move(x), graph.shape(node.output).with_n(batch), need_dx});
  }
  return found;
}

struct Answer {
  bool planned = false;
  std::string text;  // LayerOp::describe(), or what went wrong
};

Answer plan(const Convolution& conv, const std::string& device, DType dtype, cuda::F32Math f32) {
  try {
    Context ctx = plan_context(device, f32);
    const CompileArgs args{
        .ctx = ctx, .x = conv.x, .y = conv.y, .dtype = dtype, .need_dx = {conv.need_dx}};
    return {true, conv.layer->compile(args)->describe()};
  } catch (const std::exception& error) {
    return {false, error.what()};
  }
}

// plan() in a child: a crash is an answer too.
Answer plan_apart(const Convolution& conv,
                  const std::string& device,
                  DType dtype,
                  cuda::F32Math f32) {
  int ends[2];
  LAMINA_CHECK(pipe(ends) == 0, "cuda_plans: no pipe.");
  const pid_t child = fork();
  LAMINA_CHECK(child >= 0, "cuda_plans: no second process.");
  if (child == 0) {
    const Answer answer = plan(conv, device, dtype, f32);
    const bool sent = write(ends[1], answer.text.data(), answer.text.size()) ==
                      static_cast<ssize_t>(answer.text.size());
    _exit(answer.planned && sent ? 0 : 1);
  }
  close(ends[1]);
  Answer answer;
  char part[4096];
  for (ssize_t got; (got = read(ends[0], part, sizeof(part))) > 0;)
    answer.text.append(part, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  answer.planned = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (WIFSIGNALED(status))
    answer.text = fmt::format("cuDNN crashed with signal {}.", WTERMSIG(status));
  return answer;
}

// The passes of "cuDNN forward eng1 0 B; backward_data eng2 0 B".
std::vector<std::string> passes_of(const std::string& text) {
  std::vector<std::string> passes;
  for (std::size_t at = text.find(' ') + 1; at < text.size();) {
    const std::size_t end = std::min(text.find("; ", at), text.size());
    passes.push_back(text.substr(at, end - at));
    at = end + 2;
  }
  return passes;
}

int run(const Options& opts) {
  const auto start = std::chrono::steady_clock::now();
  std::size_t planned = 0, layers = 0, failed = 0;
  for (const std::string& device : opts.devices) {
    const std::string card = std::filesystem::path(device).stem().string();
    for (const std::string& net : opts.nets) {
      for (const Convolution& conv : convolutions(net, opts.batch)) {
        for (const std::string& dtype : opts.dtypes) {
          const auto f32 = opts.tf32 ? cuda::F32Math::tf32 : cuda::F32Math::exact;
          const Answer answer = plan_apart(conv, device, dtype_from_name(dtype), f32);
          const std::string what =
              fmt::format("{:<6} {:<14} {:<8} {:<5}", card, net, conv.name, dtype);
          ++layers;
          const std::vector<std::string> passes = passes_of(answer.text);
          const std::size_t wanted = conv.need_dx ? 3 : 2;
          if (answer.planned && passes.size() == wanted) {
            for (const std::string& pass : passes) fmt::print("{} {}\n", what, pass);
            planned += wanted;
          } else {
            fmt::print("{} FAILED: {}\n", what, answer.text);
            ++failed;
          }
        }
      }
    }
  }
  fmt::print("{} plans for {} layers, {} layers without, in {:.1f} s\n",
             planned,
             layers,
             failed,
             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  LAMINA_CHECK(layers > 0, "none of these nets has a convolution.");
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lamina::test

int main(int argc, char** argv) {
  lamina::test::Options opts;
  CLI::App app("Asks cuDNN for the plans of nets, on devices that are only described.");
  app.add_option("nets", opts.nets, "ids of nets");
  app.add_option("--device", opts.devices, "files that describe devices")->allow_extra_args(false);
  app.add_flag("--this-device", opts.this_device, "print the description of the GPU at hand");
  app.add_option("--dtype", opts.dtypes, "f32, bf16, f16")->delimiter(',')->allow_extra_args(false);
  app.add_option("--batch", opts.batch, "samples");
  app.add_flag("--tf32", opts.tf32, "let tensor cores multiply f32");
  CLI11_PARSE(app, argc, argv);
  if (!opts.this_device && (opts.nets.empty() || opts.devices.empty())) {
    fmt::print(stderr, "cuda_plans: name nets and --device files, or give --this-device.\n");
    return 2;
  }
  try {
    if (opts.this_device) {
      fmt::print("{}\n", lamina::test::describe_device());
      return 0;
    }
    return lamina::test::run(opts);
  } catch (const lamina::Error& error) {
    fmt::print(stderr, "{}\n", error.details());
    return 2;
  }
}
