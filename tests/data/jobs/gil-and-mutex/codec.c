#include <pthread.h>
#include <unistd.h>

typedef void (*progress_fn)(int);
static pthread_mutex_t state = PTHREAD_MUTEX_INITIALIZER;

/* Called without the interpreter's lock; reports its progress to Python. */
void encode_frames(int frames, progress_fn progress) {
    pthread_mutex_lock(&state);
    for (int i = 0; i < frames; i++) {
        usleep(200000);
        progress(i);
    }
    pthread_mutex_unlock(&state);
}

/* Quick, so it keeps the interpreter's lock. */
int frames_done(void) {
    pthread_mutex_lock(&state);
    pthread_mutex_unlock(&state);
    return 0;
}
