// The report of a run: one HTML file that needs nothing else, to open, mail or print.
//
// Inline style, inline SVG and PNG, no script, no request. Light and dark, phone and desk; every
// colour has a second sign (dash, marker, weight or number).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/train/feature_maps.h"
#include "engine/train/run_log.h"

namespace lamina {

// A test image that was taken for something else.
struct Mistake {
  std::int64_t index = 0;  // in the test set
  int label = 0, predicted = 0;
  double confidence = 0;  // probability of the predicted class, from 0 to 1
  std::int64_t h = 0, w = 0, c = 0;
  std::vector<std::uint8_t> pixels;  // [h,w,c]; c is 1 (grey) or 3 (red, green, blue)
};

// What the first convolutions make of a test image.
struct FeatureView {
  std::int64_t index = 0;  // in the test set
  int label = 0;
  std::int64_t h = 0, w = 0, c = 0;
  std::vector<std::uint8_t> pixels;  // [h,w,c], as a mistake's
  std::vector<FeatureMaps> layers;
};

// Sections whose data is empty are left out.
struct RunReport {
  std::string title, net, data, device, started;
  std::vector<std::pair<std::string, std::string>> config, environment, memory;  // name, value
  std::vector<EpochRow> epochs;
  std::vector<std::pair<std::int64_t, double>> step_losses;  // step, loss
  double test_loss = 0, test_acc = 0, test_acc5 = 0;         // accuracies from 0 to 1
  std::int64_t test_count = 0;
  std::vector<std::string> class_names;  // a net may have more outputs than the data have classes
  std::vector<std::int64_t> confusion;   // [label, prediction] counts, classes x classes
  std::vector<Mistake> mistakes;         // in the order to show them
  FeatureView features;
  std::string summary_text;                    // the layer table, preformatted
  std::int64_t parameters = 0, mult_adds = 0;  // of one image, in evaluation
};

// Equal reports give equal bytes.
std::string report_html(const RunReport& report);

}  // namespace lamina
