// lamina data get, check, show: the data sets on this machine.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "engine/core/error.h"
#include "engine/data/byte_reader.h"
#include "engine/data/contact_sheet.h"
#include "engine/data/download.h"
#include "engine/data/locate.h"
#include "engine/data/png.h"
#include "engine/data/verify.h"
#include "engine/files/atomic_file.h"
#include "engine/train/augmentation.h"
#include "kernels/context.h"
#include "tools/commands.h"
#include "tools/common.h"

namespace lamina::cli {

namespace {

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// --- get -----------------------------------------------------------------------------------------

// A line on stderr that is redrawn; nothing where nobody watches.
class DownloadBar {
 public:
  DownloadBar() : terminal_(isatty(STDERR_FILENO) == 1) {}
  ~DownloadBar() { clear(); }

  void draw(const DownloadProgress& progress) {
    if (!terminal_ || progress.total == 0) return;
    constexpr std::int64_t kBarWidth = 24;
    std::string bar;
    for (std::int64_t i = 0; i < kBarWidth; ++i)
      bar += i < kBarWidth * progress.done / progress.total ? "█" : "░";
    fmt::print(stderr,
               "\r\033[K{} {} {:3}%  {} of {}",
               progress.file,
               bar,
               100 * progress.done / progress.total,
               megabytes(progress.done),
               megabytes(progress.total));
    std::fflush(stderr);
    shown_ = true;
  }

  void clear() {
    if (shown_) fmt::print(stderr, "\r\033[K");
    shown_ = false;
  }

 private:
  bool terminal_;
  bool shown_ = false;
};

void get(const std::string& name, const std::string& data_dir, const std::string& mirror) {
  const std::optional<DatasetInfo> info = find_dataset(name);
  if (!info) fail_unknown_dataset(name);
  if (info->draw != nullptr) {
    fmt::print("{} is drawn when it is used; there is nothing to download.\n", name);
    return;
  }
  if (const auto files = find_files(*info, data_dir, {Part::train, Part::test})) {
    verify_files(*info->format, *files, &*info, mend_for(*info, data_dir, files->folder));
    fmt::print(
        "{} is in {}, and its files are the published ones.\n", name, files->folder.string());
    return;
  }
  const std::filesystem::path folder = download_folder(*info, data_dir);
  DownloadBar bar;
  DownloadOpts opts;
  opts.mirrors = mirrors_of(*info, mirror);
  opts.progress = [&](const DownloadProgress& progress) { bar.draw(progress); };
  download_dataset(*info, folder, opts, [&](const ServedFile& file) {
    bar.clear();
    fmt::print("{}  {}, SHA-256 as published\n", file.name, megabytes(file.bytes));
    std::fflush(stdout);
  });
  fmt::print("{} is in {}.\n", name, folder.string());
}

// --- check ---------------------------------------------------------------------------------------

void print_files(const std::vector<FileReport>& reports) {
  fmt::print("{:<30}{:>12}  {}\n", "file", "bytes", "SHA-256 of its content");
  for (const FileReport& report : reports)
    fmt::print("{:<30}{:>12}  {:<66}{}\n",
               report.path.filename().string(),
               report.bytes,
               report.content_sha256,
               name_of(report.verdict));
  fmt::print("\n");
}

void print_labels(const Dataset& train, const Dataset& test) {
  const std::vector<std::int64_t> in_train = label_histogram(train),
                                  in_test = label_histogram(test);
  fmt::print("{:>5}  {:<16}{:>8}{:>8}\n", "label", "class", "train", "test");
  for (std::size_t i = 0; i < in_train.size(); ++i)
    fmt::print("{:>5}  {:<16}{:>8}{:>8}\n", i, train.class_names[i], in_train[i], in_test[i]);
  fmt::print("{:>5}  {:<16}{:>8}{:>8}\n", "", "all", train.count, test.count);
}

void check(const std::string& name, const DataOpts& opts) {
  const std::optional<DatasetInfo> info = find_dataset(name);
  // Before the tables, so that an unknown name or a damaged file leaves the output empty.
  const Dataset train = load_with_notes(name, Part::train, opts);
  const Dataset test = load_with_notes(name, Part::test, opts);
  fmt::print("{}: {}\n{}, images of {}x{}x{}\n\n",
             name,
             info ? info->title : "a folder of one's own",
             train.origin,
             train.h,
             train.w,
             train.c);
  if (!info) {
    const FoundFormat found = find_format(name);
    if (found.format) print_files(verify_files(*found.format, found.files, nullptr, kReplaceFile));
  } else if (info->format) {
    const DataFiles files = locate_files(*info, opts.root, {Part::train, Part::test});
    print_files(
        verify_files(*info->format, files, &*info, mend_for(*info, opts.root, files.folder)));
  }
  print_labels(train, test);
}

// --- show ----------------------------------------------------------------------------------------

struct ShowFlags {
  std::string name, part = "test", out;
  std::int64_t count = 20, size = 0, repeat = 1;
  std::vector<std::string> augment;  // KEY=VALUE
  DataOpts data;

  bool drawn() const { return !augment.empty() || size > 0 || repeat > 1; }
};

// As the net would see them in training.
Dataset draw(const Dataset& data, const ShowFlags& flags) {
  TrainConfig config;
  config.seed = static_cast<std::int64_t>(flags.data.seed);
  for (const std::string& setting : flags.augment) set_augmentation(config, setting);
  Context ctx = make_context({.backend = BackendKind::cpu});
  return draw_augmented(ctx, data, config, flags.size, flags.repeat);
}

// Whole images' draws side by side, on a page a little wider than high.
std::int64_t columns_of(const Dataset& shown, std::int64_t repeat) {
  if (repeat == 1) return 0;
  const double columns = std::sqrt(1.25 * static_cast<double>(shown.count));
  return repeat * std::max<std::int64_t>(1, std::lround(columns / static_cast<double>(repeat)));
}

std::vector<Tile> tiles_of(const Dataset& data) {
  const auto size = static_cast<std::size_t>(data.h * data.w * data.c);
  std::vector<Tile> tiles;
  for (std::size_t i = 0; i < data.labels.size(); ++i)
    tiles.push_back({std::span(data.images).subspan(i * size, size),
                     data.class_names[static_cast<std::size_t>(data.labels[i])]});
  return tiles;
}

int terminal_width() {
  constexpr int kUsual = 80;
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

void show(const ShowFlags& flags) {
  DataOpts opts = flags.data;
  opts.limit = flags.count;
  opts.store = ImageStore::memory;
  LAMINA_CHECK(
      flags.out != "-" || isatty(STDOUT_FILENO) == 0,
      "--out - writes a PNG to the standard output, which is a terminal here; redirect it, "
      "or leave --out out to see the images as text.");
  Dataset data = load_with_notes(flags.name, part_from_name(flags.part), opts);
  if (flags.drawn()) data = draw(data, flags);
  const std::vector<Tile> tiles = tiles_of(data);
  const std::int64_t columns = columns_of(data, flags.repeat);
  const TileShape shape{data.h, data.w, data.c};
  if (flags.out.empty()) {
    const bool colours = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    fmt::print(
        "{}",
        text_sheet(tiles, shape, terminal_width(), colours ? Ink::half_blocks : Ink::letters));
  } else if (flags.out == "-") {
    const std::string png = encode_png(contact_sheet(tiles, shape, columns));
    if (std::fwrite(png.data(), 1, png.size(), stdout) != png.size() || std::fflush(stdout) != 0)
      fail("the standard output takes no more bytes; check the disk or the program behind it.");
  } else {
    write_file_atomically(flags.out, encode_png(contact_sheet(tiles, shape, columns)));
    fmt::print("{}: {} image{} of the {} part of {} ({}).\n",
               flags.out,
               data.count,
               data.count == 1 ? "" : "s",
               flags.part,
               data.name,
               data.origin);
  }
}

void add_data_dir(CLI::App& command, std::string& data_dir) {
  command
      .add_option(
          "--data-dir", data_dir, "folder that holds the data set, and the only one looked at")
      ->type_name("DIR");
}

void add_data_opts(CLI::App& command, DataOpts& opts) {
  add_data_dir(command, opts.root);
  command.add_option("--seed", opts.seed, "of generated data and of augmentation")
      ->capture_default_str();
  command.add_option("--image-size", opts.image_size, "side of the squares of photographs")
      ->capture_default_str();
  command.add_option("--skip-bad", opts.skip_bad, "leave out up to N damaged photographs")
      ->capture_default_str();
}

}  // namespace

void add_data(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "download, verify and show data sets");
  data->require_subcommand(1);
  const std::string known = fmt::format("{}", fmt::join(dataset_names(), ", "));

  struct GetFlags {
    std::vector<std::string> names;
    std::string data_dir, mirror;
  };
  CLI::App* get_command = data->add_subcommand("get", "download data sets that are not here yet");
  const auto get_flags = std::make_shared<GetFlags>();
  get_command->add_option("NAME", get_flags->names, "data sets: " + known)->required();
  add_data_dir(*get_command, get_flags->data_dir);
  get_command
      ->add_option("--mirror",
                   get_flags->mirror,
                   "address to try first; also the environment variable LAMINA_MIRROR")
      ->type_name("URL");
  get_command->callback([get_flags] {
    for (const std::string& name : get_flags->names)
      get(name, get_flags->data_dir, get_flags->mirror);
  });

  struct CheckFlags {
    std::string name;
    DataOpts data;
  };
  CLI::App* check_command =
      data->add_subcommand("check", "verify the files of a data set and count its labels");
  const auto check_flags = std::make_shared<CheckFlags>();
  check_command->add_option("NAME", check_flags->name, known + ", or a folder of files")
      ->required();
  add_data_opts(*check_command, check_flags->data);
  check_command->callback([check_flags] { check(check_flags->name, check_flags->data); });

  CLI::App* show_command = data->add_subcommand("show", "show the first images with their classes");
  const auto show_flags = std::make_shared<ShowFlags>();
  show_command->add_option("NAME", show_flags->name, known + ", or a folder of files")->required();
  show_command->add_option("--part", show_flags->part, "train or test")->capture_default_str();
  show_command->add_option("--count", show_flags->count, "how many images")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  show_command->add_option("--out", show_flags->out, "write a PNG: a file, or - for stdout")
      ->type_name("FILE");
  show_command
      ->add_option("--augment",
                   show_flags->augment,
                   "as training would change them: flip, crop_padding, random_resized_crop, "
                   "pca_shift, cutout, mixup or permute_pixels, see `lamina train --help`")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE,...");
  show_command->add_option("--size", show_flags->size, "resized to N x N (0: as they are)")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  show_command->add_option("--repeat", show_flags->repeat, "K draws of each image, side by side")
      ->check(CLI::Range(1, 100))
      ->type_name("K");
  add_data_opts(*show_command, show_flags->data);
  show_command->callback([show_flags] { show(*show_flags); });
}

}  // namespace lamina::cli
