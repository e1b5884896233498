#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static pthread_mutex_t index_lock = PTHREAD_MUTEX_INITIALIZER, data_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

__attribute__((noinline)) void compact_index(void) {
    pthread_mutex_lock(&index_lock);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&data_lock);
    puts("compacted");
}

__attribute__((noinline)) void append_row(void) {
    pthread_mutex_lock(&data_lock);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&index_lock);
    puts("appended");
}

static void *compactor(void *unused) { compact_index(); return unused; }
static void *writer(void *unused) { append_row(); return unused; }

int main(void) {
    struct timeval t;
    pthread_t a, b;
    pthread_barrier_init(&both, 0, 2);
    gettimeofday(&t, 0);
    printf("hung_at %ld.%06ld\n", (long)t.tv_sec, (long)t.tv_usec);
    fflush(stdout);
    pthread_create(&a, 0, compactor, 0);
    pthread_create(&b, 0, writer, 0);
    pthread_join(a, 0);
    pthread_join(b, 0);
    return 0;
}
