#include <sched.h>
static volatile int stop;
void request_stop(void) { stop = 1; }
static unsigned simulate(unsigned s) { for (int i = 0; i < 1000; i++) s = s * 1664525u + 1013904223u; return s; }
unsigned run_until_stopped(void) {
    unsigned s = 1;
    while (!stop) { s = simulate(s); sched_yield(); }
    return s;
}
