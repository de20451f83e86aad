// How a digit is drawn: one of its few shapes (pen strokes of quadratic Bezier curves), every point
// of it moved a little, the whole sheared, scaled and shifted, drawn with a pen of random width and
// ink, crossed by a faint stroke now and then, and covered with noise.
//
// Only +, -, *, / and sqrt, which IEEE 754 rounds alike everywhere, and no contraction to fused
// multiply-add (see CMakeLists.txt): so the same bytes come out on every machine.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/synthetic_digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "engine/core/error.h"
#include "engine/data/digit_glyphs.h"
#include "engine/data/philox_sequence.h"
#include "engine/data/registry.h"
#include "engine/data/split.h"

namespace lamina {
namespace {

constexpr int kSide = 28;
// The draws of one data set: which digit (per ten samples), how it is drawn, the noise (per
// sample); the test part has its own three.
constexpr std::uint32_t kDeckStream = stream::kSynthetic;
constexpr std::uint32_t kPenStream = stream::kSynthetic + 1;
constexpr std::uint32_t kNoiseStream = stream::kSynthetic + 2;
constexpr std::uint32_t kTestStreams = 3;

// How much ink a pixel took, 0 to 1.
using Canvas = std::array<float, kSide * kSide>;

struct Pen {
  float radius;  // of the full ink, in pixels
  float ink;
};

constexpr float kSoftEdge = 0.9f;  // the ink fades out over this many pixels

// A straight line: the pixels around it take the ink that their distance allows.
void draw_line(Point a, Point b, Pen pen, Canvas& canvas) {
  const float reach = pen.radius + kSoftEdge;
  const auto first = [&](float v) { return std::max(0, static_cast<int>(std::floor(v - reach))); };
  const auto last = [&](float v) {
    return std::min(kSide - 1, static_cast<int>(std::ceil(v + reach)));
  };
  const float dx = b.x - a.x, dy = b.y - a.y;
  const float length2 = std::max(dx * dx + dy * dy, 1e-12f);
  for (int y = first(std::min(a.y, b.y)); y <= last(std::max(a.y, b.y)); ++y) {
    for (int x = first(std::min(a.x, b.x)); x <= last(std::max(a.x, b.x)); ++x) {
      const float px = static_cast<float>(x) - a.x, py = static_cast<float>(y) - a.y;
      const float t = std::clamp((px * dx + py * dy) / length2, 0.0f, 1.0f);
      const float ex = px - t * dx, ey = py - t * dy;
      const float distance = std::sqrt(ex * ex + ey * ey);
      const float cover = std::clamp((reach - distance) / kSoftEdge, 0.0f, 1.0f) * pen.ink;
      float& pixel = canvas[static_cast<std::size_t>(y * kSide + x)];
      pixel = std::max(pixel, cover);
    }
  }
}

void draw_stroke(std::span<const Point> stroke, Pen pen, Canvas& canvas) {
  constexpr int kPieces = 6;
  for (std::size_t i = 0; i + 2 < stroke.size(); i += 2) {
    const Point p0 = stroke[i], p1 = stroke[i + 1], p2 = stroke[i + 2];
    Point from = p0;
    for (int piece = 1; piece <= kPieces; ++piece) {
      const float t = static_cast<float>(piece) / kPieces, u = 1.0f - t;
      const Point to = {u * u * p0.x + 2 * u * t * p1.x + t * t * p2.x,
                        u * u * p0.y + 2 * u * t * p1.y + t * t * p2.y};
      draw_line(from, to, pen, canvas);
      from = to;
    }
  }
}

// The box of a glyph onto the image: scaled, sheared and turned (both in one matrix), shifted.
struct Hand {
  float xx, xy, yx, yy, dx, dy;

  static Hand random(PhiloxSequence& random) {
    const float height = random.uniform(15.0f, 21.0f);
    const float width = height * random.uniform(0.5f, 0.85f);
    const float turn = random.uniform(-0.22f, 0.22f), slant = random.uniform(-0.25f, 0.25f);
    constexpr float kMiddle = (kSide - 1) / 2.0f;
    return {width,
            -height * (turn + slant),
            width * turn,
            height,
            kMiddle + random.uniform(-2.5f, 2.5f),
            kMiddle + random.uniform(-2.5f, 2.5f)};
  }

  Point operator()(Point p) const {
    const float x = p.x - 0.5f, y = p.y - 0.5f;
    return {xx * x + xy * y + dx, yx * x + yy * y + dy};
  }
};

void draw_digit(const Glyph& glyph, PhiloxSequence& random, Canvas& canvas) {
  const Hand hand = Hand::random(random);
  const Pen pen = {random.uniform(0.35f, 1.5f), random.uniform(0.55f, 1.0f)};
  constexpr float kTremble = 0.055f;
  for (const Stroke& stroke : glyph) {
    Stroke drawn;
    for (Point p : stroke)
      drawn.push_back(hand(
          {p.x + random.uniform(-kTremble, kTremble), p.y + random.uniform(-kTremble, kTremble)}));
    draw_stroke(drawn, pen, canvas);
  }
  constexpr float kBlotted = 0.35f;
  if (random.uniform(0.0f, 1.0f) >= kBlotted) return;
  const Point from = {random.uniform(0.0f, kSide), random.uniform(0.0f, kSide)};
  const Point to = {from.x + random.uniform(-9.0f, 9.0f), from.y + random.uniform(-9.0f, 9.0f)};
  draw_line(from, to, {random.uniform(0.2f, 0.7f), random.uniform(0.2f, 0.55f)}, canvas);
}

// Four bytes of a draw, summed, are bell-shaped enough: mean 510, standard deviation 148.
int bell(std::uint32_t bits) {
  return static_cast<int>((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24)) -
         510;
}

void develop(const Canvas& canvas, PhiloxSequence noise, std::span<std::uint8_t> image) {
  const float grain = noise.uniform(2.0f, 22.0f) / 148.0f;
  for (std::size_t i = 0; i < image.size(); ++i) {
    const float value = 255.0f * canvas[i] + grain * static_cast<float>(bell(noise.next()));
    image[i] = static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
  }
}

}  // namespace

Dataset make_synthetic_digits(Part part, std::uint64_t seed, std::int64_t limit) {
  const DatasetInfo info = *find_dataset("synthetic-digits");
  const std::int64_t most = part == Part::train ? info.train_count : info.test_count;
  Dataset data;
  data.name = info.name;
  data.origin = fmt::format("generated, seed {}", seed);
  data.count = limit > 0 ? std::min(limit, most) : most;
  data.h = data.w = kSide;
  data.c = 1;
  data.classes = kDigits;
  data.class_names = info.class_names;
  data.mean = info.mean;
  data.stddev = info.stddev;
  data.images.resize(static_cast<std::size_t>(data.count * kSide * kSide));

  const std::uint32_t streams = part == Part::train ? 0 : kTestStreams;
  const std::array<std::vector<Glyph>, kDigits> glyphs = digit_glyphs();
  std::array<std::int32_t, kDigits> deck{};
  std::iota(deck.begin(), deck.end(), 0);
  std::vector<std::int32_t> dealt;
  for (std::int64_t i = 0; i < data.count; ++i) {
    const auto sample = static_cast<std::uint32_t>(i);
    if (i % kDigits == 0)
      dealt = shuffled_order(seed, kDeckStream + streams, sample / kDigits, deck);
    const std::int32_t digit = dealt[static_cast<std::size_t>(i % kDigits)];
    data.labels.push_back(digit);

    PhiloxSequence random(seed, kPenStream + streams, sample);
    const std::vector<Glyph>& shapes = glyphs[static_cast<std::size_t>(digit)];
    Canvas canvas{};
    draw_digit(shapes[random.below(static_cast<std::uint32_t>(shapes.size()))], random, canvas);
    develop(
        canvas,
        PhiloxSequence(seed, kNoiseStream + streams, sample),
        std::span(data.images).subspan(static_cast<std::size_t>(i * kSide * kSide), kSide * kSide));
  }
  return data;
}

}  // namespace lamina
