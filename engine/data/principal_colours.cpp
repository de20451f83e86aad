// SPDX-License-Identifier: Apache-2.0
#include "engine/data/principal_colours.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "engine/core/error.h"

namespace lamina {
namespace {

// One rotation of Jacobi's method in the plane of axes p and q, which makes m[p][q] zero; the rows
// of `vectors` turn with it. Golub and Van Loan, "Matrix Computations", section 8.5.
void rotate(Matrix3& m, Matrix3& vectors, std::size_t p, std::size_t q) {
  if (m[p][q] == 0) return;
  const double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
  const double tangent = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
  const double cosine = 1 / std::hypot(tangent, 1.0), sine = tangent * cosine;
  const auto turn = [&](double& a, double& b) {
    const double before = a;
    a = cosine * before - sine * b;
    b = sine * before + cosine * b;
  };
  for (std::size_t k = 0; k < 3; ++k) turn(m[k][p], m[k][q]);
  for (std::size_t k = 0; k < 3; ++k) turn(m[p][k], m[q][k]);
  for (std::size_t k = 0; k < 3; ++k) turn(vectors[p][k], vectors[q][k]);
}

}  // namespace

Matrix3 colour_covariance(const Dataset& data) {
  LAMINA_CHECK(data.c == 3,
               "the colours of data set {} have no principal components: its images have {} "
               "channels, not 3.",
               data.name,
               data.c);
  LAMINA_CHECK(data.count > 0, "data set {} has no images.", data.name);
  // Whole numbers, so that the order of the pixels does not matter.
  std::array<std::uint64_t, 3> sums{};
  std::array<std::array<std::uint64_t, 3>, 3> products{};
  std::vector<std::uint8_t> image(static_cast<std::size_t>(data.image_bytes()));
  for (std::int64_t n = 0; n < data.count; ++n) {
    data.read_image(n, image);
    for (std::size_t i = 0; i < image.size(); i += 3)
      for (std::size_t a = 0; a < 3; ++a) {
        const std::uint64_t value = image[i + a];
        sums[a] += value;
        for (std::size_t b = a; b < 3; ++b) products[a][b] += value * image[i + b];
      }
  }
  const auto count = static_cast<double>(data.count * data.h * data.w);
  Matrix3 covariance{};
  for (std::size_t a = 0; a < 3; ++a)
    for (std::size_t b = a; b < 3; ++b) {
      const double of_means = static_cast<double>(sums[a]) / count * static_cast<double>(sums[b]);
      const double value = (static_cast<double>(products[a][b]) - of_means) / count;
      covariance[a][b] = covariance[b][a] = value / (255.0 * 255.0);
    }
  return covariance;
}

PrincipalColours principal_colours(const Matrix3& covariance) {
  constexpr int kSweeps = 12;  // each squares what is left beside the diagonal
  Matrix3 m = covariance, vectors{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  for (int sweep = 0; sweep < kSweeps; ++sweep)
    for (const auto& [p, q] : {std::pair{0, 1}, {0, 2}, {1, 2}})
      rotate(m, vectors, static_cast<std::size_t>(p), static_cast<std::size_t>(q));
  std::array<std::size_t, 3> order{0, 1, 2};
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return m[a][a] > m[b][b]; });
  PrincipalColours result{};
  for (std::size_t j = 0; j < 3; ++j) {
    std::array<double, 3> vector = vectors[order[j]];
    const auto largest = std::max_element(
        vector.begin(), vector.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (*largest < 0)
      for (double& entry : vector) entry = -entry;
    result.values[j] = m[order[j]][order[j]];
    result.vectors[j] = vector;
  }
  return result;
}

}  // namespace lamina
