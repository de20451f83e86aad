// SPDX-License-Identifier: Apache-2.0
#include "engine/data/registry.h"

#include <fmt/format.h>

#include <utility>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "engine/data/dataset.h"

namespace lamina {
namespace {

std::vector<std::string> digit_names() {
  return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
}

// Checksums are of the original files of http://yann.lecun.com/exdb/mnist/.
DatasetInfo mnist() {
  return {
      .name = "mnist",
      .title = "MNIST handwritten digits (LeCun, Cortes, Burges)",
      .train_count = 60000,
      .test_count = 10000,
      .class_names = digit_names(),
      .mean = {0.1307f},
      .stddev = {0.3081f},
      .files = {{{"train-images-idx3-ubyte",
                  9912422,
                  "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                  47040016,
                  "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
                 {"train-labels-idx1-ubyte",
                  28881,
                  "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                  60008,
                  "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
                 {"t10k-images-idx3-ubyte",
                  1648877,
                  "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                  7840016,
                  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
                 {"t10k-labels-idx1-ubyte",
                  4542,
                  "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                  10008,
                  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}}},
      .mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                  "https://storage.googleapis.com/cvdf-datasets/mnist/"},
      .torchvision_folder = "MNIST",
  };
}

DatasetInfo fashion_mnist() {
  return {
      .name = "fashion-mnist",
      .title = "Fashion-MNIST (Zalando Research)",
      .train_count = 60000,
      .test_count = 10000,
      .class_names = {"T-shirt/top",
                      "Trouser",
                      "Pullover",
                      "Dress",
                      "Coat",
                      "Sandal",
                      "Shirt",
                      "Sneaker",
                      "Bag",
                      "Ankle boot"},
      .mean = {0.2860f},
      .stddev = {0.3530f},
      .files = {{{"train-images-idx3-ubyte",
                  26421880,
                  "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                  47040016,
                  "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
                 {"train-labels-idx1-ubyte",
                  29515,
                  "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                  60008,
                  "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
                 {"t10k-images-idx3-ubyte",
                  4422102,
                  "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                  7840016,
                  "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
                 {"t10k-labels-idx1-ubyte",
                  5148,
                  "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                  10008,
                  "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}}},
      .mirrors = {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
      .torchvision_folder = "FashionMNIST",
      .system_folder = "/usr/share/datasets/fashion-mnist",
      .system_package = "dataset-fashion-mnist",
  };
}

// mean and stddev were measured over the training part of seed 1.
DatasetInfo synthetic_digits() {
  return {
      .name = "synthetic-digits",
      .title = "Synthetic digits, drawn by Lamina itself",
      .train_count = 10000,
      .test_count = 2000,
      .class_names = digit_names(),
      .mean = {0.1364f},
      .stddev = {0.2625f},
      .generated = true,
  };
}

}  // namespace

std::vector<DatasetInfo> known_datasets() { return {mnist(), fashion_mnist(), synthetic_digits()}; }

std::optional<DatasetInfo> find_dataset(const std::string& name) {
  for (DatasetInfo& info : known_datasets()) {
    if (info.name == name) return std::move(info);
  }
  return std::nullopt;
}

void fail_unknown_dataset(const std::string& name) {
  const std::vector<std::string> names = dataset_names();
  if (name.find('/') != std::string::npos)
    fail_request("the data folder '{}' does not exist; correct the path, or name one of {}.",
                 name,
                 fmt::join(names, ", "));
  fail_request("unknown data set '{}'; name one of {}, or a folder with IDX files.{}",
               name,
               fmt::join(names, ", "),
               suggest(name, names));
}

}  // namespace lamina
