// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "engine/core/error.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at is as good as absent
  return fs::is_directory(path, ignored);
}

// The names in a folder for which `want` holds, in order.
template <class Want>
std::vector<std::string> names_in(const fs::path& folder, Want&& want) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && want(entry->path())) names.push_back(name);
  }
  if (error)
    fail("cannot list the folder '{}': {}; check its permissions.",
         folder.string(),
         error.message());
  std::sort(names.begin(), names.end());
  return names;
}

bool has_image_name(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

fs::path test_folder(const fs::path& folder, const std::vector<std::string>& classes) {
  for (const char* name : {"test", "val"}) {
    for (const std::string& of_class : classes) {
      if (is_folder(folder / name / of_class)) return folder / name;
    }
  }
  fail(
      "the folder '{}' has images to train on, but none to test: there is neither 'test' nor 'val' "
      "with a folder of a class in it; move some images of each class to 'val/CLASS'.",
      folder.string());
}

std::vector<ImageEntry> images_of_class(const fs::path& folder, std::int32_t label) {
  std::vector<ImageEntry> images;
  for (const std::string& name : names_in(folder, has_image_name)) {
    ImageEntry image{folder / name, label, 0, 0};
    std::error_code error;
    if (fs::is_directory(image.path, error)) continue;
    if (!error) image.bytes = fs::file_size(image.path, error);
    if (!error) image.modified = fs::last_write_time(image.path, error).time_since_epoch().count();
    if (error)
      fail("cannot read '{}': {}; check the path and its permissions.",
           image.path.string(),
           error.message());
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace

bool is_image_folder(const fs::path& folder) { return is_folder(folder / "train"); }

ImageList list_images(const fs::path& folder, Part part, std::int64_t limit) {
  ImageList list;
  list.class_names = names_in(folder / "train", is_folder);
  if (list.class_names.empty())
    fail("the folder '{}' holds no folders of classes; put the images into 'train/CLASS/'.",
         (folder / "train").string());
  list.folder = part == Part::train ? folder / "train" : test_folder(folder, list.class_names);
  for (const std::string& name : names_in(list.folder, is_folder)) {
    if (!std::binary_search(list.class_names.begin(), list.class_names.end(), name))
      fail("'{}' is no class of the training images; move it away, or add 'train/{}'.",
           (list.folder / name).string(),
           name);
  }
  std::vector<std::vector<ImageEntry>> by_class;
  std::size_t longest = 0;
  for (const std::string& name : list.class_names) {
    const fs::path of_class = list.folder / name;
    by_class.push_back(is_folder(of_class)
                           ? images_of_class(of_class, static_cast<std::int32_t>(by_class.size()))
                           : std::vector<ImageEntry>());
    longest = std::max(longest, by_class.back().size());
    if (part == Part::train && by_class.back().empty())
      fail(
          "the folder of a class '{}' holds no image (.jpg, .jpeg or .png); add some, or remove "
          "it.",
          of_class.string());
  }
  for (std::size_t turn = 0; turn < longest; ++turn) {
    for (std::vector<ImageEntry>& images : by_class) {
      if (turn < images.size()) list.images.push_back(std::move(images[turn]));
    }
  }
  if (list.images.empty())
    fail("the folder '{}' holds no image (.jpg, .jpeg or .png); add some.", list.folder.string());
  if (limit > 0 && limit < std::ssize(list.images))
    list.images.resize(static_cast<std::size_t>(limit));
  return list;
}

}  // namespace lamina
