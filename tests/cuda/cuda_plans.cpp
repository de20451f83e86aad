// Asks cuDNN for a plan for every pass of every convolution of the nets, on devices that are only
// described, so it needs no GPU:
//   cuda_plans --device tests/cuda/devices/h100.json --dtype bf16          (every net)
//   cuda_plans --device tests/cuda/devices/h100.json --nets lenet_bn,cnn_mnist
//   cuda_plans --this-device         (with a GPU: its description, as in tests/cuda/devices)
// Layers that ask for the same are planned once. Prints a row a layer and a row below it for each
// answer: the engine of each pass and its workspace. Depthwise layers run on kernels of our own;
// cuDNN's plans, which --autotune would time against them, stand behind them. Exits with 1 when a
// pass of another layer has no engine. Each layer is planned in a process of its own, because cuDNN
// can crash on a graph that it cannot take.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "engine/graph/fuse.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/conv2d_impl.h"
#include "layers/conv2d.h"
#include "nets/registry.h"
#include "tests/cuda/describe_device.h"
#include "tests/cuda/plan_device.h"

namespace lamina::test {
namespace {

struct Options {
  std::vector<std::string> nets, devices, dtypes{"f32", "bf16", "f16"};
  std::int64_t batch = 64;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  bool knobs = false, this_device = false;
};

// A convolution that some layers ask for, but for its type.
struct Convolution {
  Conv2dDesc desc;
  std::string text, first;  // what it is, and "net layer" of the first layer that asks for it
  int layers = 0;
};

// "[64, 3, 224, 224] 64 filters 7x7 stride 2 pad 3 relu, no dx"; what is usual goes without saying.
std::string text_of(const Conv2dDesc& d) {
  std::string text = fmt::format("{} {} filters {}x{}", d.x.to_string(), d.k, d.r, d.s);
  const auto add = [&](const char* name, std::int64_t h, std::int64_t w, std::int64_t usual) {
    if (h == w && h != usual) text += fmt::format(" {} {}", name, h);
    if (h != w) text += fmt::format(" {} {},{}", name, h, w);
  };
  add("stride", d.stride_h, d.stride_w, 1);
  add("pad", d.pad_h, d.pad_w, 0);
  add("dilation", d.dilation_h, d.dilation_w, 1);
  add("groups", d.groups, d.groups, 1);
  if (d.bias) text += " bias";
  if (d.act != Act::none) text += fmt::format(" {}", name_of(d.act));
  if (!d.backward_data) text += ", no dx";
  return text;
}

// The distinct ones of the nets, as Program would compile them for training.
std::vector<Convolution> convolutions(const std::vector<std::string>& nets, std::int64_t batch) {
  std::vector<Convolution> found;
  std::unordered_map<std::string, std::size_t> place;
  for (const std::string& net : nets) {
    const Graph graph = fuse(build_net(net));
    std::vector<bool> needs_gradient(graph.value_count(), false);
    const auto needs = [&](ValueId value) {
      return needs_gradient[static_cast<std::size_t>(value)];
    };
    for (const Node& node : graph.nodes()) {
      const std::vector<Shape> x = graph.input_shapes(node, batch);
      const bool need_dx = std::any_of(node.inputs.begin(), node.inputs.end(), needs);
      needs_gradient[static_cast<std::size_t>(node.output)] =
          need_dx || !node.layer->params(x).empty();
      const KernelWork work = node.layer->kernel(x);
      const auto* const conv = std::any_cast<Conv2dDesc>(&work.opts);
      if (conv == nullptr) continue;
      Conv2dDesc desc = *conv;
      desc.backward_data = need_dx;
      const std::string text = text_of(desc);
      const auto [at, is_new] = place.try_emplace(text, found.size());
      if (is_new) found.push_back({desc, text, net + " " + node.name});
      ++found[at->second].layers;
    }
  }
  return found;
}

// A convolution on a device in a type: "tf32" is f32 that tensor cores may round.
struct Question {
  const Convolution* conv;
  const std::string* device;
  const std::string* dtype;
};

struct Answer {
  bool planned = false;
  std::string text;  // Conv2d::describe(), or what went wrong
};

std::string cudnn_plan(Context& ctx, const Conv2dDesc& desc) {
  try {
    return cuda::make_cudnn_conv2d(ctx, desc)->describe();
  } catch (const Error& error) {
    return fmt::format("none of cuDNN: {}", error.what());
  }
}

Answer plan(const Question& question) {
  try {
    const bool tf32 = *question.dtype == "tf32";
    Context ctx = plan_context(*question.device, tf32 ? cuda::F32Math::tf32 : cuda::F32Math::exact);
    Conv2dDesc desc = question.conv->desc;
    desc.dtype = tf32 ? DType::f32 : dtype_from_name(*question.dtype);
    const std::string text = make_conv2d(ctx, desc)->describe();
    if (!cuda::depthwise_can_run(desc)) return {true, text};
    return {true, fmt::format("{}; else {}", text, cudnn_plan(ctx, desc))};
  } catch (const std::exception& error) {
    return {false, error.what()};
  }
}

// plan() in a child: a crash is an answer too. An answer fits into the pipe, so no child waits for
// its reader.
class PlanProcess {
 public:
  explicit PlanProcess(const Question& question) : question_(question) {
    int ends[2];
    LAMINA_CHECK(pipe(ends) == 0, "cuda_plans: no pipe.");
    child_ = fork();
    LAMINA_CHECK(child_ >= 0, "cuda_plans: no second process.");
    if (child_ == 0) {
      const Answer answer = plan(question);
      const bool sent = write(ends[1], answer.text.data(), answer.text.size()) ==
                        static_cast<ssize_t>(answer.text.size());
      _exit(answer.planned && sent ? 0 : 1);
    }
    close(ends[1]);
    end_ = ends[0];
  }

  const Question& question() const { return question_; }

  // Once.
  Answer wait() {
    Answer answer;
    char part[4096];
    for (ssize_t got; (got = read(end_, part, sizeof(part))) > 0;)
      answer.text.append(part, static_cast<std::size_t>(got));
    close(end_);
    int status = 0;
    waitpid(child_, &status, 0);
    answer.planned = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (WIFSIGNALED(status))
      answer.text = fmt::format("cuDNN crashed with signal {}.", WTERMSIG(status));
    return answer;
  }

 private:
  Question question_;
  pid_t child_ = -1;
  int end_ = -1;
};

// "cuDNN forward eng1_k2=3 0 B; backward_data eng2 0 B" holds two.
std::size_t count_plans(const std::string& text) {
  constexpr std::string_view kName = " eng";
  std::size_t count = 0;
  for (std::size_t at = text.find(kName); at != std::string::npos; at = text.find(kName, at)) {
    at += kName.size();
    if (at < text.size() && text[at] >= '0' && text[at] <= '9') ++count;  // no "engine"
  }
  return count;
}

// "cuDNN backward_data eng1_k2=3 0 B" as "dx eng1 0 B": without the engine's knobs.
std::string shortened(const std::string& text) {
  std::string kept;
  bool knobs = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    knobs = text.compare(at, 2, "_k") == 0 || (knobs && text[at] != ' ');
    if (!knobs) kept += text[at];
  }
  const auto replace = [&](std::string_view name, std::string_view with) {
    for (std::size_t at; (at = kept.find(name)) != std::string::npos;)
      kept.replace(at, name.size(), with);
  };
  replace("cuDNN forward", "forward");
  replace("backward_data", "dx");
  replace("backward_weights", "dw");
  return kept;
}

// The answers to one convolution, in rows: cards that agree share one.
class Rows {
 public:
  void add(const Question& question, const std::string& text) {
    const std::string card = std::filesystem::path(*question.device).stem().string();
    for (Row& row : rows_) {
      if (row.dtype != *question.dtype || row.text != text) continue;
      row.cards += "," + card;
      return;
    }
    rows_.push_back({card, *question.dtype, text});
  }

  void print(const Convolution& conv) {
    fmt::print("{}: {}", conv.text, conv.first);
    if (conv.layers > 1) fmt::print(" and {} more", conv.layers - 1);
    fmt::print("\n");
    for (const Row& row : rows_) fmt::print("  {} {} {}\n", row.cards, row.dtype, row.text);
    rows_.clear();
  }

 private:
  struct Row {
    std::string cards, dtype, text;
  };
  std::vector<Row> rows_;
};

int run(const Options& opts) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const std::vector<std::string> nets = opts.nets.empty() ? net_ids() : opts.nets;
  const std::vector<Convolution> convs = convolutions(nets, opts.batch);
  LAMINA_CHECK(!convs.empty(), "none of these nets has a convolution.");
  std::vector<Question> questions;
  for (const Convolution& conv : convs)
    for (const std::string& dtype : opts.dtypes)
      for (const std::string& device : opts.devices) questions.push_back({&conv, &device, &dtype});

  std::deque<PlanProcess> processes;
  std::size_t asked = 0, plans = 0, failed = 0;
  auto told = start;
  Rows rows;
  for (std::size_t answered = 0; answered < questions.size(); ++answered) {
    while (asked < questions.size() && processes.size() < opts.jobs)
      processes.emplace_back(questions[asked++]);
    const Answer answer = processes.front().wait();
    const Question question = processes.front().question();
    processes.pop_front();
    plans += answer.planned ? count_plans(answer.text) : 0;
    failed += answer.planned ? 0 : 1;
    const std::string text = opts.knobs ? answer.text : shortened(answer.text);
    rows.add(question, answer.planned ? text : "FAILED: " + answer.text);
    const bool last = answered + 1 == questions.size();
    if (last || questions[answered + 1].conv != question.conv) rows.print(*question.conv);
    if (!last && Clock::now() - told < std::chrono::seconds(10)) continue;
    fmt::print(stderr, "cuda_plans: {} of {}\n", answered + 1, questions.size());
    told = Clock::now();
  }
  fmt::print("{} plans for {} layers of {} nets, on {} cards in {}; {} without, in {:.1f} s\n",
             plans,
             convs.size(),
             nets.size(),
             opts.devices.size(),
             fmt::join(opts.dtypes, ", "),
             failed,
             std::chrono::duration<double>(Clock::now() - start).count());
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lamina::test

int main(int argc, char** argv) {
  lamina::test::Options opts;
  CLI::App app("Asks cuDNN for the plans of nets, on devices that are only described.");
  app.add_option("--nets", opts.nets, "ids of nets; without it every net")->delimiter(',');
  app.add_option("--device", opts.devices, "files that describe devices")->allow_extra_args(false);
  app.add_flag("--this-device", opts.this_device, "print the description of the GPU at hand");
  app.add_option("--dtype", opts.dtypes, "f32, tf32, bf16, f16")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--batch", opts.batch, "samples");
  app.add_option("--jobs", opts.jobs, "layers planned at once")->check(CLI::PositiveNumber);
  app.add_flag("--knobs", opts.knobs, "print the knobs of each engine, and nothing shortened");
  CLI11_PARSE(app, argc, argv);
  if (!opts.this_device && opts.devices.empty()) {
    fmt::print(stderr, "cuda_plans: name --device files, or give --this-device.\n");
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
