// A data set on the host: all images and labels of one part, as bytes. The images are in memory or
// where they can be read one by one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lamina {

enum class Part { train, test };
std::string_view name_of(Part part);
Part part_from_name(std::string_view name);  // throws a request error that lists the names

// Images that are not in memory: packed in a file, or photographs.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // Image `index`, [h,w,c], into `to`. Several threads may read at a time. Throws a failure that
  // names the file.
  virtual void read(std::int64_t index, std::span<std::uint8_t> to) const = 0;
};

struct Dataset {
  std::string name;    // "mnist"
  std::string origin;  // where it was found, for people: a folder, or "generated, seed 1"
  std::int64_t count = 0, h = 0, w = 0, c = 0, classes = 0;
  std::vector<std::uint8_t> images;  // [count,h,w,c]; empty where there is a source
  std::shared_ptr<const ImageSource> source;
  std::vector<std::int32_t> labels;  // [count], each in [0, classes)
  std::vector<std::string> class_names;
  // Per channel, of pixels scaled to [0, 1]: the usual constants, ImageNet's for a folder of
  // photographs. Of other folders none are known, and they are 0 and 1.
  std::vector<float> mean, stddev;
  bool has_constants = true;
  std::vector<std::string> notes;  // sentences for people: bad files that were left out

  std::int64_t image_bytes() const { return h * w * c; }
  // Copies image `index`, from memory or from the source.
  void read_image(std::int64_t index, std::span<std::uint8_t> to) const;
  std::vector<std::uint8_t> image(std::int64_t index) const;
};

// Where photographs are while a network trains on them.
enum class ImageStore {
  automatic,  // memory where they fit with room to spare, else packed
  memory,
  packed,  // in one file on the disk, decoded once; read ahead of the step
  files    // as they are; decoded ahead of the step, in every epoch anew
};
ImageStore image_store_from_name(std::string_view name);  // auto, memory, packed or files

struct DataOpts {
  std::string root;               // look only here (--data-dir); empty: search
  std::uint64_t seed = 1;         // of generated data sets
  std::int64_t limit = 0;         // the first samples only; 0 means all
  std::int64_t image_size = 256;  // side of the squares that photographs are made, and of noise
  std::int64_t skip_bad = 0;      // as many photographs may be damaged; they are left out
  std::int64_t threads = 0;       // that decode them; 0: as many as there are
  ImageStore store = ImageStore::automatic;
  std::int64_t most_bytes = 0;  // what `automatic` takes for memory; 0: that of this machine
  // Told by the calling thread now and then how many photographs of how many are decoded.
  std::function<void(std::int64_t done, std::int64_t total)> progress{};
};

// `name` is one of dataset_names() or a folder with the files of both parts (format.h,
// image_list.h). Throws in one sentence that names the file and the mend when anything about the
// files is not right.
Dataset load_dataset(const std::string& name, Part part, const DataOpts& opts = {});

std::vector<std::string> dataset_names();

}  // namespace lamina
