#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* A global cache of merges, filled by a background thread. */
static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char cache[65536];
static void refill_locked(void) {
    for (int i = 0; i < 40; i++) { memset(cache, i, sizeof cache); usleep(10000); }
}
static void *refresher(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&cache_mutex);
        refill_locked();
        pthread_mutex_unlock(&cache_mutex);
        usleep(1000);
    }
    return NULL;
}
void tok_start(void) { pthread_t t; pthread_create(&t, NULL, refresher, NULL); }
static int cache_lookup(const char *s) {
    pthread_mutex_lock(&cache_mutex);
    int v = cache[(unsigned char)s[0]] + (int)strlen(s);
    pthread_mutex_unlock(&cache_mutex);
    return v;
}
int tok_encode(const char *s) { return cache_lookup(s); }
