// lamina eval: accuracy, loss, per-class table and confusion matrix of saved weights.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/files/torch_file.h"
#include "engine/train/evaluate.h"
#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"
#include "tools/eval_checks.h"

namespace lamina::cli {

namespace {

struct EvalFlags {
  std::string net, weights, data, data_dir, normalize = "none", part = "test", device = "auto",
                                            precision = "fp32";
  std::int64_t batch = 256, threads = 0, limit = 0, image_size = 256, skip_bad = 0;
  std::uint64_t permute_pixels = 0;
  std::string mean, stddev, class_order, outputs, image_store = "auto";
  double scale = 0;
  NetFlags options;
  bool json = false;
};

struct ClassScore {
  std::int64_t support = 0, predicted = 0, correct = 0;
  double precision() const {
    return predicted > 0 ? static_cast<double>(correct) / static_cast<double>(predicted) : 0;
  }
  double recall() const {
    return support > 0 ? static_cast<double>(correct) / static_cast<double>(support) : 0;
  }
};

std::vector<ClassScore> score_classes(const std::vector<std::int64_t>& confusion,
                                      std::size_t classes) {
  std::vector<ClassScore> scores(classes);
  for (std::size_t label = 0; label < classes; ++label) {
    for (std::size_t guess = 0; guess < classes; ++guess) {
      const std::int64_t count = confusion[label * classes + guess];
      scores[label].support += count;
      scores[guess].predicted += count;
      if (label == guess) scores[label].correct = count;
    }
  }
  return scores;
}

void print_text(const EvalResult& result, const Dataset& dataset, std::size_t classes) {
  fmt::print("accuracy {:.2f}%  in the first five {:.2f}%  loss {:.4f}  ({} images)\n\n",
             100 * result.sums.accuracy(),
             100 * result.sums.accuracy5(),
             result.sums.loss(),
             dataset.count);
  fmt::print("{:<14}{:>10}{:>10}{:>10}\n", "class", "precision", "recall", "images");
  const auto scores = score_classes(result.confusion, classes);
  const auto name = [&](std::size_t i) {
    return i < dataset.class_names.size() ? dataset.class_names[i] : std::to_string(i);
  };
  for (std::size_t i = 0; i < classes; ++i) {
    fmt::print("{:<14}{:>9.2f}%{:>9.2f}%{:>10}\n",
               name(i),
               100 * scores[i].precision(),
               100 * scores[i].recall(),
               scores[i].support);
  }
  fmt::print("\nconfusion (rows: truth, columns: prediction)\n{:<14}", "");
  for (std::size_t i = 0; i < classes; ++i) fmt::print("{:>7}", name(i).substr(0, 6));
  fmt::print("\n");
  for (std::size_t label = 0; label < classes; ++label) {
    fmt::print("{:<14}", name(label));
    for (std::size_t guess = 0; guess < classes; ++guess)
      fmt::print("{:>7}", result.confusion[label * classes + guess]);
    fmt::print("\n");
  }
}

// What the net returned for every image, beside the labels, for programs.
class OutputFile {
 public:
  OutputFile(std::int64_t classes, const Dataset& dataset) {
    file_.tensors.push_back(make_host_tensor("outputs", DType::f32, {dataset.count, classes}));
    file_.tensors.push_back(make_host_tensor("labels", DType::i64, {dataset.count}));
    std::copy(
        dataset.labels.begin(), dataset.labels.end(), file_.tensors[1].as<std::int64_t>().begin());
  }

  void add(std::int64_t first, std::span<const float> outputs, std::int64_t classes) {
    const auto all = file_.tensors[0].as<float>();
    std::copy(outputs.begin(), outputs.end(), all.begin() + first * classes);
  }

  void write(const std::string& path) const { write_safetensors(path, file_); }

 private:
  TensorFile file_;
};

PrepareOpts scaling_of(const EvalFlags& flags, const Dataset& dataset) {
  const bool own = !flags.mean.empty() || !flags.stddev.empty() || flags.scale > 0;
  LAMINA_CHECK(!own || flags.normalize == "none",
               "--normalize and --mean, --std or --scale say the same thing; leave one out.");
  if (!own) return parse_normalize(flags.normalize, dataset);
  return parse_scaling(
      flags.mean, flags.stddev, flags.scale > 0 ? flags.scale : 1.0 / 255.0, dataset);
}

void evaluate(const EvalFlags& flags) {
  LAMINA_CHECK(flags.batch > 0, "--batch {} is not positive.", flags.batch);
  Dataset dataset = load_with_notes(flags.data,
                                    part_from_name(flags.part),
                                    {.root = flags.data_dir,
                                     .limit = flags.limit,
                                     .image_size = flags.image_size,
                                     .skip_bad = flags.skip_bad,
                                     .threads = flags.threads,
                                     .store = image_store_from_name(flags.image_store)});
  if (!flags.class_order.empty()) reorder_classes(flags.class_order, dataset);
  const PrepareOpts scaling = scaling_of(flags, dataset);
  NetOpts opts = flags.options.opts();
  Graph graph = build_net_for(flags.net, opts, dataset);
  check_fit(graph, flags.net, dataset);
  const TensorFile weights = read_weights(flags.weights);
  const Precision precision = precision_from_name(flags.precision);
  Context ctx = open_device(flags.device, {.threads = flags.threads, .precision = precision});
  Model model(ctx, std::move(graph), precision);
  model.load_state_dict(weights, flags.weights);
  const DeviceDataset data(ctx, dataset, flags.permute_pixels);
  Evaluator evaluator(model, data, scaling, all_samples(dataset.count), {.batch = flags.batch});
  const Buffer arena = ctx.allocate(evaluator.arena_bytes());
  evaluator.bind(arena.bytes_at(0));
  EvalResult result;
  if (flags.outputs.empty()) {
    result = evaluator.run();
  } else {
    OutputFile file(model.graph().classes(), dataset);
    result = evaluator.run([&](auto... outputs) { file.add(outputs...); });
    file.write(flags.outputs);
  }
  const auto classes = static_cast<std::size_t>(model.graph().classes());
  const std::string input = input_text(dataset, scaling);
  const std::string hint = advice(result, dataset, model.graph().classes());
  if (!flags.json) {
    print_text(result, dataset, classes);
    fmt::print("\n{}\n", input);
    if (!hint.empty()) fmt::print("{}\n", hint);
    return;
  }

  nlohmann::ordered_json json{{"net", flags.net},
                              {"data", dataset.name},
                              {"accuracy", result.sums.accuracy()},
                              {"accuracy_top5", result.sums.accuracy5()},
                              {"loss", result.sums.loss()},
                              {"images", dataset.count},
                              {"input", input},
                              {"advice", hint},
                              {"confusion", nlohmann::json::array()}};
  for (std::size_t label = 0; label < classes; ++label) {
    const auto row = result.confusion.begin() + static_cast<std::ptrdiff_t>(label * classes);
    json["confusion"].push_back(
        std::vector<std::int64_t>(row, row + static_cast<std::ptrdiff_t>(classes)));
  }
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* command = app.add_subcommand("eval", "evaluate saved weights");
  auto flags = std::make_shared<EvalFlags>();
  command->add_option("--net", flags->net, "network id")->required();
  flags->options.add_to(*command);
  command->add_option("--weights", flags->weights, ".pth or safetensors file")->required();
  command->add_option("--data", flags->data, "data set name or folder")->required();
  command->add_option("--data-dir", flags->data_dir, "folder that holds the data sets");
  command->add_option("--part", flags->part, "train or test");
  command->add_option(
      "--normalize", flags->normalize, "none, standard or MEAN,STD; as in training");
  command->add_option("--mean", flags->mean, "subtracted from each channel, after --scale");
  command->add_option("--std", flags->stddev, "divides each channel");
  command->add_option("--scale", flags->scale, "of pixels from 0 to 255 (default: 1/255)");
  command->add_option("--class-order",
                      flags->class_order,
                      "the classes in the order of the net's outputs: names or numbers, commas");
  command->add_option("--outputs",
                      flags->outputs,
                      "also write what the net returned for every image to this safetensors file");
  command->add_option("--permute-pixels",
                      flags->permute_pixels,
                      "seed of the order of the pixels (0: as they are); as in training");
  command->add_option("--batch", flags->batch, "images at a time");
  command->add_option("--limit", flags->limit, "use only the first N images (0: all)");
  command->add_option("--image-size", flags->image_size, "side of the squares of photographs");
  command->add_option(
      "--image-store", flags->image_store, "where photographs are: auto, memory, packed or files");
  command->add_option("--skip-bad", flags->skip_bad, "leave out up to N damaged photographs");
  command->add_option("--device", flags->device, "auto, cuda, cpu or ref");
  command->add_option("--precision", flags->precision, "fp32 or bf16; tf32 or fp16 with cuda");
  command->add_option("--threads", flags->threads, "CPU threads (0: as many as there are)");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { evaluate(*flags); });
}

}  // namespace lamina::cli
