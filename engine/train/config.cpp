// SPDX-License-Identifier: Apache-2.0
#include "engine/train/config.h"
#include "engine/data/dataset.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

#include <fmt/ranges.h>

#include "engine/core/error.h"
#include "engine/core/loss_kind.h"
#include "engine/core/precision.h"
#include "engine/core/suggest.h"
#include "engine/core/words.h"
#include "engine/data/dataset.h"
#include "engine/train/augmentation.h"

namespace lamina {

namespace {

using C = TrainConfig;

const ConfigField kFields[] = {
    {"net", "", "network id, see `lamina nets`", &C::net},
    {"classes", "", "outputs of the net (0: as defined, or as the data need)", &C::classes},
    {"size", "", "height and width of the net's input (0: as defined)", &C::size},
    {"channels", "", "of the net's input (0: as defined, or as the data have)", &C::channels},
    {"width", "", "multiplies the channels of every layer", &C::width},
    {"net_options", "", "further options of the net: 'KEY=VALUE KEY=VALUE'", &C::net_options},
    {"data", "", "data set name or folder, see `lamina data`", &C::data},
    {"recipe", "", "preset to start from, see `lamina recipes`", &C::recipe},
    {"data_dir", "", "folder that holds the data sets", &C::data_dir},
    {"weights", "", "start from these weights (.pth or safetensors)", &C::weights},
    {"weights_sha256", "", "SHA-256 that the file of weights must have", &C::weights_sha256},
    {"normalize",
     "",
     "none, standard (the data set's mean and deviation) or MEAN,STD",
     &C::normalize},
    {"crop_padding",
     "",
     "train on random crops of the images padded by N black pixels (0: none)",
     &C::crop_padding},
    {"flip", "", "train on mirror images too, at random (true or false)", &C::flip},
    {"random_resized_crop",
     "",
     "train on parts of the images of at least this share of the area, such as 0.08 (0: none)",
     &C::random_resized_crop},
    {"pca_shift",
     "",
     "shift colours along their principal components, such as 0.1 (0: none)",
     &C::pca_shift},
    {"cutout", "", "blank a square of N pixels of each training image (0: none)", &C::cutout},
    {"mixup", "", "train on blends of two images, alpha such as 0.2 (0: none)", &C::mixup},
    {"permute_pixels",
     "",
     "seed of one order of the pixels for all images, evaluation too (0: as they are)",
     &C::permute_pixels},
    {"val_split", "", "share of the training images held out for validation", &C::val_split},
    {"limit", "", "use only the first N images of each part (0: all)", &C::limit},
    {"image_size", "", "side of the squares that photographs are made", &C::image_size},
    {"image_store",
     "",
     "where photographs are: auto, memory, packed (in a file) or files (decoded in every epoch)",
     &C::image_store},
    {"skip_bad", "", "leave out up to N damaged photographs of each part", &C::skip_bad},
    {"epochs", "", "passes over the training images", &C::epochs},
    {"batch_size", "batch", "images a step", &C::batch_size},
    {"loss", "", "auto (the net's own), cross_entropy, nll, hinge, mse or l1", &C::loss},
    {"label_smoothing",
     "",
     "share of the target that is spread over all classes",
     &C::label_smoothing},
    {"optimizer", "opt", "adam, adamw, sgd, rmsprop or lars", &C::optimizer},
    {"lr", "", "learning rate", &C::lr},
    {"weight_decay", "wd", "weight decay (L2; decoupled with adamw)", &C::weight_decay},
    {"decay_of",
     "",
     "what decays: all, or weights (no biases, no parameters of norms)",
     &C::decay_of},
    {"momentum", "", "momentum of sgd, rmsprop and lars", &C::momentum},
    {"nesterov", "", "Nesterov momentum (true or false)", &C::nesterov},
    {"beta1", "", "decay of adam's first moment", &C::beta1},
    {"beta2", "", "decay of adam's second moment", &C::beta2},
    {"eps", "", "what adam and rmsprop add to the root", &C::eps},
    {"alpha", "", "decay of rmsprop's mean square", &C::alpha},
    {"trust", "", "trust coefficient of lars", &C::trust},
    {"schedule",
     "",
     "of the learning rate: constant, step, multi_step, cosine, one_cycle or plateau",
     &C::schedule},
    {"warmup", "", "epochs in which the learning rate grows to its start", &C::warmup},
    {"step_epochs", "", "schedule step: epochs between its steps", &C::step_epochs},
    {"milestones",
     "",
     "schedule multi_step: epochs of its steps, such as 30,60,80",
     &C::milestones},
    {"gamma", "", "factor of a step, of a milestone or of a plateau", &C::gamma},
    {"cycle_momentum",
     "",
     "schedule one_cycle: momentum (sgd) or beta1 (adam) falls while the rate rises, and back",
     &C::cycle_momentum},
    {"base_momentum", "", "lowest momentum of a cycle", &C::base_momentum},
    {"max_momentum", "", "momentum at both ends of a cycle", &C::max_momentum},
    {"lr_min", "", "lowest learning rate of cosine and plateau", &C::lr_min},
    {"patience", "", "schedule plateau: epochs without a lower loss before a step", &C::patience},
    {"clip_norm", "", "clip the norm of all gradients to this (0: do not)", &C::clip_norm},
    {"accumulate", "", "batches an update; their gradients are averaged", &C::accumulate},
    {"ema", "", "evaluate a moving average of the weights with this decay (0: do not)", &C::ema},
    {"early_stop",
     "",
     "stop after N epochs without a lower validation loss (0: never)",
     &C::early_stop},
    {"seed", "", "seed of every random draw", &C::seed},
    {"device", "", "auto, cuda, cpu or ref", &C::device},
    {"threads", "", "CPU threads (0: as many as there are)", &C::threads},
    {"precision", "", "fp32 or bf16; tf32 or fp16 on cuda", &C::precision},
    {"autotune",
     "",
     "choose convolutions by their time, once: the choice is kept in the plan cache",
     &C::autotune},
    {"fuse", "", "fuse activations into the layers before them (true or false)", &C::fuse},
    {"no_pass",
     "",
     "passes of the graph compiler to leave out, such as concat_in_place,share_memory",
     &C::no_pass},
    {"memory",
     "",
     "MB that a step's tensors should take: while they take more, cheap ones are made again in the "
     "backward pass, not kept (0: what is free on a GPU)",
     &C::memory},
    {"winograd",
     "",
     "3x3 convolutions by Winograd's filtering where that is faster (true or false); cpu only",
     &C::winograd},
    {"record",
     "",
     "record the step and replay it, where the device can (true or false)",
     &C::record},
    {"debug",
     "",
     "nan: stop at the first layer that makes a value which is not finite (slow)",
     &C::debug},
    {"save_every", "", "steps between checkpoints (0: one an epoch)", &C::save_every},
    {"log_every", "", "steps between the losses drawn in the report", &C::log_every},
};

std::string normalised(std::string key) {
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

template <class T>
T parse_number(const std::string& key, const std::string& value) {
  T number{};
  const char* end = value.data() + value.size();
  const auto result = std::from_chars(value.data(), end, number);
  LAMINA_CHECK(result.ec == std::errc() && result.ptr == end && !value.empty(),
               "{} takes {}, not '{}'.",
               key,
               std::is_floating_point_v<T> ? "a number" : "a whole number",
               value);
  return number;
}

bool parse_bool(const std::string& key, const std::string& value) {
  if (value == "true" || value == "1" || value == "yes") return true;
  if (value == "false" || value == "0" || value == "no") return false;
  fail_request("{} takes true or false, not '{}'.", key, value);
}

void require_name(const char* key,
                  const std::string& value,
                  const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), value) != names.end()) return;
  fail_request("{} is '{}'; it must be one of {}.{}",
               key,
               value,
               fmt::join(names, ", "),
               suggest(value, names));
}

void require(bool condition, const char* key, const std::string& value, const char* what) {
  LAMINA_CHECK(condition, "{} is {}; it must be {}.", key, value, what);
}

}  // namespace

std::span<const ConfigField> config_fields() { return kFields; }

void TrainConfig::set(const std::string& key, const std::string& value) {
  const std::string wanted = normalised(key);
  for (const ConfigField& field : kFields) {
    if (wanted != field.key && (field.alias[0] == '\0' || wanted != field.alias)) continue;
    std::visit(
        [&](auto member) {
          using T = std::remove_reference_t<decltype(this->*member)>;
          if constexpr (std::is_same_v<T, std::string>)
            this->*member = value;
          else if constexpr (std::is_same_v<T, bool>)
            this->*member = parse_bool(field.key, value);
          else
            this->*member = parse_number<T>(field.key, value);
        },
        field.member);
    return;
  }
  std::vector<std::string> keys;
  for (const ConfigField& field : kFields) keys.emplace_back(field.key);
  fail_request(
      "unknown setting '{}'; `lamina train --help` lists them.{}", key, suggest(wanted, keys));
}

PassSet TrainConfig::passes() const {
  PassSet set = fuse ? PassSet{} : PassSet::unfused();
  std::stringstream names(no_pass);
  for (std::string name; std::getline(names, name, ',');) set.turn_off(name);
  return set;
}

void TrainConfig::check() const {
  passes();  // their names
  LAMINA_CHECK(!net.empty(), "no network was named; give --net (see `lamina nets`) or --recipe.");
  LAMINA_CHECK(!data.empty(),
               "no data set was named; give --data (see `lamina data`) or --recipe.");
  require(classes >= 0, "classes", std::to_string(classes), "zero or more");
  require(size >= 0, "size", std::to_string(size), "zero or more");
  require(channels >= 0, "channels", std::to_string(channels), "zero or more");
  require(width > 0, "width", fmt::format("{}", width), "positive");
  require(batch_size > 0, "batch_size", std::to_string(batch_size), "positive");
  require(epochs > 0, "epochs", std::to_string(epochs), "positive");
  require(lr > 0 && lr < 1e6, "lr", fmt::format("{}", lr), "positive");
  require(weight_decay >= 0, "weight_decay", fmt::format("{}", weight_decay), "zero or more");
  require(momentum >= 0 && momentum < 1, "momentum", fmt::format("{}", momentum), "in [0, 1)");
  require(val_split >= 0 && val_split < 1, "val_split", fmt::format("{}", val_split), "in [0, 1)");
  check_augmentation(*this);
  image_store_from_name(image_store);
  require(early_stop >= 0, "early_stop", std::to_string(early_stop), "zero or more");
  require(memory >= 0, "memory", std::to_string(memory), "zero or more");
  require(save_every >= 0, "save_every", std::to_string(save_every), "zero or more");
  require(log_every > 0, "log_every", std::to_string(log_every), "positive");
  require(limit >= 0, "limit", std::to_string(limit), "zero or more");
  require(seed >= 0, "seed", std::to_string(seed), "zero or more");
  std::vector<std::string> losses{"auto"};
  losses.insert(losses.end(), kLossNames.begin(), kLossNames.end());
  require_name("loss", loss, losses);
  require(label_smoothing >= 0 && label_smoothing < 1,
          "label_smoothing",
          fmt::format("{}", label_smoothing),
          "in [0, 1)");
  LAMINA_CHECK(label_smoothing == 0 || loss != "hinge",
               "label_smoothing: the hinge has no target to smooth; take another loss.");
  require_name("optimizer", optimizer, {"adam", "adamw", "sgd", "rmsprop", "lars"});
  LAMINA_CHECK(debug.empty() || debug == "nan", "debug is '{}'; it must be nan or empty.", debug);
  require_name("decay_of", decay_of, {"all", "weights"});
  for (const auto& [key, value] : {std::pair{"beta1", beta1}, {"beta2", beta2}, {"alpha", alpha}})
    require(value >= 0 && value < 1, key, fmt::format("{}", value), "in [0, 1)");
  require(eps > 0, "eps", fmt::format("{}", eps), "positive");
  require(trust > 0, "trust", fmt::format("{}", trust), "positive");
  require_name(
      "schedule", schedule, {"constant", "step", "multi_step", "cosine", "one_cycle", "plateau"});
  require(warmup >= 0 && warmup <= static_cast<double>(epochs),
          "warmup",
          fmt::format("{}", warmup),
          "zero or more, and at most the number of epochs");
  LAMINA_CHECK(warmup == 0 || schedule != "one_cycle",
               "warmup: the one_cycle schedule has its own; leave one of the two out.");
  require(base_momentum >= 0 && base_momentum <= max_momentum && max_momentum < 1,
          "base_momentum",
          fmt::format("{} and max_momentum is {}", base_momentum, max_momentum),
          "at most that, and both in [0, 1)");
  LAMINA_CHECK(!cycle_momentum || (schedule == "one_cycle" &&
                                   (optimizer == "sgd" || optimizer.starts_with("adam"))),
               "cycle_momentum needs --schedule one_cycle and --optimizer sgd, adam or adamw.");
  require(step_epochs > 0, "step_epochs", std::to_string(step_epochs), "positive");
  const bool has_milestones = !milestone_list().empty();
  LAMINA_CHECK(schedule != "multi_step" || has_milestones,
               "the multi_step schedule needs its epochs; give --milestones, such as 30,60,80.");
  require(gamma > 0 && gamma <= 1, "gamma", fmt::format("{}", gamma), "in (0, 1]");
  require(lr_min >= 0 && lr_min <= lr, "lr_min", fmt::format("{}", lr_min), "in [0, lr]");
  require(patience >= 0, "patience", std::to_string(patience), "zero or more");
  require(clip_norm >= 0, "clip_norm", fmt::format("{}", clip_norm), "zero or more");
  require(accumulate > 0, "accumulate", std::to_string(accumulate), "positive");
  require(ema >= 0 && ema < 1, "ema", fmt::format("{}", ema), "in [0, 1)");
  LAMINA_CHECK(weights_sha256.empty() || !weights.empty(),
               "weights_sha256 belongs to a file of weights; give --weights too.");
  LAMINA_CHECK(!nesterov || (optimizer == "sgd" && (momentum > 0 || cycle_momentum)),
               "nesterov needs --optimizer sgd and a --momentum above zero.");
  LAMINA_CHECK(early_stop == 0 || val_split > 0,
               "early_stop watches the validation loss; give --val-split, for example 0.2.");
  require(precision_from_name(precision) != Precision::fp64,
          "precision",
          precision,
          "fp32, tf32, bf16 or fp16 to train in");
}

std::vector<std::int64_t> TrainConfig::milestone_list() const {
  std::vector<std::int64_t> list;
  if (milestones.empty()) return list;
  for (const std::string_view word : words_of(milestones)) {
    list.push_back(parse_number<std::int64_t>("milestones", std::string(word)));
    LAMINA_CHECK(list.back() > (list.size() > 1 ? list[list.size() - 2] : 0),
                 "milestones are '{}'; they must be epochs that grow, such as 30,60,80.",
                 milestones);
  }
  return list;
}

std::string TrainConfig::to_json() const {
  nlohmann::ordered_json json;
  for (const ConfigField& field : kFields) {
    std::visit([&](auto member) { json[field.key] = this->*member; }, field.member);
  }
  return json.dump(2) + "\n";
}

TrainConfig TrainConfig::from_json(const std::string& text, const std::string& origin) {
  TrainConfig config;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    fail("{}: is not a JSON object; restore the file or start the run anew.", origin);
  for (const auto& [key, value] : json.items()) {
    try {
      config.set(key, value.is_string() ? value.get<std::string>() : value.dump());
    } catch (const Error& error) {
      throw error.with_context(origin + ": ");
    }
  }
  return config;
}

std::vector<std::pair<std::string, std::string>> config_rows(const TrainConfig& config) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const ConfigField& field : kFields) {
    std::visit(
        [&](auto member) { rows.emplace_back(field.key, fmt::format("{}", config.*member)); },
        field.member);
  }
  return rows;
}

}  // namespace lamina
