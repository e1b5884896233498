#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static int rows;

static void *ingest(void *bad) {
    pthread_mutex_lock(&table);
    rows++;
    if (bad) return NULL; /* error path forgets to unlock */
    pthread_mutex_unlock(&table);
    return NULL;
}

__attribute__((noinline)) void report_rows(void) {
    struct timeval t;
    gettimeofday(&t, 0);
    printf("hung_at %ld.%06ld\n", (long)t.tv_sec, (long)t.tv_usec);
    fflush(stdout);
    pthread_mutex_lock(&table);
    printf("%d rows\n", rows);
}

int main(void) {
    pthread_t t;
    for (int i = 0; i < 3; i++) {
        pthread_create(&t, NULL, ingest, i == 2 ? &rows : NULL);
        pthread_join(t, NULL);
    }
    report_rows();
    return 0;
}
