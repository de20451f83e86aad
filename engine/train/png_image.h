// A small image as text for an <img> tag: PNG, base64, data URI.
// PNG: https://www.w3.org/TR/png-3/
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace lamina {

// `pixels` is [h,w,c] with c = 1 (grey) or 3 (red, green, blue); anything else is a request error.
std::string png_data_uri(std::int64_t h,
                         std::int64_t w,
                         std::int64_t c,
                         std::span<const std::uint8_t> pixels);

}  // namespace lamina
