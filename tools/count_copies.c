// Counts what a CUDA program copies between host and device, from outside: the driver loads this
// library into any program that is started with
//   CUDA_INJECTION64_PATH=count_copies.so LAMINA_COPIES=FILE
// and FILE receives {"to_device": .., "to_device_bytes": .., "to_host": .., "to_host_bytes": ..} at
// the end, copies inside CUDA graphs included. Built by tools/gpu_validate.sh, where there is
// CUPTI.
// SPDX-License-Identifier: Apache-2.0
#include <cupti.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kBufferBytes = 1 << 20 };

// Buffers are handed back one at a time; the last while the program ends.
static uint64_t copies[2], bytes[2];  // to the device, to the host
static uint64_t lost;

static void CUPTIAPI give_buffer(uint8_t** buffer, size_t* size, size_t* max_records) {
  *buffer = aligned_alloc(8, kBufferBytes);
  *size = *buffer == NULL ? 0 : kBufferBytes;
  *max_records = 0;  // as many as fit
}

static void CUPTIAPI
take_buffer(CUcontext context, uint32_t stream, uint8_t* buffer, size_t size, size_t valid) {
  (void)size;
  CUpti_Activity* record = NULL;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind != CUPTI_ACTIVITY_KIND_MEMCPY) continue;
    // Every version of the record begins alike.
    const CUpti_ActivityMemcpy6* const copy = (const CUpti_ActivityMemcpy6*)record;
    const int to_host = copy->copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_DTOH;
    if (!to_host && copy->copyKind != CUPTI_ACTIVITY_MEMCPY_KIND_HTOD) continue;
    ++copies[to_host];
    bytes[to_host] += copy->bytes;
  }
  size_t dropped = 0;
  if (cuptiActivityGetNumDroppedRecords(context, stream, &dropped) == CUPTI_SUCCESS)
    lost += dropped;
  free(buffer);
}

static void report(void) {
  cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  const char* const path = getenv("LAMINA_COPIES");
  FILE* const file = path == NULL ? stderr : fopen(path, "w");
  if (file == NULL) return;
  fprintf(file,
          "{\"to_device\": %llu, \"to_device_bytes\": %llu, \"to_host\": %llu, "
          "\"to_host_bytes\": %llu, \"lost\": %llu}\n",
          (unsigned long long)copies[0],
          (unsigned long long)bytes[0],
          (unsigned long long)copies[1],
          (unsigned long long)bytes[1],
          (unsigned long long)lost);
  if (file != stderr) fclose(file);
}

// The driver calls it before it does anything; 1 means all is well.
__attribute__((visibility("default"))) int InitializeInjection(void) {
  if (cuptiActivityRegisterCallbacks(give_buffer, take_buffer) != CUPTI_SUCCESS ||
      cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMCPY) != CUPTI_SUCCESS) {
    fprintf(stderr, "count_copies: CUPTI does not work here; nothing is counted.\n");
    return 0;
  }
  return atexit(report) == 0;
}
