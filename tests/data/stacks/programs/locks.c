/* Threads of a plain program that wait for a mutex, a condition, another thread, a pipe, a time, OpenMP's others. */
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER, guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int ends[2];

static void *waits_for_mutex(void *x) { pthread_mutex_lock(&taken); return x; }
static void *waits_for_condition(void *x) {
  pthread_mutex_lock(&guard);
  pthread_cond_wait(&never, &guard);
  return x;
}
static void *reads_a_pipe(void *x) { char c; if (read(ends[0], &c, 1)) {} return x; }
static void *sleeps(void *x) { sleep(3600); return x; }
static void *in_a_region(void *x) {
#pragma omp parallel num_threads(2)
  if (omp_get_thread_num() == 0) pthread_mutex_lock(&taken);
  return x;
}

int main(void) {
  void *(*ways[])(void *) = {waits_for_mutex, waits_for_condition, reads_a_pipe, sleeps, in_a_region};
  pthread_t threads[5];
  pthread_mutex_lock(&taken);
  if (pipe(ends)) return 1;
  for (int i = 0; i < 5; i++) pthread_create(&threads[i], 0, ways[i], 0);
  usleep(500000);
  puts("ready");
  fflush(stdout);
  pthread_join(threads[0], 0);
}
