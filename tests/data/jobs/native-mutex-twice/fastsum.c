#include <pthread.h>
#include <unistd.h>
static pthread_mutex_t pool_mutex = PTHREAD_MUTEX_INITIALIZER;
static int used;
static void pool_grow(int n) { pthread_mutex_lock(&pool_mutex); used += n; pthread_mutex_unlock(&pool_mutex); }
double fast_sum(const double *p, int n)
{
    double s = 0;
    pthread_mutex_lock(&pool_mutex);
    if (n > 5000)
        pool_grow(n);
    for (int i = 0; i < n; i++) s += p[i];
    pthread_mutex_unlock(&pool_mutex);
    return s;
}
