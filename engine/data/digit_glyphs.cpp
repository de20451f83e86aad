// SPDX-License-Identifier: Apache-2.0
#include "engine/data/digit_glyphs.h"

#include <sstream>
#include <string>

namespace lamina {
namespace {

// Strokes, coordinates in hundredths: "c" a chain of curves (point, control, point, ...), "l"
// points joined by straight lines.
Glyph glyph(const std::string& text) {
  Glyph strokes;
  std::istringstream words(text);
  std::string word;
  bool curved = true;
  while (words >> word) {
    if (word == "c" || word == "l") {
      strokes.emplace_back();
      curved = word == "c";
      continue;
    }
    const float x = std::stof(word) / 100.0f;
    words >> word;
    const Point point = {x, std::stof(word) / 100.0f};
    Stroke& stroke = strokes.back();
    // A control point halfway makes the curve a line.
    if (!curved && !stroke.empty())
      stroke.push_back({(stroke.back().x + point.x) / 2, (stroke.back().y + point.y) / 2});
    stroke.push_back(point);
  }
  return strokes;
}

}  // namespace

std::array<std::vector<Glyph>, kDigits> digit_glyphs() {
  const std::string bowl = " c 40 47  98 45  97 74  95 100  48 100  15 100  2 86";
  return {{
      // round; narrow
      {glyph("c 50 0  100 0  100 50  100 100  50 100  0 100  0 50  0 0  50 0"),
       glyph("c 60 0  95 10  80 55  70 100  40 100  5 95  20 45  30 0  65 2")},
      // a line; with a flag; with a flag and a foot
      {glyph("l 50 0  50 100"),
       glyph("l 25 25  55 0  55 100"),
       glyph("l 25 22  52 0  52 100  l 20 100  85 100")},
      // straight foot; wavy foot; looped foot
      {glyph("c 5 28  8 0  50 0  95 0  93 30  90 52  3 100  50 100  100 100"),
       glyph("c 5 20  20 0  50 0  90 0  88 30  85 60  5 95  35 75  60 93  80 108  100 85"),
       glyph("c 8 20  20 0  50 0  92 0  85 35  75 70  30 98  0 105  5 85  15 70  45 90  70 105  "
             "100 90")},
      // round; flat-topped
      {glyph("c 5 15  25 0  50 0  95 0  92 24  90 46  40 47" + bowl),
       glyph("l 5 0  93 0  40 47" + bowl)},
      // open; closed
      {glyph("l 18 0  5 58  100 58  l 75 10  72 100"),
       glyph("l 72 0  0 68  100 68  l 72 0  70 100")},
      // with corners; in one curve
      {glyph("l 95 0  17 0  10 45  c 10 45  35 36  55 37  100 40  97 70  94 100  45 100  15 100  "
             "2 87"),
       glyph("c 95 2  50 0  25 2  15 20  15 38  50 38  75 48  110 65  85 88  60 108  2 95")},
      // curved; straight-backed
      {glyph("c 80 2  10 15  5 65  5 100  50 100  97 100  97 72  95 45  50 45  12 45  6 70"),
       glyph("c 60 0  30 25  12 65  0 100  45 100  88 100  88 76  85 55  50 55  20 56  10 75")},
      // plain; barred; bent
      {glyph("l 5 0  95 0  35 100"),
       glyph("l 5 0  95 0  40 100  l 30 48  92 48"),
       glyph("c 5 15  7 0  15 0  50 6  95 0  50 40  45 100")},
      // two rings; one crossed stroke
      {glyph("c 50 47  8 46  10 22  12 0  50 0  88 0  90 22  92 46  50 47  "
             "c 50 47  98 48  98 74  97 100  50 100  3 100  2 74  2 48  50 47"),
       glyph("c 88 14  65 -8  30 3  -5 22  50 47  105 75  70 96  40 108  12 88  -10 66  50 47  98 "
             "30  "
             "88 14")},
      // straight; hooked
      {glyph("c 93 28  90 0  50 0  5 0  5 28  6 55  50 55  88 55  93 28  93 70  78 100"),
       glyph("c 90 26  85 0  50 0  8 0  8 28  10 53  50 53  85 53  90 26  100 100  50 100  20 100  "
             "12 85")},
  }};
}

}  // namespace lamina
