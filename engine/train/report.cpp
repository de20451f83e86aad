// SPDX-License-Identifier: Apache-2.0
#include "engine/train/report.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/core.h>

#include "engine/train/html_text.h"
#include "engine/train/report_sections.h"
#include "engine/train/report_style.h"

namespace lamina {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

// The Wilson score interval at 95 %: what the accuracy says about images it was not measured on.
// https://doi.org/10.1080/01621459.1927.10502953
std::pair<double, double> wilson_interval(double share, double count) {
  constexpr double kZ = 1.959964;
  const double z2 = kZ * kZ;
  const double centre = (share + z2 / (2 * count)) / (1 + z2 / count);
  const double half =
      kZ / (1 + z2 / count) * std::sqrt(share * (1 - share) / count + z2 / (4 * count * count));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::string big_number(std::string_view label, const std::string& number, const std::string& note) {
  return fmt::format(
      "<div><span class=\"label\">{}</span><span class=\"big\">{}</span>"
      "<span class=\"label\">{}</span></div>\n",
      label,
      number,
      note);
}

std::string headline_number(const RunReport& report) {
  if (report.test_count > 0) {
    const auto [low, high] = wilson_interval(report.test_acc, double(report.test_count));
    return big_number("Test accuracy",
                      percent(report.test_acc),
                      fmt::format("95\xC2\xA0% interval {} to {}", percent(low), percent(high)));
  }
  if (const EpochRow* best = best_epoch(report)) {
    return big_number("Validation accuracy",
                      percent(best->val_acc),
                      fmt::format("in epoch {}, not tested", best->epoch));
  }
  if (!report.epochs.empty()) {
    return big_number(
        "Training accuracy", percent(report.epochs.back().train_acc), "not validated, not tested");
  }
  return "";
}

Facts headline_facts(const RunReport& report) {
  Facts facts;
  if (report.test_count > 0) {
    const auto wrong = std::llround((1 - report.test_acc) * double(report.test_count));
    facts.emplace_back("Test loss", measured(report.test_loss));
    facts.emplace_back("Wrong",
                       fmt::format("{} of {}", grouped(wrong), grouped(report.test_count)));
  }
  if (report.epochs.empty()) return facts;
  const auto epochs = std::int64_t(report.epochs.size());
  double seconds = 0;
  for (const EpochRow& row : report.epochs) seconds += row.seconds;
  if (const EpochRow* best = best_epoch(report)) {
    facts.emplace_back("Best val loss", measured(best->val_loss));
    facts.emplace_back("Best epoch", fmt::format("{} of {}", best->epoch, grouped(epochs)));
  } else {
    facts.emplace_back("Epochs", grouped(epochs));
  }
  facts.emplace_back("Steps", grouped(report.epochs.back().step));
  facts.emplace_back("Time in epochs", duration_text(seconds));
  return facts;
}

std::string headline_section(const RunReport& report) {
  const std::string number = headline_number(report);
  if (number.empty()) return "";
  std::string html = "<section class=\"headline\">\n" + number + "<dl>\n";
  for (const auto& [name, value] : headline_facts(report))
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
  return html + "</dl></section>\n";
}

std::string layers_section(const RunReport& report) {
  if (report.summary_text.empty()) return "";
  return fmt::format(
      "<section id=\"layers\"><h2>Layers</h2>\n"
      "<div class=\"scroll\" tabindex=\"0\"><pre>{}</pre></div></section>\n",
      escape_html(report.summary_text));
}

std::string settings_section(const RunReport& report) {
  std::string html;
  const auto add = [&](std::string_view title, const Facts& facts) {
    if (!facts.empty())
      html += fmt::format("<div><h3>{}</h3>\n{}</div>\n", title, facts_table(facts));
  };
  add("Configuration", report.config);
  add("Memory plan", report.memory);
  add("Environment", report.environment);
  if (html.empty()) return "";
  return "<section id=\"settings\"><h2>Settings</h2>\n<div class=\"columns\">\n" + html +
         "</div></section>\n";
}

// "lenet_bn on mnist, cpu, started 2024-05-01 10:00"
std::string subtitle(const RunReport& report) {
  std::string text = escape_html(report.net);
  if (!report.data.empty()) text += (text.empty() ? "" : " on ") + escape_html(report.data);
  for (const std::string& part :
       {escape_html(report.device),
        report.started.empty() ? "" : "started " + escape_html(report.started)}) {
    if (!part.empty()) text += (text.empty() ? "" : " \xC2\xB7 ") + part;
  }
  return text;
}

}  // namespace

std::string report_html(const RunReport& report) {
  const std::pair<std::string_view, std::string> sections[] = {
      {"curves", curves_section(report)},
      {"epochs", epochs_section(report)},
      {"classes", classes_section(report)},
      {"mistakes", mistakes_section(report)},
      {"features", features_section(report)},
      {"layers", layers_section(report)},
      {"settings", settings_section(report)},
  };
  const std::string title =
      escape_html(report.title.empty() ? report.net + " on " + report.data : report.title);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n"
      "<p class=\"soft\">{}</p>\n<nav aria-label=\"Sections\">",
      title,
      kReportStyle,
      title,
      subtitle(report));
  for (const auto& [id, section] : sections) {
    if (!section.empty())
      html += fmt::format("<a href=\"#{}\">{}{}</a>", id, char(id[0] - 'a' + 'A'), id.substr(1));
  }
  html += "</nav>\n</header>\n<main>\n" + headline_section(report);
  for (const auto& [id, section] : sections) html += section;
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace lamina
