// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "engine/train/html_text.h"
#include "engine/train/report_sections.h"
#include "engine/train/svg_chart.h"

namespace lamina {
namespace {

// More than twice as many points are drawn as the mean and the spread of that many runs of steps.
constexpr std::size_t kMostStepPoints = 240;
constexpr std::size_t kMostOpenRows = 12;
// Of so few classes, the right one is among five nearly always.
constexpr std::size_t kFewClasses = 10;

std::string figure(std::string_view title, const LineChart& chart, const std::string& caption) {
  return fmt::format("<figure><h3>{}</h3>\n{}<figcaption>{}</figcaption></figure>\n",
                     title,
                     line_chart_svg(chart),
                     caption);
}

ChartLine line_of(const std::vector<EpochRow>& rows, std::string name, double EpochRow::*column) {
  ChartLine line{std::move(name), {}};
  for (const EpochRow& row : rows) line.points.push_back({double(row.epoch), row.*column});
  return line;
}

std::vector<EpochRow> with_validation(const std::vector<EpochRow>& rows) {
  std::vector<EpochRow> some;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(some), [](const EpochRow& r) {
    return r.has_val;
  });
  return some;
}

std::string loss_figure(const RunReport& report) {
  LineChart chart{.description = "Loss after each epoch",
                  .x_name = "epoch",
                  .lines = {line_of(report.epochs, "train", &EpochRow::train_loss)},
                  .from_zero = true};
  const std::vector<EpochRow> validated = with_validation(report.epochs);
  if (!validated.empty()) chart.lines.push_back(line_of(validated, "val", &EpochRow::val_loss));
  std::string caption =
      fmt::format("Last training loss {}.", measured(report.epochs.back().train_loss));
  if (const EpochRow* best = best_epoch(report)) {
    chart.mark = ChartPoint{double(best->epoch), best->val_loss};
    chart.mark_name = "best val";
    caption = fmt::format(
        "Lowest validation loss {} in epoch {}.", measured(best->val_loss), best->epoch);
  }
  return figure("Loss", chart, caption);
}

std::string share_figure(const RunReport& report,
                         const std::string& name,
                         double EpochRow::*train,
                         double EpochRow::*val) {
  const std::string lower = "a" + name.substr(1);
  LineChart chart{.description = name + " after each epoch",
                  .x_name = "epoch",
                  .lines = {line_of(report.epochs, "train", train)},
                  .percent = true};
  const std::vector<EpochRow> validated = with_validation(report.epochs);
  std::string caption =
      fmt::format("Last training {} {}.", lower, percent(report.epochs.back().*train));
  if (!validated.empty()) {
    chart.lines.push_back(line_of(validated, "val", val));
    const auto top = std::max_element(
        validated.begin(), validated.end(), [&](const EpochRow& a, const EpochRow& b) {
          return a.*val < b.*val;
        });
    caption = fmt::format(
        "Highest validation {} {} in epoch {}.", lower, percent((*top).*val), top->epoch);
  }
  return figure(name, chart, caption);
}

std::string accuracy_figure(const RunReport& report) {
  return share_figure(report, "Accuracy", &EpochRow::train_acc, &EpochRow::val_acc);
}

std::string accuracy5_figure(const RunReport& report) {
  if (report.class_names.size() <= kFewClasses) return "";
  return share_figure(
      report, "Accuracy in the first five", &EpochRow::train_acc5, &EpochRow::val_acc5);
}

std::string step_loss_figure(const RunReport& report) {
  const auto& losses = report.step_losses;
  LineChart chart{.description = "Training loss by optimizer step",
                  .x_name = "step",
                  .lines = {{"train", {}}},
                  .from_zero = true};
  std::vector<ChartPoint>& points = chart.lines[0].points;
  std::string caption = "Training loss of each recorded step.";
  if (losses.size() <= 2 * kMostStepPoints) {
    for (const auto& [step, loss] : losses) points.push_back({double(step), loss});
  } else {
    for (std::size_t i = 0; i < kMostStepPoints; ++i) {
      const std::size_t begin = i * losses.size() / kMostStepPoints;
      const std::size_t end = (i + 1) * losses.size() / kMostStepPoints;
      const double x = double(losses[(begin + end - 1) / 2].first);
      ChartBand bar{x, losses[begin].second, losses[begin].second};
      double sum = 0;
      for (std::size_t j = begin; j < end; ++j) {
        sum += losses[j].second;
        bar.low = std::min(bar.low, losses[j].second);
        bar.high = std::max(bar.high, losses[j].second);
      }
      points.push_back({x, sum / double(end - begin)});
      chart.band.push_back(bar);
    }
    caption = fmt::format("Line: mean of about {} recorded steps. Band: lowest to highest of them.",
                          losses.size() / kMostStepPoints);
  }
  chart.log_y = spans_decades(chart);
  chart.markers = points.size() == 1;  // which is no line
  if (chart.log_y) caption += " Logarithmic axis.";
  return figure("Loss by step", chart, caption);
}

std::string rate_figure(const RunReport& report) {
  const LineChart chart{.description = "Learning rate in each epoch",
                        .x_name = "epoch",
                        .lines = {line_of(report.epochs, "lr", &EpochRow::lr)},
                        .from_zero = true};
  const double first = report.epochs.front().lr;
  const bool constant = std::all_of(report.epochs.begin(),
                                    report.epochs.end(),
                                    [&](const EpochRow& row) { return row.lr == first; });
  return figure("Learning rate",
                chart,
                constant ? fmt::format("Constant at {}.", significant(first))
                         : std::string("At the end of each epoch."));
}

bool waited_for_data(const RunReport& report) {
  return std::any_of(report.epochs.begin(), report.epochs.end(), [](const EpochRow& row) {
    return row.data_wait > 0;
  });
}

std::string speed_figure(const RunReport& report) {
  const LineChart chart{.description = "Training images per second in each epoch",
                        .x_name = "epoch",
                        .lines = {line_of(report.epochs, "img/s", &EpochRow::images_per_second)},
                        .from_zero = true};
  double images = 0, seconds = 0;
  for (const EpochRow& row : report.epochs) {
    images += row.images_per_second * row.seconds;
    seconds += row.seconds;
  }
  std::string caption = "Training alone, without validation.";
  if (std::isfinite(images) && seconds > 0) {
    caption = fmt::format("{} images/s over all epochs, validation left out.",
                          grouped(std::llround(images / seconds)));
  }
  if (!waited_for_data(report)) caption += " The device never waited for data.";
  return figure("Speed", chart, caption);
}

std::string wait_figure(const RunReport& report) {
  if (!waited_for_data(report)) return "";
  const LineChart chart{.description = "Share of each epoch in which the device waited for data",
                        .x_name = "epoch",
                        .lines = {line_of(report.epochs, "wait", &EpochRow::data_wait)},
                        .percent = true,
                        .from_zero = true};
  return figure("Waiting for data", chart, "Share of the time in which the device had no batch.");
}

std::string epoch_line(const EpochRow& row, bool validation, bool best) {
  std::string html =
      fmt::format("<tr{}><th scope=\"row\">{}{}</th><td>{}</td><td>{}</td><td>{}</td>",
                  best ? " class=\"best\"" : "",
                  row.epoch,
                  best ? " best" : "",
                  grouped(row.step),
                  measured(row.train_loss),
                  percent(row.train_acc));
  if (validation) {
    html +=
        row.has_val
            ? fmt::format("<td>{}</td><td>{}</td>", measured(row.val_loss), percent(row.val_acc))
            : std::string("<td></td><td></td>");
  }
  return html + fmt::format("<td>{}</td><td>{}</td><td>{}</td></tr>\n",
                            significant(row.lr),
                            duration_text(row.seconds),
                            std::isfinite(row.images_per_second)
                                ? grouped(std::llround(row.images_per_second))
                                : significant(row.images_per_second));
}

}  // namespace

const EpochRow* best_epoch(const RunReport& report) {
  const EpochRow* best = nullptr;
  for (const EpochRow& row : report.epochs) {
    if (row.has_val && std::isfinite(row.val_loss) &&
        (best == nullptr || row.val_loss < best->val_loss)) {
      best = &row;
    }
  }
  return best;
}

std::string curves_section(const RunReport& report) {
  if (report.epochs.empty() && report.step_losses.empty()) return "";
  std::vector<std::string> figures;
  const auto add = [&](std::string figure) {
    if (!figure.empty()) figures.push_back(std::move(figure));
  };
  if (!report.epochs.empty()) {
    add(loss_figure(report));
    add(accuracy_figure(report));
    add(accuracy5_figure(report));
  }
  if (!report.step_losses.empty()) add(step_loss_figure(report));
  if (!report.epochs.empty()) {
    add(rate_figure(report));
    add(speed_figure(report));
    add(wait_figure(report));
  }
  // Rows of two, and of an odd number the last three beside each other: no row has a hole.
  const std::size_t small = figures.size() >= 5 && figures.size() % 2 == 1 ? 3 : 0;
  std::string html = "<section id=\"curves\"><h2>Curves</h2>\n<div class=\"charts\">\n";
  for (std::size_t i = 0; i < figures.size(); ++i) {
    if (i + small == figures.size()) html += "</div>\n<div class=\"charts small\">\n";
    html += figures[i];
  }
  return html + "</div></section>\n";
}

std::string epochs_section(const RunReport& report) {
  if (report.epochs.empty()) return "";
  const EpochRow* best = best_epoch(report);
  const bool validation = !with_validation(report.epochs).empty();
  std::string html = fmt::format(
      "<section id=\"epochs\"><h2>Epochs</h2>\n<details{}><summary>Every epoch in "
      "numbers</summary>\n"
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr>"
      "<th scope=\"col\">epoch</th><th scope=\"col\">step</th>"
      "<th scope=\"col\">train loss</th><th scope=\"col\">train accuracy</th>{}"
      "<th scope=\"col\">learning rate</th><th scope=\"col\">time</th>"
      "<th scope=\"col\">images/s</th></tr></thead><tbody>\n",
      report.epochs.size() <= kMostOpenRows ? " open=\"open\"" : "",
      validation ? "<th scope=\"col\">val loss</th><th scope=\"col\">val accuracy</th>" : "");
  for (const EpochRow& row : report.epochs) html += epoch_line(row, validation, &row == best);
  return html + "</tbody></table></div></details></section>\n";
}

}  // namespace lamina
