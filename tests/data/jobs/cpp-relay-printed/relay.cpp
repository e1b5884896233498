// Frame scaler: decoders hand frames to scalers through a one-place relay.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>
#include <atomic>

struct Frame { int id; double px[64]; };

class Relay {
 public:
  void put(const Frame& f) {
    std::unique_lock<std::mutex> lk(mu_);
    while (full_) changed_.wait(lk);
    slot_ = f;
    full_ = true;
    changed_.notify_one();
  }
  Frame take() {
    std::unique_lock<std::mutex> lk(mu_);
    while (!full_) changed_.wait(lk);
    full_ = false;
    Frame f = slot_;
    changed_.notify_one();
    return f;
  }
 private:
  std::mutex mu_;
  std::condition_variable changed_;
  bool full_ = false;
  Frame slot_{};
};

static Relay relay;
static std::atomic<long> scaled{0};

static void decode(int id) {
  for (int n = 0;; ++n) {
    Frame f{id * 1000000 + n, {}};
    for (int i = 0; i < 64; ++i) f.px[i] = i * 0.5 + n;
    relay.put(f);
  }
}

static void scale() {
  double sink = 0;
  for (;;) {
    Frame f = relay.take();
    for (double p : f.px) sink += p * 0.25;
    ++scaled;
  }
}

int main() {
  std::vector<std::thread> pool;
  for (int i = 0; i < 5; ++i) pool.emplace_back(decode, i);
  for (int i = 0; i < 5; ++i) pool.emplace_back(scale);
  std::printf("hung_at %.3f\n", std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  std::fflush(stdout);
  for (int t = 1;; ++t) {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    std::printf("%d s: %ld frames\n", 2 * t, scaled.load());
    std::fflush(stdout);
  }
}
