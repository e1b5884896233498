// Two stages of a relay with nothing to do until a signal brings work; the main thread prints.
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <queue>
#include <thread>

struct Stage {
  std::mutex mu;
  std::condition_variable come;
  std::queue<int> items;
  void put(int item) { std::lock_guard<std::mutex> lk(mu); items.push(item); come.notify_one(); }
  int take() { std::unique_lock<std::mutex> lk(mu); come.wait(lk, [this] { return !items.empty(); }); int i = items.front(); items.pop(); return i; }
};

static Stage* parse = new Stage;
static Stage* store = new Stage;
static volatile std::sig_atomic_t asked = 0;

static void parsing() { for (;;) store->put(parse->take() + 1); }
static void storing() { for (;;) std::printf("stored %d\n", store->take()); }

int main() {
  std::signal(SIGUSR1, [](int) { asked = 1; });
  std::thread a(parsing), b(parsing), c(storing);
  for (int n = 0;; ++n) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    if (asked) { asked = 0; parse->put(n); }
    std::printf("looks_stuck: alive for %d s\n", n);
    std::fflush(stdout);
  }
}
