#include <stdio.h>
/* A decoder that complains about every frame. */
static void warn(int n) { fprintf(stderr, "[h264 @ 0x55d0] frame %d: non-existing PPS 0 referenced, concealing errors\n", n); }
static void emit(int n) { printf("frame %d\n", n); fflush(stdout); }
int main(void) {
    for (int n = 0; n < 4000; n++) { warn(n); if (n % 50 == 0) emit(n); }
    return 0;
}
