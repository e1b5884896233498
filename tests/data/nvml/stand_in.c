/* Answers as libnvidia-ml.so.1 does, by what a file says: for machines that have no card. One line a reading of the one
   card: use memory_use milliwatts clock used slowed uncorrected. Each sample takes the next line; the last one stays.
   A line "lost" makes it a card that has fallen off the bus (NVML_ERROR_GPU_IS_LOST). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned gpu, memory; } use_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { char legacy[16]; unsigned domain, bus, device, kind, subsystem; char id[32]; } pci_t;
static struct { int lost; unsigned use, memory_use, power, clock; unsigned long long used, slowed, uncorrected; } now;
static long place;
enum { LOST = 15, NOT_SUPPORTED = 3 };

static void next_reading(void) {
  char line[256];
  FILE *file = fopen(getenv("NVML_STAND_IN"), "r");
  if (!file) return;
  fseek(file, place, SEEK_SET);
  if (fgets(line, sizeof line, file)) {
    place = ftell(file);
    now.lost = !strncmp(line, "lost", 4);
    if (!now.lost)
      sscanf(line, "%u %u %u %u %llu %llu %llu", &now.use, &now.memory_use, &now.power, &now.clock, &now.used,
             &now.slowed, &now.uncorrected);
  }
  fclose(file);
}

int nvmlInit_v2(void) { return getenv("NVML_STAND_IN") ? 0 : 9; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **card) { *card = &now; return i ? 2 : 0; }
int nvmlDeviceGetMinorNumber(void *card, unsigned *n) { *n = 0; return 0; }
int nvmlDeviceGetName(void *card, char *to, unsigned n) { snprintf(to, n, "Stand-in H100"); return 0; }
int nvmlDeviceGetUUID(void *card, char *to, unsigned n) { snprintf(to, n, "GPU-0"); return 0; }
int nvmlDeviceGetEnforcedPowerLimit(void *card, unsigned *n) { *n = 700000; return 0; }
int nvmlDeviceGetMaxClockInfo(void *card, unsigned kind, unsigned *n) { *n = 1980; return 0; }
int nvmlDeviceGetMemoryInfo(void *card, memory_t *m) { m->total = 80ull << 30; m->used = now.used; return 0; }
int nvmlDeviceGetPciInfo_v3(void *card, pci_t *p) { p->domain = 0, p->bus = 0x3b, p->device = 0; return 0; }
int nvmlDeviceGetMigMode(void *card, unsigned *a, unsigned *b) { return NOT_SUPPORTED; }
int nvmlDeviceGetUtilizationRates(void *card, use_t *u) {
  next_reading();
  if (now.lost) return LOST;
  u->gpu = now.use, u->memory = now.memory_use;
  return 0;
}
int nvmlDeviceGetPowerUsage(void *card, unsigned *n) { *n = now.power; return 0; }
int nvmlDeviceGetClockInfo(void *card, unsigned kind, unsigned *n) { *n = now.clock; return 0; }
int nvmlDeviceGetTemperature(void *card, unsigned kind, unsigned *n) { *n = 40; return 0; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *card, unsigned long long *m) { *m = now.slowed; return 0; }
int nvmlDeviceGetTotalEccErrors(void *card, unsigned kind, unsigned since, unsigned long long *n) {
  *n = now.uncorrected;
  return 0;
}
