#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#define SLOTS 4
static int slots[SLOTS], used, closed;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;

__attribute__((noinline)) void ring_put(int v) {
    pthread_mutex_lock(&m);
    while (used == SLOTS) pthread_cond_wait(&not_full, &m);
    slots[used++] = v;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&m);
}

__attribute__((noinline)) int ring_get(void) {
    pthread_mutex_lock(&m);
    while (used == 0 && !closed) pthread_cond_wait(&not_empty, &m);
    int v = used ? slots[--used] : -1;
    pthread_mutex_unlock(&m); /* and nobody is told that there is room again */
    return v;
}

static void *producer(void *unused) {
    for (int i = 0; i < 1000; i++) ring_put(i);
    return unused;
}

int main(void) {
    struct timeval t;
    pthread_t p;
    pthread_create(&p, 0, producer, 0);
    usleep(300000);
    for (int i = 0; i < SLOTS; i++) ring_get();
    gettimeofday(&t, 0);
    printf("hung_at %ld.%06ld\n", (long)t.tv_sec, (long)t.tv_usec);
    fflush(stdout);
    while (ring_get() >= 0) {}
    return 0;
}
