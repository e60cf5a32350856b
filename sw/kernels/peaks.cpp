// What this machine can do at most, by loops that do one thing only: products, reads from a working set, and reads
// of rows at random, as the gather reads them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "pool.h"
#include "vectors.h"

namespace {

constexpr int CHAINS = W == 16 ? 24 : 12;    // sums in registers: more than a product has cycles times units
constexpr int LINE = 64;

// A value that the compiler may not follow: no algebra over rounds, and nothing is left out.
#if defined(__AVX512F__)
#define KEEP(v) asm volatile("" : "+v"(v))
#elif defined(__x86_64__)
#define KEEP(v) asm volatile("" : "+x"(v))
#elif defined(__aarch64__)
#define KEEP(v) asm volatile("" : "+w"(v))
#else
#define KEEP(v) asm volatile("" : : "m"(v) : "memory")
#endif

// Seconds of process time of `rounds` products into every chain; `into` keeps the compiler from leaving them out.
template <typename T, typename Step> double products(int64_t rounds, T* into, const Step& step) {
    T sum[CHAINS];
#pragma GCC unroll 24
    for (int c = 0; c < CHAINS; ++c) sum[c] = T{};
    const double begin = processor_seconds();
    for (int64_t r = 0; r < rounds; ++r)
#pragma GCC unroll 24
        for (int c = 0; c < CHAINS; ++c) {
            sum[c] = step(sum[c]);
            KEEP(sum[c]);
        }
    const double seconds = processor_seconds() - begin;
#pragma GCC unroll 24
    for (int c = 0; c < CHAINS; ++c) *into += sum[c];
    return seconds;
}

}  // namespace

extern "C" {

// Multiply-adds in single precision a second, on one thread.
double hl_peak_float(int64_t rounds) {
    F into{}, a = splat(1.0001f), b = splat(0.5f);
    KEEP(a);
    KEEP(b);
    const double seconds = products(rounds, &into, [&](F sum) { return sum * a + b; });
    KEEP(into);
    return double(rounds) * CHAINS * W / seconds;
}

// Multiply-adds of 16-bit words a second, on one thread. The product is of the sum: one of constants would stand
// before the loop.
double hl_peak_words(int64_t rounds) {
    V into{}, a = splat(0x00030001), b = splat(0x00010002);
    KEEP(a);
    KEEP(b);
    const double seconds = products(rounds, &into, [&](V sum) { return dot(a, sum, b); });
    KEEP(into);
    return double(rounds) * CHAINS * 2 * W / seconds;
}

// Bytes a second that are read, one after the other, from `bytes` (a multiple of 1,024) at `from`, `rounds` times
// over; `sum` gets the sum of all words of the last time.
double hl_read(const int8_t* from, int64_t bytes, int64_t rounds, int32_t* sum) {
    constexpr int STEP = 4 * W;
    V all{};
    const double begin = processor_seconds();
    for (int64_t r = 0; r < rounds; ++r) {
        V part[8] = {};
        for (int64_t at = 0; at < bytes; at += 8 * STEP)
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {
                part[i] += load(from + at + i * STEP);
                KEEP(part[i]);
            }
        all = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
        KEEP(all);
    }
    const double seconds = processor_seconds() - begin;
    *sum = int32_t(total(all));
    return double(bytes) * double(rounds) / seconds;
}

// Bytes a second that are read in rows of `bytes` (a multiple of 64) at `from`, in the order of `rows` (count), each
// asked for `ahead` rows before it is read; `sum` as above.
double hl_read_rows(const int8_t* from, int bytes, const int32_t* rows, int64_t count, int64_t ahead, int32_t* sum) {
    V all{};
    const double begin = processor_seconds();
    for (int64_t r = 0; r < count; ++r) {
        const int8_t* next = from + int64_t(rows[std::min(r + ahead, count - 1)]) * bytes;
        const int8_t* row = from + int64_t(rows[r]) * bytes;
        for (int at = 0; at < bytes; at += LINE) {
            __builtin_prefetch(next + at, 0, 2);
#pragma GCC unroll 4
            for (int i = 0; i < LINE; i += 4 * W) all += load(row + at + i);
        }
    }
    KEEP(all);
    const double seconds = processor_seconds() - begin;
    *sum = int32_t(total(all));
    return double(bytes) * double(count) / seconds;
}
}
