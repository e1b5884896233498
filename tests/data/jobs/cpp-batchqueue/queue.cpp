// Training loop in C++: three decoders fill a queue, the main thread takes batches from it.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

class BatchQueue {
  public:
    void push(int v) {
        bool was_empty;
        {
            std::lock_guard<std::mutex> g(mutex_);
            was_empty = items_.empty();
            items_.push_back(v);
        }
        if (was_empty) not_empty_.notify_one();  // others need not be woken
    }
    int pop() {
        bool empty;
        {
            std::lock_guard<std::mutex> g(mutex_);
            empty = items_.empty();
        }
        if (empty) {
            std::this_thread::sleep_for(std::chrono::milliseconds(30));  // maybe soon
            std::unique_lock<std::mutex> l(mutex_);
            not_empty_.wait(l);
        }
        std::lock_guard<std::mutex> g(mutex_);
        int v = items_.back();
        items_.pop_back();
        return v;
    }

  private:
    std::mutex mutex_;
    std::condition_variable not_empty_;
    std::vector<int> items_;
};

BatchQueue batches;

void decoder(int first) {
    for (int i = 0; i < 4; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        batches.push(first + i);
    }
}

double train_one(int v) { return 0.5 * v; }

int main() {
    std::vector<std::thread> decoders;
    for (int d = 0; d < 3; d++) decoders.emplace_back(decoder, 100 * d);
    double loss = 0;
    std::printf("hung_at %.3f\n", (double)std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count() / 1e3);
    std::fflush(stdout);
    for (int step = 0; step < 12; step++) loss += train_one(batches.pop());
    for (auto &d : decoders) d.join();
    std::printf("loss %f\n", loss);
}
