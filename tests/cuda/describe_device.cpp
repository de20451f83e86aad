// Not yet run on a GPU.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/describe_device.h"

#include <cudnn.h>

#include "engine/core/handle.h"
#include "kernels/cuda/cudnn.h"

namespace lamina::test {
namespace {

using Descriptor = Handle<cudnnBackendDescriptor_t, &cudnnBackendDestroyDescriptor>;

}  // namespace

std::string describe_device() {
  cudnnBackendDescriptor_t made = nullptr;
  LAMINA_CUDNN_CHECK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &made));
  const Descriptor device(made);
  const std::int32_t number = 0;
  LAMINA_CUDNN_CHECK(cudnnBackendSetAttribute(
      made, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &number));
  LAMINA_CUDNN_CHECK(cudnnBackendFinalize(made));
  std::int64_t length = 0;
  LAMINA_CUDNN_CHECK(cudnnBackendGetAttribute(
      made, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &length, nullptr));
  std::string json(static_cast<std::size_t>(length), '\0');
  LAMINA_CUDNN_CHECK(cudnnBackendGetAttribute(made,
                                              CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                              CUDNN_TYPE_CHAR,
                                              length,
                                              &length,
                                              json.data()));
  json.resize(json.find_last_not_of('\0') + 1);
  return json;
}

}  // namespace lamina::test
