// Threads that sleep until there is work. They never spin, so they take no time from the OpenMP threads of a
// caller; a process that was forked makes its own. One job at a time; a second caller works alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace {

// Of all threads of the process: other load on the machine does not count.
inline double processor_seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

class Pool {
public:
    // work(item) for every item of 0..items - 1, in any order, on up to `threads` threads, this one included.
    static void each(int threads, int64_t items, const std::function<void(int64_t)>& work) {
        Pool* pool = threads > 1 && items > 1 ? &mine() : nullptr;
        if (!pool || !pool->busy.try_lock()) {
            for (int64_t item = 0; item < items; ++item) work(item);
            return;
        }
        const std::lock_guard<std::mutex> held(pool->busy, std::adopt_lock);
        pool->share(int(std::min<int64_t>(threads, items)) - 1, items, work);
    }

private:
    std::mutex busy, mutex;
    std::condition_variable begin, end;
    std::vector<std::thread> threads;
    const std::function<void(int64_t)>* work = nullptr;
    std::atomic<int64_t> next{0};
    int64_t items = 0, job = 0;
    int wanted = 0, working = 0;

    // Never destroyed: threads of a library that is unloaded at exit must not find their mutex gone, and
    // those of a parent process are not there to be joined.
    static Pool& mine() {
        static std::mutex making;
        static Pool* pool = nullptr;
        static pid_t owner = 0;
        const std::lock_guard<std::mutex> held(making);
        if (owner != getpid()) {
            pool = new Pool;
            owner = getpid();
        }
        return *pool;
    }

    void take() {
        for (int64_t item; (item = next.fetch_add(1)) < items;) (*work)(item);
    }

    void wait_for_work(int number) {
        int64_t seen = 0;
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            begin.wait(lock, [&] { return job != seen; });
            seen = job;
            if (number >= wanted) continue;
            lock.unlock();
            take();
            lock.lock();
            if (--working == 0) end.notify_one();
        }
    }

    void share(int helpers, int64_t count, const std::function<void(int64_t)>& what) {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            while (int(threads.size()) < helpers) {
                const int number = int(threads.size());
                threads.emplace_back([this, number] { wait_for_work(number); });
                threads.back().detach();
            }
            work = &what;
            items = count;
            next = 0;
            wanted = working = helpers;
            ++job;
        }
        begin.notify_all();
        take();
        std::unique_lock<std::mutex> lock(mutex);
        end.wait(lock, [&] { return working == 0; });
    }
};

}  // namespace
