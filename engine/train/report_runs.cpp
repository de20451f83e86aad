// SPDX-License-Identifier: Apache-2.0
#include "engine/train/report_runs.h"

#include <algorithm>

#include <fmt/core.h>

#include "engine/train/html_text.h"
#include "engine/train/report_page.h"
#include "engine/train/run_table.h"
#include "engine/train/svg_chart.h"

namespace lamina {
namespace {

using Runs = std::span<const SavedRun>;
using Numbers = std::vector<std::size_t>;  // of runs, in the order of the table

// Those whose curves are drawn, by number: all where there is room, else those of the highest
// accuracy.
Numbers drawn_runs(Runs runs) {
  Numbers drawn;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (!runs[i].epochs.empty()) drawn.push_back(i);
  if (drawn.size() <= kMostChartLines) return drawn;
  std::stable_sort(drawn.begin(), drawn.end(), [&](std::size_t a, std::size_t b) {
    const auto accuracy = [&](std::size_t i) { return runs[i].finished ? runs[i].test_acc : -1; };
    return accuracy(a) > accuracy(b);
  });
  drawn.resize(kMostChartLines);
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

bool validated(const SavedRun& run) {
  return std::any_of(
      run.epochs.begin(), run.epochs.end(), [](const EpochRow& row) { return row.has_val; });
}

ChartLine line_of(const SavedRun& run,
                  std::size_t number,
                  double EpochRow::*train,
                  double EpochRow::*val) {
  ChartLine line{fmt::format("{}", number + 1)};
  const bool has_val = validated(run);
  for (const EpochRow& row : run.epochs) {
    if (row.has_val == has_val)
      line.points.push_back({double(row.epoch), has_val ? row.*val : row.*train});
  }
  return line;
}

// "Validation." or which of them had none.
std::string what_is_drawn(Runs runs, const Numbers& drawn) {
  std::string without;
  std::size_t count = 0;
  for (const std::size_t i : drawn) {
    if (validated(runs[i])) continue;
    ++count;
    without += fmt::format("{}{}", without.empty() ? "" : ", ", i + 1);
  }
  if (count == 0) return "On the validation images.";
  if (count == drawn.size()) return "On the training images: no run was validated.";
  return "On the validation images; without them, on the training images: " + without + ".";
}

std::string figure(const char* title, const LineChart& chart, const std::string& caption) {
  return fmt::format("<figure><h3>{}</h3>\n{}<figcaption>{}</figcaption></figure>\n",
                     title,
                     line_chart_svg(chart),
                     caption);
}

std::string legend(Runs runs, const Numbers& drawn) {
  std::string html = "<ul class=\"keys\">\n";
  for (std::size_t line = 0; line < drawn.size(); ++line) {
    html += fmt::format("<li>{}<b>{}</b> {}</li>\n",
                        chart_key_svg(line),
                        drawn[line] + 1,
                        escape_html(runs[drawn[line]].name));
  }
  return html + "</ul>\n";
}

std::string curves_section(Runs runs) {
  const Numbers drawn = drawn_runs(runs);
  if (drawn.empty()) return "";
  LineChart loss{.description = "Loss of each run after each epoch", .x_name = "epoch"};
  LineChart accuracy{
      .description = "Accuracy of each run after each epoch", .x_name = "epoch", .percent = true};
  for (const std::size_t i : drawn) {
    loss.lines.push_back(line_of(runs[i], i, &EpochRow::train_loss, &EpochRow::val_loss));
    accuracy.lines.push_back(line_of(runs[i], i, &EpochRow::train_acc, &EpochRow::val_acc));
  }
  loss.log_y = spans_decades(loss);
  loss.from_zero = !loss.log_y;
  const std::string what = what_is_drawn(runs, drawn);
  std::string note;
  if (const auto all = std::count_if(
          runs.begin(), runs.end(), [](const SavedRun& run) { return !run.epochs.empty(); });
      static_cast<std::size_t>(all) > drawn.size())
    note = fmt::format("<p class=\"soft\">Of {} runs the {} with the highest test accuracy.</p>\n",
                       all,
                       drawn.size());
  return "<section id=\"curves\"><h2>Curves</h2>\n" + note + legend(runs, drawn) +
         "<div class=\"charts\">\n" +
         figure("Loss", loss, what + (loss.log_y ? " Logarithmic axis." : "")) +
         figure("Accuracy", accuracy, what) + "</div></section>\n";
}

std::string cell_html(const RunCell& cell, bool number) {
  std::string html = number ? "<td" : "<td class=\"words\"";
  html += ">";
  html += cell.best ? "<b class=\"best\">\xE2\x98\x85\xC2\xA0" + escape_html(cell.text) + "</b>"
                    : escape_html(cell.text);
  if (!cell.note.empty()) html += "<small>" + escape_html(cell.note) + "</small>";
  return html + "</td>";
}

// Wide names may wrap behind their folders and settings.
std::string wrapping(const std::string& name) {
  std::string html;
  for (const char c : escape_html(name)) {
    html += c;
    if (c == '/' || c == ',') html += "<wbr/>";
  }
  return html;
}

// The net stands below the run's name, so that narrow screens show more than names.
std::string table_section(Runs runs) {
  std::vector<RunColumn> columns = run_columns(runs);
  const std::string shared = take_shared(columns);
  std::string html = "<section id=\"runs\"><h2>Runs</h2>\n";
  if (!shared.empty()) html += "<p class=\"soft\">All runs: " + escape_html(shared) + ".</p>\n";
  html +=
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers runs\"><thead><tr>"
      "<th scope=\"col\">run, net</th>";
  for (std::size_t j = 2; j < columns.size(); ++j)
    html += fmt::format("<th scope=\"col\"{}>{}</th>",
                        columns[j].number ? "" : " class=\"words\"",
                        escape_html(columns[j].title));
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    html += fmt::format("<tr><th scope=\"row\">{} {}<small>{}</small></th>",
                        i + 1,
                        wrapping(columns[0].cells[i].text),
                        wrapping(columns[1].cells[i].text));
    for (std::size_t j = 2; j < columns.size(); ++j)
      html += cell_html(columns[j].cells[i], columns[j].number);
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n<p class=\"soft\">";
  for (const std::string& sentence : run_table_legend(runs)) html += escape_html(sentence) + "\n";
  return html + "</p></section>\n";
}

std::string subtitle(Runs runs) {
  const auto finished =
      std::count_if(runs.begin(), runs.end(), [](const SavedRun& run) { return run.finished; });
  std::string text = fmt::format("{} runs", runs.size());
  if (finished < std::ssize(runs)) text += fmt::format(", {} of them finished", finished);
  return text;
}

}  // namespace

std::string comparison_html(Runs runs) {
  return page_html({.title = "Runs compared",
                    .subtitle = subtitle(runs),
                    .wide = true,
                    .sections = {{"runs", table_section(runs)}, {"curves", curves_section(runs)}}});
}

}  // namespace lamina
