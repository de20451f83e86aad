// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "engine/core/error.h"
#include "engine/train/html_text.h"
#include "engine/train/png_image.h"
#include "engine/train/report_sections.h"

namespace lamina {
namespace {

// A larger matrix cannot be read; its most frequent confusions can.
constexpr std::size_t kMostMatrixClasses = 40;
constexpr std::size_t kMostConfusions = 30;
constexpr std::int64_t kTinyImage = 96;

// The matrix with its names.
class Confusion {
 public:
  explicit Confusion(const RunReport& report) : report_(report) {
    while ((classes_ + 1) * (classes_ + 1) <= report.confusion.size()) ++classes_;
    LAMINA_CHECK(
        classes_ * classes_ == report.confusion.size() && report.class_names.size() <= classes_,
        "the confusion matrix of the report has {} counts for {} class names; it needs one "
        "for each label and prediction.",
        report.confusion.size(),
        report.class_names.size());
  }

  std::size_t classes() const { return classes_; }
  std::int64_t at(std::size_t label, std::size_t prediction) const {
    return report_.confusion[label * classes_ + prediction];
  }
  std::string name(std::size_t i) const {
    return class_name(report_, static_cast<std::int64_t>(i));
  }
  std::int64_t support(std::size_t label) const {
    std::int64_t sum = 0;
    for (std::size_t j = 0; j < classes_; ++j) sum += at(label, j);
    return sum;
  }
  std::int64_t predicted(std::size_t prediction) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < classes_; ++i) sum += at(i, prediction);
    return sum;
  }

 private:
  const RunReport& report_;
  std::size_t classes_ = 0;
};

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? double(part) / double(whole) : std::nan("");
}

std::string bar_cell(double value) {
  return fmt::format("<td class=\"bar\" style=\"--share:{:.4f}\">{}</td>",
                     std::isfinite(value) ? value : 0.0,
                     percent(value));
}

std::string class_table(const Confusion& confusion) {
  std::string html =
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr>"
      "<th scope=\"col\">class</th><th scope=\"col\">precision</th><th scope=\"col\">recall</th>"
      "<th scope=\"col\">support</th></tr></thead><tbody>\n";
  for (std::size_t i = 0; i < confusion.classes(); ++i) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>{}{}<td>{}</td></tr>\n",
                        confusion.name(i),
                        bar_cell(share(confusion.at(i, i), confusion.predicted(i))),
                        bar_cell(share(confusion.at(i, i), confusion.support(i))),
                        grouped(confusion.support(i)));
  }
  return html + "</tbody></table></div>\n";
}

struct Pair {
  std::size_t label, prediction;
  std::int64_t count;
};

// Most frequent first.
std::vector<Pair> confusions(const Confusion& confusion) {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < confusion.classes(); ++i) {
    for (std::size_t j = 0; j < confusion.classes(); ++j) {
      if (i != j && confusion.at(i, j) > 0) pairs.push_back({i, j, confusion.at(i, j)});
    }
  }
  std::stable_sort(
      pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  return pairs;
}

// Hits are shaded by the share of their row, misses against the most frequent one: each scale alone
// would leave the other blank.
std::string matrix_table(const Confusion& confusion, std::int64_t most_missed) {
  bool tall = false;
  for (std::size_t i = 0; i < confusion.classes(); ++i) tall = tall || confusion.name(i).size() > 3;
  std::string html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"confusion\"><thead><tr{}><td></td>",
      tall ? " class=\"tall\"" : "");
  for (std::size_t i = 0; i < confusion.classes(); ++i)
    html += fmt::format("<th scope=\"col\"><span>{}</span></th>", confusion.name(i));
  html += "</tr></thead><tbody>\n";
  for (std::size_t i = 0; i < confusion.classes(); ++i) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", confusion.name(i));
    for (std::size_t j = 0; j < confusion.classes(); ++j) {
      const std::int64_t count = confusion.at(i, j);
      if (count == 0) {
        html += "<td class=\"none\">\xC2\xB7</td>";
        continue;
      }
      const double part =
          i == j ? share(count, confusion.support(i)) : std::sqrt(share(count, most_missed));
      html += fmt::format("<td class=\"{}\" style=\"--a:{:.2f}\">{}</td>",
                          i == j ? "hit" : "miss",
                          0.08 + 0.4 * part,
                          count);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string confusion_list(const Confusion& confusion, const std::vector<Pair>& pairs) {
  std::string html =
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr>"
      "<th scope=\"col\">true class</th><th scope=\"col\">predicted</th>"
      "<th scope=\"col\">count</th></tr></thead><tbody>\n";
  for (std::size_t i = 0; i < std::min(pairs.size(), kMostConfusions); ++i) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
                        confusion.name(pairs[i].label),
                        confusion.name(pairs[i].prediction),
                        grouped(pairs[i].count));
  }
  return html + "</tbody></table></div>\n";
}

std::string most_often(const Confusion& confusion, const std::vector<Pair>& pairs) {
  if (pairs.empty()) return "No test image was taken for another class.";
  std::string text = "Most often: ";
  for (std::size_t i = 0; i < std::min<std::size_t>(pairs.size(), 3); ++i) {
    text += fmt::format("{}{} taken for {} ({})",
                        i == 0 ? "" : ", ",
                        confusion.name(pairs[i].label),
                        confusion.name(pairs[i].prediction),
                        grouped(pairs[i].count));
  }
  return text + ".";
}

}  // namespace

std::string class_name(const RunReport& report, std::int64_t number) {
  const bool known = number >= 0 && std::size_t(number) < report.class_names.size();
  return known ? escape_html(report.class_names[std::size_t(number)]) : fmt::format("{}", number);
}

std::string classes_section(const RunReport& report) {
  const Confusion confusion(report);
  if (confusion.classes() == 0) return "";
  const std::vector<Pair> pairs = confusions(confusion);
  std::string html =
      "<section id=\"classes\"><h2>Classes</h2>\n<div class=\"split\"><figure>"
      "<h3>Precision and recall</h3>\n" +
      class_table(confusion) + "</figure>\n<figure>";
  if (confusion.classes() <= kMostMatrixClasses) {
    html += "<h3>Confusion matrix</h3>\n" +
            matrix_table(confusion, pairs.empty() ? 1 : pairs.front().count) +
            "<figcaption>Rows: the true class. Columns: the prediction. Bold: right. ";
  } else {
    html += "<h3>Confusions</h3>\n" + confusion_list(confusion, pairs) + "<figcaption>";
  }
  return html + most_often(confusion, pairs) + "</figcaption></figure></div></section>\n";
}

std::string mistakes_section(const RunReport& report) {
  if (report.mistakes.empty()) return "";
  std::string html =
      "<section id=\"mistakes\"><h2>Mistakes</h2>\n"
      "<p class=\"soft\">Test images taken for something else: the prediction, the true class, the "
      "probability of the prediction, the number of the image in the test set.</p>\n"
      "<div class=\"images\">\n";
  for (const Mistake& m : report.mistakes) {
    const std::string label = class_name(report, m.label);
    const std::string predicted = class_name(report, m.predicted);
    html += fmt::format(
        "<figure><img{} alt=\"test image {}, {} taken for {}\" src=\"{}\"/>"
        "<figcaption><b>{}</b><br/>true <b>{}</b><br/>{}, no.\xC2\xA0{}</figcaption></figure>\n",
        std::max(m.h, m.w) <= kTinyImage ? " class=\"tiny\"" : "",
        m.index,
        label,
        predicted,
        png_data_uri(m.h, m.w, m.c, m.pixels),
        predicted,
        label,
        percent(m.confidence, 1),
        grouped(m.index));
  }
  return html + "</div></section>\n";
}

}  // namespace lamina
