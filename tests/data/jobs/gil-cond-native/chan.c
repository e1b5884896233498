#include <pthread.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int n, buf[1024], out;
void chan_put(int v) {
    pthread_mutex_lock(&m);
    buf[n++ % 1024] = v;
    pthread_cond_signal(&c);
    pthread_mutex_unlock(&m);
}
int chan_take(void) {
    pthread_mutex_lock(&m);
    while (n == out) pthread_cond_wait(&c, &m);
    int v = buf[out++ % 1024];
    pthread_mutex_unlock(&m);
    return v;
}
