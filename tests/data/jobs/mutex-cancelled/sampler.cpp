// A sampler whose writer threads are ended when the epoch is over.
#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

struct Reservoir {
    pthread_mutex_t guard;
    std::vector<int> rows;
};

static Reservoir reservoir = {PTHREAD_MUTEX_INITIALIZER, {}};

static void *fill(void *) {
    for (int row = 0;; row++) {
        pthread_mutex_lock(&reservoir.guard);
        reservoir.rows.push_back(row);
        usleep(200000);
        pthread_mutex_unlock(&reservoir.guard);
    }
}

static size_t drain(Reservoir &from) {
    pthread_mutex_lock(&from.guard);
    size_t count = from.rows.size();
    pthread_mutex_unlock(&from.guard);
    return count;
}

int main() {
    pthread_t writer;
    pthread_create(&writer, nullptr, fill, nullptr);
    usleep(500000);
    pthread_cancel(writer);
    pthread_join(writer, nullptr);
    timeval now;
    gettimeofday(&now, nullptr);
    std::printf("hung_at %ld.%06ld\n", now.tv_sec, now.tv_usec);
    std::fflush(stdout);
    return static_cast<int>(drain(reservoir));
}
