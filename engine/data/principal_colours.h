// The directions in which the colours of a data set vary, for shifts along them: Krizhevsky et al.,
// "ImageNet classification with deep convolutional neural networks", 2012, section 4.1.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "engine/data/dataset.h"

namespace lamina {

using Matrix3 = std::array<std::array<double, 3>, 3>;

struct PrincipalColours {
  std::array<double, 3> values;  // of the covariance, the largest first
  Matrix3 vectors;               // vectors[j] belongs to values[j]; of length 1
};

// Of all pixels of all images, scaled to [0, 1]. The images have three channels.
Matrix3 colour_covariance(const Dataset& data);

// Eigenvalues and eigenvectors of a symmetric matrix. The largest entry of each vector is positive.
PrincipalColours principal_colours(const Matrix3& covariance);

}  // namespace lamina
