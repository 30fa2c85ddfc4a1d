// A GPU backend's library on a machine without its driver: it loads, and says why it has no device.
#include <stdio.h>
#include <string.h>

#include "talaria.h"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  talaria_status status = {0};
  uint64_t backend = talaria_backend_open(arguments[1], &status);
  if (backend == 0) {
    printf("the library does not load: %s\n", status.text);
    return 1;
  }
  int32_t devices = talaria_device_count(backend, &status);
  if (devices > 0) {
    printf("not tested: there are %d devices here\n", devices);
    return 77;
  }
  printf("code %d: %s\n", status.code, status.text);
  // A sentence of several words, and the same at every question.
  talaria_status again = {0};
  talaria_device_count(backend, &again);
  talaria_device_info info;
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  if (status.code != TALARIA_UNSUPPORTED || strchr(status.text, ' ') == NULL || strcmp(status.text, again.text) != 0) return 1;
  if (talaria_device_get_info(backend, 0, (uint8_t*)&info, sizeof info, &again) == TALARIA_OK) return 1;
  return strcmp(status.text, again.text) == 0 ? 0 : 1;
}
