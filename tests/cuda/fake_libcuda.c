// A driver without a device: stands in for libcuda.so.1 where cuDNN is asked for plans on a machine
// that has no GPU. cuDNN offers the engines that it compiles at run time only where a driver can be
// loaded; planning then calls into it no further than to learn that there is nothing to run on.
// Lives in a folder of its own that only the test's LD_LIBRARY_PATH names.
// SPDX-License-Identifier: Apache-2.0

enum { NO_DEVICE = 100 };  // CUDA_ERROR_NO_DEVICE

#define FAKE(name) \
  int name(void) { return NO_DEVICE; }

FAKE(cuInit)
FAKE(cuDriverGetVersion)
FAKE(cuGetErrorName)
FAKE(cuGetErrorString)
FAKE(cuDeviceGet)
FAKE(cuDeviceGetCount)
FAKE(cuDeviceGetAttribute)
FAKE(cuCtxGetCurrent)
FAKE(cuCtxPushCurrent)
FAKE(cuCtxPopCurrent)
FAKE(cuCtxGetLimit)
FAKE(cuStreamGetCtx)
FAKE(cuLibraryLoadData)
FAKE(cuLibraryLoadFromFile)
FAKE(cuLibraryUnload)
FAKE(cuLibraryGetKernel)
FAKE(cuKernelGetAttribute)
FAKE(cuKernelSetAttribute)
FAKE(cuLinkCreate)
FAKE(cuLinkAddData)
FAKE(cuLinkComplete)
FAKE(cuLinkDestroy)
FAKE(cuLaunchKernel)
FAKE(cuLaunchKernelEx)
FAKE(cuLaunchCooperativeKernel)
FAKE(cuOccupancyMaxPotentialClusterSize)
