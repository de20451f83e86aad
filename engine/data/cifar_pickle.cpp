// The Python version of CIFAR: Python 2's pickles of dicts with numpy's arrays.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "engine/core/error.h"
#include "engine/data/cifar.h"
#include "engine/files/pickle.h"

namespace lamina {
namespace {

using Kind = PickleValue::Kind;

constexpr std::array<std::string_view, 4> kAllowed{"numpy.core.multiarray _reconstruct",
                                                   "numpy._core.multiarray _reconstruct",
                                                   "numpy ndarray",
                                                   "numpy dtype"};

std::string_view text_of(const PickleValue& value) {
  return value.kind == Kind::bytes ? value.bytes : std::string_view(value.text);
}

// An array of rows: element (row, column) lies at row * row_step + column * column_step.
struct Pixels {
  std::string_view bytes;
  std::size_t row_step = 0, column_step = 0;
};

class Reader {
 public:
  Reader(const std::string& name, std::span<const std::uint8_t> bytes, const std::string& mend)
      : name_(name),
        mend_(mend),
        pickle_(read_pickle(name,
                            std::as_bytes(bytes),
                            {.allowed = kAllowed,
                             .writer = "CIFAR's Python version",
                             .mend = mend_,
                             .python2 = true})) {
    if (pickle_.at(pickle_.root).kind != Kind::dict) wrong("holds no dict");
  }

  [[noreturn]] void wrong(std::string_view what) const {
    fail("'{}' {}, and so is no file of CIFAR's Python version; {}.", name_, what, mend_);
  }

  // The value of a key; null when there is none.
  const PickleValue* find(std::string_view key) const {
    const PickleValue& dict = pickle_.at(pickle_.root);
    for (std::size_t i = 0; i < dict.items.size(); i += 2) {
      if (text_of(pickle_.item(dict, i)) == key) return &pickle_.item(dict, i + 1);
    }
    return nullptr;
  }

  const PickleValue& list(std::string_view key) const {
    const PickleValue* value = find(key);
    if (value == nullptr || value->kind != Kind::list) wrong(fmt::format("has no list '{}'", key));
    return *value;
  }

  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> texts;
    for (std::uint32_t item : list(key).items) {
      const PickleValue& value = pickle_.at(item);
      if (value.kind != Kind::bytes && value.kind != Kind::text)
        wrong(fmt::format("has something other than text in '{}'", key));
      texts.emplace_back(text_of(value));
    }
    return texts;
  }

  std::vector<std::uint8_t> labels(std::string_view key) const {
    std::vector<std::uint8_t> labels;
    for (std::uint32_t item : list(key).items) {
      const PickleValue& value = pickle_.at(item);
      if (value.kind != Kind::integer || value.number < 0 || value.number > 255)
        wrong(fmt::format(
            "has a label that is no number of 0 to 255 as number {} of '{}'", labels.size(), key));
      labels.push_back(static_cast<std::uint8_t>(value.number));
    }
    return labels;
  }

  // "data" as rows of pixels, in the order of C or of Fortran. numpy pickles an array as
  //   _reconstruct(ndarray, (0,), 'b') with the state (1, shape, dtype, is_fortran, bytes)
  Pixels pixels(std::size_t rows) const {
    const PickleValue* array = find("data");
    const auto check = [&](bool good) {
      if (!good) wrong("has no array of unsigned bytes as 'data'");
    };
    check(array != nullptr && array->kind == Kind::call && array->items.size() == 3);
    check(pickle_.item(*array, 0).text.ends_with(" _reconstruct"));
    const PickleValue& state = pickle_.item(*array, 2);
    check(state.kind == Kind::tuple && state.items.size() == 5);
    const PickleValue& shape = pickle_.item(state, 1);
    const PickleValue& type = pickle_.item(state, 2);
    const PickleValue& fortran = pickle_.item(state, 3);
    const PickleValue& data = pickle_.item(state, 4);
    check(type.kind == Kind::call && pickle_.item(type, 0).text == "numpy dtype");
    const PickleValue& arguments = pickle_.item(type, 1);
    check(!arguments.items.empty() && text_of(pickle_.item(arguments, 0)) == "u1");
    check(shape.kind == Kind::tuple && data.kind == Kind::bytes);
    check(fortran.kind == Kind::boolean || fortran.kind == Kind::integer);
    if (shape.items.size() != 2 || pickle_.item(shape, 0).kind != Kind::integer ||
        pickle_.item(shape, 1).kind != Kind::integer ||
        pickle_.item(shape, 0).number != static_cast<std::int64_t>(rows) ||
        pickle_.item(shape, 1).number != kCifarPixels || data.bytes.size() != rows * kCifarPixels)
      wrong(fmt::format("has {} labels, but its 'data' of {} bytes is not as many rows of {}",
                        rows,
                        data.bytes.size(),
                        kCifarPixels));
    return {data.bytes,
            fortran.number != 0 ? 1 : std::size_t{kCifarPixels},
            fortran.number != 0 ? rows : 1};
  }

 private:
  const std::string& name_;
  std::string mend_;
  Pickle pickle_;
};

}  // namespace

bool is_cifar_pickle(std::span<const std::uint8_t> bytes) {
  constexpr std::uint8_t kProto = 0x80;  // no label and no letter of a name
  return !bytes.empty() && bytes[0] == kProto;
}

std::vector<std::uint8_t> cifar_records_of_pickle(const std::string& name,
                                                  std::span<const std::uint8_t> bytes,
                                                  std::int64_t label_bytes,
                                                  const std::string& mend) {
  const Reader reader(name, bytes, mend);
  std::vector<std::vector<std::uint8_t>> labels;
  if (label_bytes == 2) labels.push_back(reader.labels("coarse_labels"));
  labels.push_back(reader.labels(label_bytes == 2 ? "fine_labels" : "labels"));
  const std::size_t rows = labels.back().size();
  if (labels.front().size() != rows) reader.wrong("has not as many coarse labels as fine ones");
  if (rows == 0) reader.wrong("holds no image");
  const Pixels pixels = reader.pixels(rows);
  std::vector<std::uint8_t> records;
  records.reserve(rows * (labels.size() + kCifarPixels));
  for (std::size_t i = 0; i < rows; ++i) {
    for (const std::vector<std::uint8_t>& kind : labels) records.push_back(kind[i]);
    for (std::size_t at = 0; at < kCifarPixels; ++at)
      records.push_back(
          static_cast<std::uint8_t>(pixels.bytes[i * pixels.row_step + at * pixels.column_step]));
  }
  return records;
}

std::vector<std::string> cifar_names_of_pickle(const std::string& name,
                                               std::span<const std::uint8_t> bytes) {
  const Reader reader(name, bytes, kReplaceFile);
  return reader.texts(reader.find("fine_label_names") != nullptr ? "fine_label_names"
                                                                 : "label_names");
}

}  // namespace lamina
