// SPDX-License-Identifier: Apache-2.0
#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace lamina::cli {

namespace {

constexpr int kBarWidth = 24;

std::string duration(double seconds) {
  const auto total = std::lround(seconds);
  return total >= 60 ? fmt::format("{}:{:02}", total / 60, total % 60) : fmt::format("{} s", total);
}

std::string loss_text(double loss) {
  constexpr double kMuch = 1e5;  // with its decimals it would be wider than its column
  return std::abs(loss) < kMuch ? fmt::format("{:.4f}", loss) : fmt::format("{:.3g}", loss);
}

// What the terminal shows in one line; more would be a line of its own at every redraw. Of the
// bar's characters each takes three bytes.
std::string fit(const std::string& line) {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return line;
  int shown = 0;
  std::size_t end = 0;
  for (; end < line.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(line[end]) & 0xC0) != 0x80;
    if (begins && ++shown > size.ws_col) break;
  }
  return line.substr(0, end);
}

}  // namespace

Progress::Progress(std::size_t memory_bytes)
    : memory_bytes_(memory_bytes), terminal_(isatty(STDERR_FILENO) == 1) {}

void Progress::clear_bar() {
  if (bar_shown_) fmt::print(stderr, "\r\033[K");
  bar_shown_ = false;
}

void Progress::batch(const BatchEvent& event) {
  if (!terminal_) return;
  const double share = static_cast<double>(event.samples) / static_cast<double>(event.of);
  const int filled = static_cast<int>(share * kBarWidth);
  std::string bar;
  for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
  // Of the whole run, as if every epoch took as long and validation nothing.
  const std::int64_t images = event.of * (event.epochs - event.epoch + 1) - event.samples;
  const std::string line = fmt::format(
      "epoch {}/{} {} {:3.0f}%  loss {}  acc {:.2f}%  {:.0f} img/s  {} left  lr "
      "{:.3g}  data wait {:.0f}%  {:.0f} MB",
      event.epoch,
      event.epochs,
      bar,
      100 * share,
      loss_text(event.loss),
      100 * event.accuracy,
      event.images_per_second,
      duration(static_cast<double>(images) / event.images_per_second),
      event.lr,
      100 * event.data_wait,
      static_cast<double>(memory_bytes_) / 1e6);
  fmt::print(stderr, "\r\033[K{}", fit(line));
  std::fflush(stderr);
  bar_shown_ = true;
}

void Progress::epoch(const EpochRow& row) {
  clear_bar();
  if (!header_shown_) {
    fmt::print("epoch  train loss  train acc   val loss   val acc    time     img/s\n");
    header_shown_ = true;
  }
  const std::string val_loss = row.has_val ? loss_text(row.val_loss) : "-";
  const std::string val_acc = row.has_val ? fmt::format("{:.2f}%", 100 * row.val_acc) : "-";
  fmt::print("{:5}  {:>10}  {:8.2f}%  {:>9}  {:>8}  {:>6}  {:8.0f}\n",
             row.epoch,
             loss_text(row.train_loss),
             100 * row.train_acc,
             val_loss,
             val_acc,
             duration(row.seconds),
             row.images_per_second);
  std::fflush(stdout);
}

void Progress::message(const std::string& text) {
  clear_bar();
  fmt::print(stderr, "{}\n", text);
}

}  // namespace lamina::cli
