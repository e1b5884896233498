#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;

static void *warm_up(void *unused) {
    pthread_mutex_lock(&table);
    if (access("/nonexistent/table", R_OK)) pthread_exit(NULL); /* nothing to load: done */
    pthread_mutex_unlock(&table);
    return unused;
}

static int lookup(int key) {
    struct timeval now;
    gettimeofday(&now, NULL);
    printf("hung_at %ld.%06ld\n", now.tv_sec, now.tv_usec);
    fflush(stdout);
    pthread_mutex_lock(&table);
    pthread_mutex_unlock(&table);
    return key;
}

int main(void) {
    pthread_t helper;
    pthread_create(&helper, NULL, warm_up, NULL);
    pthread_join(helper, NULL);
    return lookup(7);
}
