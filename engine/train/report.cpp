// SPDX-License-Identifier: Apache-2.0
#include "engine/train/report.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/core.h>

#include "engine/train/html_text.h"
#include "engine/train/report_page.h"
#include "engine/train/report_sections.h"
#include "engine/train/wilson.h"

namespace lamina {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

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
    const auto [low, high] = wilson_interval(report.test_acc, report.test_count);
    return big_number(
        "Test accuracy",
        percent(report.test_acc),
        fmt::format("95\xC2\xA0% interval (Wilson) {} to {}", percent(low), percent(high)));
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

// The configuration, which is long, in two columns; the rest in the third.
std::string settings_section(const RunReport& report) {
  std::string html;
  if (!report.config.empty()) {
    const auto middle = report.config.begin() + std::ssize(report.config) / 2 + 1;
    const auto end = report.config.end();
    html += fmt::format(
        "<div class=\"two\"><h3>Configuration</h3>\n<div class=\"halves\">{}{}</div></div>\n",
        facts_table({report.config.begin(), std::min(middle, end)}),
        facts_table({std::min(middle, end), end}));
  }
  std::string others;
  const auto add = [&](std::string_view title, const Facts& facts) {
    if (!facts.empty()) others += fmt::format("<h3>{}</h3>\n{}", title, facts_table(facts));
  };
  add("Memory plan", report.memory);
  add("Environment", report.environment);
  if (!others.empty()) html += "<div>" + others + "</div>\n";
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
  return page_html(
      {.title = report.title.empty() ? report.net + " on " + report.data : report.title,
       .subtitle = subtitle(report),
       .lead = headline_section(report),
       .sections = {{"curves", curves_section(report)},
                    {"epochs", epochs_section(report)},
                    {"classes", classes_section(report)},
                    {"mistakes", mistakes_section(report)},
                    {"features", features_section(report)},
                    {"layers", layers_section(report)},
                    {"settings", settings_section(report)}}});
}

}  // namespace lamina
