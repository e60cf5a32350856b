// Vectors of W 32-bit lanes, which compilers for any machine know, and the few operations that they do not
// find by themselves: pairs of 16-bit products, interleaving within 128 bits, prefetches.
// W is 16 with AVX-512 and VNNI, 8 with AVX2, and 4 elsewhere, where nothing here is an intrinsic.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef int32_t V __attribute__((vector_size(4 * W)));
typedef int16_t V16 __attribute__((vector_size(4 * W)));
typedef float F __attribute__((vector_size(4 * W)));

#define INLINE inline __attribute__((always_inline))

template <typename T = V> INLINE T load(const void* at) {
    T v;
    std::memcpy(&v, at, sizeof v);
    return v;
}
template <typename T> INLINE void store(void* at, T v) { std::memcpy(at, &v, sizeof v); }
INLINE V splat(int32_t value) { return V{} + value; }
// Less 0, which is no operation; plus 0 would be one, for the sake of -0.
INLINE F splat(float value) { return value - F{}; }
INLINE V least(V a, V b) { return a < b ? a : b; }
INLINE V most(V a, V b) { return a > b ? a : b; }

INLINE int64_t total(V v) {
    int64_t sum = 0;
    for (int i = 0; i < W; ++i) sum += v[i];
    return sum;
}

// acc + a.low * b.low + a.high * b.high, where a lane is a pair of signed 16-bit words.
INLINE V dot(V acc, V a, V b) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
    return V(_mm512_dpwssd_epi32((__m512i)acc, (__m512i)a, (__m512i)b));
#elif defined(__AVX2__)
    return acc + V(_mm256_madd_epi16((__m256i)a, (__m256i)b));
#else
    return acc + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

// The words of a and b in turn, of the lower (upper) half of every 128 bits.
INLINE V turn_low(V a, V b) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
    return V(_mm512_unpacklo_epi16((__m512i)a, (__m512i)b));
#elif defined(__AVX2__)
    return V(_mm256_unpacklo_epi16((__m256i)a, (__m256i)b));
#else
    return V(__builtin_shufflevector(V16(a), V16(b), 0, 8, 1, 9, 2, 10, 3, 11));
#endif
}
INLINE V turn_high(V a, V b) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
    return V(_mm512_unpackhi_epi16((__m512i)a, (__m512i)b));
#elif defined(__AVX2__)
    return V(_mm256_unpackhi_epi16((__m256i)a, (__m256i)b));
#else
    return V(__builtin_shufflevector(V16(a), V16(b), 4, 12, 5, 13, 6, 14, 7, 15));
#endif
}

// Two values of 16 bits in a lane, the first in the low half.
INLINE V pair(V first, V second) { return (second << 16) | (first & 0xFFFF); }
INLINE V first_of(V both) { return (both << 16) >> 16; }
INLINE V second_of(V both) { return both >> 16; }

// table[index] in every lane.
INLINE V look_up(const int32_t* table, V index) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
    return V(_mm512_i32gather_epi32((__m512i)index, table, 4));
#elif defined(__AVX2__)
    return V(_mm256_i32gather_epi32(table, (__m256i)index, 4));
#else
    V v;
    for (int i = 0; i < W; ++i) v[i] = table[index[i]];
    return v;
#endif
}

// Two words at 2 * index in every lane, the first in the low half.
INLINE V look_up_pairs(const int16_t* words, V index) {
#if defined(__AVX2__)
    return look_up(reinterpret_cast<const int32_t*>(words), index);
#else
    V v;
    for (int i = 0; i < W; ++i)
        v[i] = int32_t(uint32_t(uint16_t(words[2 * index[i] + 1])) << 16 | uint16_t(words[2 * index[i]]));
    return v;
#endif
}

// H over M vectors: levels that are M / 2, ..., 1 vectors apart.
template <int M, typename T> INLINE void butterflies(T* v) {
#pragma GCC unroll 4
    for (int half = 1; half < M; half *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i)
            if (!(i & half)) {
                const T a = v[i], b = v[i + half];
                v[i] = a + b;
                v[i + half] = a - b;
            }
}

// Memory that begins at a cache line, and at a huge page where it is large and the system has them.
template <typename T> class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(at); }
    // Room for so many; what was in it is lost where it grows.
    T* room(size_t count) {
        if (count > held) {
            constexpr size_t HUGE_PAGE = size_t(2) << 20;
            const size_t line = count * sizeof(T) >= HUGE_PAGE ? HUGE_PAGE : 64;
            const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
            std::free(at);
            held = 0;
            void* got = nullptr;
            if (posix_memalign(&got, line, bytes)) { at = nullptr; throw std::bad_alloc(); }
            at = static_cast<T*>(got);
#if defined(__linux__)
            if (line == HUGE_PAGE) madvise(got, bytes, MADV_HUGEPAGE);
#endif
            held = count;
        }
        return at;
    }
    T* get() const { return at; }
    operator T*() const { return at; }

private:
    T* at = nullptr;
    size_t held = 0;
};

}  // namespace
