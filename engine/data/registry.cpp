// SPDX-License-Identifier: Apache-2.0
#include "engine/data/registry.h"

#include <fmt/format.h>

#include <iterator>
#include <sstream>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "engine/data/dataset.h"
#include "engine/data/synthetic_digits.h"
#include "engine/data/synthetic_images.h"

namespace lamina {
namespace {

std::vector<std::string> numbers(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

Dataset draw_synthetic_digits(const DatasetInfo&, Part part, const DataOpts& opts) {
  return make_synthetic_digits(part, opts.seed, opts.limit);
}

// Checksums are of the original files of http://yann.lecun.com/exdb/mnist/.
DatasetInfo mnist() {
  return {
      .name = "mnist",
      .title = "MNIST handwritten digits (LeCun, Cortes, Burges)",
      .train_count = 60000,
      .test_count = 10000,
      .class_names = numbers(10),
      .mean = {0.1307f},
      .stddev = {0.3081f},
      .format = idx_format(),
      .files = {{"train-images-idx3-ubyte",
                 47040016,
                 "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                 {"train-images-idx3-ubyte.gz",
                  9912422,
                  "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"}},
                {"train-labels-idx1-ubyte",
                 60008,
                 "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                 {"train-labels-idx1-ubyte.gz",
                  28881,
                  "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"}},
                {"t10k-images-idx3-ubyte",
                 7840016,
                 "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                 {"t10k-images-idx3-ubyte.gz",
                  1648877,
                  "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"}},
                {"t10k-labels-idx1-ubyte",
                 10008,
                 "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                 {"t10k-labels-idx1-ubyte.gz",
                  4542,
                  "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"}}},
      .mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                  "https://storage.googleapis.com/cvdf-datasets/mnist/"},
      .folders = {"MNIST/raw"},
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
      .format = idx_format(),
      .files = {{"train-images-idx3-ubyte",
                 47040016,
                 "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                 {"train-images-idx3-ubyte.gz",
                  26421880,
                  "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"}},
                {"train-labels-idx1-ubyte",
                 60008,
                 "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                 {"train-labels-idx1-ubyte.gz",
                  29515,
                  "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"}},
                {"t10k-images-idx3-ubyte",
                 7840016,
                 "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                 {"t10k-images-idx3-ubyte.gz",
                  4422102,
                  "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"}},
                {"t10k-labels-idx1-ubyte",
                 10008,
                 "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                 {"t10k-labels-idx1-ubyte.gz",
                  5148,
                  "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}}},
      .mirrors = {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
      .folders = {"FashionMNIST/raw"},
      .system_folder = "/usr/share/datasets/fashion-mnist",
      .system_package = "dataset-fashion-mnist",
  };
}

// Checksums of the archives are those that TensorFlow Datasets lists.
DatasetInfo cifar10() {
  return {
      .name = "cifar-10",
      .title = "CIFAR-10 (Krizhevsky)",
      .train_count = 50000,
      .test_count = 10000,
      .class_names = words("airplane automobile bird cat deer dog frog horse ship truck"),
      .mean = {0.4914f, 0.4822f, 0.4465f},
      .stddev = {0.2470f, 0.2435f, 0.2616f},
      .format = cifar10_format(),
      .files = {{"data_batch_1.bin",
                 30730000,
                 "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
                {"data_batch_2.bin",
                 30730000,
                 "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
                {"data_batch_3.bin",
                 30730000,
                 "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
                {"data_batch_4.bin",
                 30730000,
                 "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
                {"data_batch_5.bin",
                 30730000,
                 "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
                {"test_batch.bin",
                 30730000,
                 "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"}},
      .archive = {"cifar-10-binary.tar.gz",
                  170052171,
                  "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
      .archive_folder = "cifar-10-batches-bin",
      .mirrors = {"https://www.cs.toronto.edu/~kriz/"},
      .folders = {"cifar10", "cifar-10-batches-bin", "cifar-10-batches-py"},
  };
}

DatasetInfo cifar100() {
  return {
      .name = "cifar-100",
      .title = "CIFAR-100 (Krizhevsky)",
      .train_count = 50000,
      .test_count = 10000,
      .class_names =
          words("apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy "
                "bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee clock "
                "cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish "
                "forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion "
                "lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange "
                "orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine "
                "possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
                "snail snake spider squirrel streetcar sunflower sweet_pepper table tank "
                "telephone television tiger tractor train trout tulip turtle wardrobe whale "
                "willow_tree wolf woman worm"),
      .mean = {0.5071f, 0.4865f, 0.4409f},
      .stddev = {0.2673f, 0.2564f, 0.2762f},
      .format = cifar100_format(),
      .files = {{"train.bin",
                 153700000,
                 "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"},
                {"test.bin",
                 30740000,
                 "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"}},
      .archive = {"cifar-100-binary.tar.gz",
                  168513733,
                  "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"},
      .archive_folder = "cifar-100-binary",
      .mirrors = {"https://www.cs.toronto.edu/~kriz/"},
      .folders = {"cifar100", "cifar-100-binary", "cifar-100-python"},
  };
}

// mean and stddev were measured over the training part of seed 1.
DatasetInfo synthetic_digits() {
  return {
      .name = "synthetic-digits",
      .title = "Synthetic digits, drawn by Lamina itself",
      .train_count = 10000,
      .test_count = 2000,
      .class_names = numbers(10),
      .mean = {0.1364f},
      .stddev = {0.2625f},
      .draw = draw_synthetic_digits,
  };
}

// mean and stddev are those of bytes that are all as likely.
DatasetInfo synthetic_images() {
  return {
      .name = "synthetic-images",
      .title = "Noise in colour, drawn by Lamina itself",
      .train_count = 1024,
      .test_count = 1024,
      .class_names = numbers(1000),
      .mean = {0.5f, 0.5f, 0.5f},
      .stddev = {0.2898f, 0.2898f, 0.2898f},
      .draw = draw_synthetic_images,
  };
}

}  // namespace

std::vector<DatasetInfo> known_datasets() {
  return {mnist(), fashion_mnist(), cifar10(), cifar100(), synthetic_digits(), synthetic_images()};
}

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
  fail_request("unknown data set '{}'; name one of {}, or a folder that holds one.{}",
               name,
               fmt::join(names, ", "),
               suggest(name, names));
}

}  // namespace lamina
