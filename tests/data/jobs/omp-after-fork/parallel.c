#include <omp.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static double now(void) { struct timeval t; gettimeofday(&t, 0); return t.tv_sec + t.tv_usec / 1e6; }

__attribute__((noinline)) double score(int n) {
    double sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < n; i++) sum += i * 0.5;
    return sum;
}

__attribute__((noinline)) void score_in_child(int n) {
    double s = score(n);
    printf("child %f\n", s);
}

int main(void) {
    omp_set_num_threads(4);
    printf("parent %f\n", score(100000));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        printf("child is %d hung_at %f\n", getpid(), now());
        fflush(stdout);
        score_in_child(100000);
        _exit(0);
    }
    waitpid(pid, 0, 0);
    return 0;
}
