// Everything a training run depends on, resolved: saved as <run>/config.json, read back by
// --resume.
//
// One table of fields serves the command line flags, recipes (key=value) and the JSON file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/graph/passes.h"

namespace lamina {

struct TrainConfig {
  std::string net, data, recipe;
  std::int64_t classes = 0, size = 0, channels = 0;  // of the net; 0: as defined, or the data's
  double width = 1.0;                                // multiplies the channels of every layer
  std::string net_options;                           // "KEY=VALUE KEY=VALUE", see nets/registry.h
  std::string data_dir;                              // empty: the usual places
  std::string weights;             // file to start from; empty: drawn by the layers' rules
  std::string weights_sha256;      // of that file; a run refuses another
  std::string normalize = "none";  // none | standard (the data set's constants) | MEAN,STD
  std::int64_t crop_padding = 0;   // random crops of the padded image; 0: none
  bool flip = false;               // random mirror images
  // See augmentation.h.
  double random_resized_crop = 0;   // the least share of an image's area; 0: none
  double pca_shift = 0;             // of the colours, in deviations; 0: none
  std::int64_t cutout = 0;          // side of the blank square; 0: none
  double mixup = 0;                 // alpha of the weights; 0: none
  std::int64_t permute_pixels = 0;  // seed of one order of the pixels; 0: as they are
  double val_split = 0.0;           // share of the training images held out for validation
  std::int64_t limit = 0;           // first images of each part only; 0: all
  std::int64_t image_size = 256;    // photographs are made squares of this side
  std::string image_store =
      "auto";                 // where photographs are while they are trained on, see dataset.h
  std::int64_t skip_bad = 0;  // damaged photographs of each part to put up with
  std::int64_t epochs = 5;
  std::int64_t batch_size = 64;
  std::string loss = "auto";  // auto (the net's own), or a name of engine/core/loss_kind.h
  double label_smoothing = 0.0;
  std::string optimizer = "adam";  // adam | adamw | sgd | rmsprop | lars
  double lr = 1e-3;
  double weight_decay = 0.0;
  std::string decay_of = "all";  // all | weights (no biases, no parameters of norms)
  double momentum = 0.0;         // sgd, rmsprop, lars
  bool nesterov = false;         // sgd
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // adam, adamw; eps of rmsprop too
  double alpha = 0.99;                            // rmsprop
  double trust = 0.001;                           // lars
  std::string schedule = "constant";  // constant | step | multi_step | cosine | one_cycle | plateau
  double warmup = 0.0;                // epochs, in front of the schedule
  std::int64_t step_epochs = 30;      // of step
  std::string milestones;             // of multi_step: "30,60,80"
  double gamma = 0.1;                 // of step, multi_step and plateau
  bool cycle_momentum = false;        // one_cycle: the other way round than the rate; adam's beta1
  double base_momentum = 0.85, max_momentum = 0.95;  // between which it cycles
  double lr_min = 0.0;                               // of cosine and plateau
  std::int64_t patience = 10;                        // of plateau, in epochs
  double clip_norm = 0.0;                            // of all gradients; 0: as they are
  std::int64_t accumulate = 1;                       // batches an update
  double ema = 0.0;             // decay of the weights' moving average; 0: none
  std::int64_t early_stop = 0;  // patience in epochs; 0: never
  std::int64_t seed = 1;
  std::string device = "auto";  // auto | cuda | cpu | ref
  std::int64_t threads = 0;     // cpu; 0: the machine's
  std::string precision = "fp32";
  bool autotune = false;  // choose convolutions by their time
  bool fuse = true;
  std::string no_pass;          // passes of the graph compiler to leave out: a,b
  std::int64_t memory = 0;      // MB a step's tensors should take; 0: what the device has free
  bool winograd = true;         // 3x3 convolutions with larger roundings where faster; cpu only
  bool record = true;           // replay the step as one CUDA graph
  std::string debug;            // nan: look for values that are not finite, see nonfinite.h
  std::int64_t save_every = 0;  // steps between checkpoints; 0: at the end of each epoch
  std::int64_t log_every = 50;  // steps between the losses kept for the report

  // Sets the field named `key` ("lr", "batch_size" or "batch-size") from text; an error names the
  // key, what it takes, and for an unknown key the nearest one.
  void set(const std::string& key, const std::string& value);
  std::vector<std::int64_t> milestone_list() const;
  PassSet passes() const;
  void check() const;  // throws on values that cannot work, such as a batch of 0

  std::string to_json() const;
  static TrainConfig from_json(const std::string& text, const std::string& origin);
};

struct ConfigField {
  const char* key;    // snake_case; the flag is --key with dashes
  const char* alias;  // a shorter flag, or ""
  const char* help;
  std::variant<std::string TrainConfig::*,
               std::int64_t TrainConfig::*,
               double TrainConfig::*,
               bool TrainConfig::*>
      member;
};
std::span<const ConfigField> config_fields();

// name=value rows for the report.
std::vector<std::pair<std::string, std::string>> config_rows(const TrainConfig& config);

}  // namespace lamina
