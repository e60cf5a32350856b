// One LookupFFN layer in the integers of model/lookup, bit for bit, counters included.
//
// Tokens go in tiles of LANES. Projection and hash hold a tile with the token innermost, so that every
// level of a Hadamard transform, every shift and every saturation is the same operation on a vector of
// tokens. The gather goes token by token, for its rows are contiguous; the rows of the next token are
// asked for meanwhile. Sums are of 32 bits: who calls has made sure that none is wider
// (sw/kernels/lookup.py). The file is compiled once plainly, once for AVX2 and once
// for AVX-512 with VNNI.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;

struct Format {
    int32_t low, high;
};

}  // namespace

// What a layer is: sizes, formats, operands and tables. The order is that of sw/kernels/lookup.py.
struct Layer {
    int32_t d, n, h, tau, block, copies, dense, neighbours, gelu_scaled, residual;
    int32_t log_size, log_step, log_drop, exp_index, flip_factor, flip_shift, z_shift, one;
    Format stage, z, score, output;
    const int16_t* w;            // bh4: (r, 4, n/bs, bs in / 2, bs out, 2); dense: (d / 2, codes, 2)
    const int32_t* shift_block;  // (r, 4)
    const int32_t* shift_hadamard;
    const int32_t* shift_z;      // (r)
    const int32_t* z_bias;       // (codes)
    const int8_t* tables;        // (h, 2**tau, d)
    const int32_t* shift_s;      // (h)
    const int32_t* out_bias;     // (d)
    const int32_t* log_table;    // log_size entries, and a 0
    const int32_t* exp_table;
};

struct Job {
    int64_t tokens;
    int32_t gain, skip, shift_skip, shift_y;
    const int16_t* x;            // (t, d)
    const int32_t* residual;     // (t, d) or null
    int32_t* y;                  // (t, d)
    int32_t* codes;              // (t, h)
};

namespace {

enum { BLOCK, HADAMARD, Z, SCORE, OUTPUT, EVENTS };

inline int32_t half_of(int shift) { return shift > 0 ? int32_t(1) << (shift - 1) : 0; }

// floor(value / 2**shift + 1/2)
template <typename Int> inline Int rounded(Int value, int shift) {
    return (value + (shift > 0 ? Int(1) << (shift - 1) : Int(0))) >> shift;
}

// Rows of tokens, rounded and held to a format; counts the values of the `live` tokens that moved.
void to_format(int32_t* value, int rows, int shift, Format to, int live, int64_t& moved) {
    const int32_t half = half_of(shift);
    int32_t count[LANES] = {};
    for (int i = 0; i < rows; ++i, value += LANES)
        for (int t = 0; t < LANES; ++t) {
            const int32_t v = (value[t] + half) >> shift;
            const int32_t held = std::min(std::max(v, to.low), to.high);
            count[t] += held != v;
            value[t] = held;
        }
    for (int t = 0; t < live; ++t) moved += count[t];
}

// acc[o][t] = sum over i of w[o][i] y[i][t]; y and w in pairs of i, `outs` a multiple of 4.
void product(const int16_t* w, const int16_t* y, int pairs, int outs, int32_t* acc) {
#if defined(__AVX512VNNI__)
    for (int o = 0; o < outs; o += 4) {
        __m512i sum[4];
        for (auto& one : sum) one = _mm512_setzero_si512();
        for (int p = 0; p < pairs; ++p) {
            const __m512i tokens = _mm512_loadu_si512(y + size_t(p) * 2 * LANES);
            const int16_t* row = w + (size_t(p) * outs + o) * 2;
            for (int k = 0; k < 4; ++k) {
                int32_t both;
                std::memcpy(&both, row + 2 * k, 4);
                sum[k] = _mm512_dpwssd_epi32(sum[k], _mm512_set1_epi32(both), tokens);
            }
        }
        for (int k = 0; k < 4; ++k) _mm512_storeu_si512(acc + size_t(o + k) * LANES, sum[k]);
    }
#elif defined(__AVX2__)
    for (int o = 0; o < outs; o += 4) {
        __m256i sum[4][2];
        for (auto& row : sum) row[0] = row[1] = _mm256_setzero_si256();
        for (int p = 0; p < pairs; ++p) {
            const __m256i* at = reinterpret_cast<const __m256i*>(y + size_t(p) * 2 * LANES);
            const __m256i low = _mm256_loadu_si256(at), high = _mm256_loadu_si256(at + 1);
            const int16_t* row = w + (size_t(p) * outs + o) * 2;
            for (int k = 0; k < 4; ++k) {
                int32_t both;
                std::memcpy(&both, row + 2 * k, 4);
                const __m256i weight = _mm256_set1_epi32(both);
                sum[k][0] = _mm256_add_epi32(sum[k][0], _mm256_madd_epi16(weight, low));
                sum[k][1] = _mm256_add_epi32(sum[k][1], _mm256_madd_epi16(weight, high));
            }
        }
        for (int k = 0; k < 4; ++k) {
            __m256i* out = reinterpret_cast<__m256i*>(acc + size_t(o + k) * LANES);
            _mm256_storeu_si256(out, sum[k][0]);
            _mm256_storeu_si256(out + 1, sum[k][1]);
        }
    }
#else
    for (int o = 0; o < outs; ++o) {
        int32_t sum[LANES] = {};
        for (int p = 0; p < pairs; ++p) {
            const int16_t* at = y + size_t(p) * 2 * LANES;
            const int32_t a = w[(size_t(p) * outs + o) * 2], b = w[(size_t(p) * outs + o) * 2 + 1];
            for (int t = 0; t < LANES; ++t) sum[t] += a * at[2 * t] + b * at[2 * t + 1];
        }
        std::memcpy(acc + size_t(o) * LANES, sum, sizeof sum);
    }
#endif
}

// H u for every token: two levels at a time, as long as there are two.
void hadamard(int32_t* u, int n) {
    int half = 1;
    for (; 2 * half < n; half *= 4)
        for (int at = 0; at < n; at += 4 * half)
            for (int i = at; i < at + half; ++i) {
                int32_t* a = u + size_t(i) * LANES;
                int32_t *b = a + size_t(half) * LANES, *c = b + size_t(half) * LANES,
                        *d = c + size_t(half) * LANES;
                for (int t = 0; t < LANES; ++t) {
                    const int32_t p = a[t] + b[t], q = a[t] - b[t], r = c[t] + d[t], s = c[t] - d[t];
                    a[t] = p + r;
                    b[t] = q + s;
                    c[t] = p - r;
                    d[t] = q - s;
                }
            }
    for (; half < n; half *= 2)
        for (int i = 0; i < half; ++i) {
            int32_t *a = u + size_t(i) * LANES, *b = a + size_t(half) * LANES;
            for (int t = 0; t < LANES; ++t) {
                const int32_t sum = a[t] + b[t], difference = a[t] - b[t];
                a[t] = sum;
                b[t] = difference;
            }
        }
}

// Values (n, LANES) as pairs of i: (n / 2, LANES, 2).
void pair_up(const int32_t* u, int n, int16_t* y) {
    for (int i = 0; i < n; i += 2, u += 2 * LANES, y += 2 * LANES) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        int32_t both[LANES];
        for (int t = 0; t < LANES; ++t)
            both[t] = int32_t((uint32_t(u[LANES + t]) << 16) | (uint32_t(u[t]) & 0xFFFF));
        std::memcpy(y, both, sizeof both);
#else
        for (int t = 0; t < LANES; ++t) {
            y[2 * t] = int16_t(u[t]);
            y[2 * t + 1] = int16_t(u[LANES + t]);
        }
#endif
    }
}

struct Room {
    std::vector<int16_t> x, y;
    std::vector<int32_t> u, z, scores, rows, acc;
    explicit Room(const Layer& l)
        : x(size_t(l.n) * LANES), y(size_t(l.n) * LANES), u(size_t(std::max(l.n, l.h * l.tau) + 4) * LANES),
          z(size_t(l.h) * l.tau * LANES), scores(size_t(l.h) * (1 + l.tau) * LANES), rows(scores.size()),
          acc(l.d + 16) {}
};

// z (codes, LANES) of a tile.
void project(const Layer& l, const Job& job, Room& r, int live, int64_t* events) {
    const int codes = l.h * l.tau;
    if (l.dense) {
        const int outs = (codes + 3) / 4 * 4;
        product(l.w, r.x.data(), l.d / 2, outs, r.u.data());
        for (int i = 0; i < codes; ++i)
            for (int t = 0; t < LANES; ++t)
                r.z[size_t(i) * LANES + t] = rounded(r.u[size_t(i) * LANES + t], l.shift_z[0]);
    } else {
        const size_t size = size_t(l.block) * l.block;
        for (int c = 0; c < l.copies; ++c) {
            r.y = r.x;
            for (int j = 0; j < 4; ++j) {
                for (int b = 0; b < l.n / l.block; ++b)
                    product(l.w + ((size_t(c) * 4 + j) * (l.n / l.block) + b) * size,
                            r.y.data() + size_t(b) * l.block * LANES, l.block / 2, l.block,
                            r.u.data() + size_t(b) * l.block * LANES);
                to_format(r.u.data(), l.n, l.shift_block[c * 4 + j], l.stage, live, events[BLOCK]);
                hadamard(r.u.data(), l.n);
                to_format(r.u.data(), l.n, l.shift_hadamard[c * 4 + j], l.stage, live, events[HADAMARD]);
                if (j < 3) pair_up(r.u.data(), l.n, r.y.data());
            }
            for (int i = 0; i < l.n && c * l.n + i < codes; ++i)
                for (int t = 0; t < LANES; ++t) {
                    const int32_t x = r.x[size_t(i & ~1) * LANES + 2 * t + (i & 1)];
                    r.z[size_t(c * l.n + i) * LANES + t] =
                        rounded(job.gain * r.u[size_t(i) * LANES + t], l.shift_z[c])
                        + rounded(job.skip * x, job.shift_skip);
                }
        }
    }
    for (int i = 0; i < codes; ++i)
        for (int t = 0; t < LANES; ++t) r.z[size_t(i) * LANES + t] += l.z_bias[i];
    to_format(r.z.data(), codes, l.z_shift, l.z, live, events[Z]);
}

// Rows and scores (token, h, entries) of a tile.
void hash(const Layer& l, const Job& job, Room& r, int live, int64_t first, int64_t* events) {
    const int entries = l.neighbours ? 1 + l.tau : 1;
    const int64_t mask = (int64_t(1) << l.exp_index) - 1;
    for (int k = 0; k < l.h; ++k) {
        int32_t code[LANES] = {}, sum[LANES] = {}, log[LANES] = {}, magnitude[16][LANES];
        for (int j = 0; j < l.tau; ++j) {
            const int32_t* z = &r.z[size_t(k * l.tau + j) * LANES];
            int32_t index[LANES];
            for (int t = 0; t < LANES; ++t) {
                code[t] = 2 * code[t] + (z[t] > 0);
                magnitude[j][t] = z[t] < 0 ? -z[t] : z[t];
                sum[t] += magnitude[j][t];
                // The last entry of the table is 0, for all that lies beyond it.
                index[t] = std::min(magnitude[j][t] >> l.log_step, l.log_size);
            }
            for (int t = 0; t < LANES; ++t) log[t] += l.log_table[index[t]];
        }
        for (int t = 0; t < live; ++t) {
            job.codes[(first + t) * l.h + k] = code[t];
            for (int e = 0; e < entries; ++e) {
                int64_t inner = l.gelu_scaled ? sum[t] : l.one, exponent = log[t];
                int32_t row = code[t];
                if (e) {
                    row ^= 1 << (l.tau - e);
                    exponent += rounded(int64_t(magnitude[e - 1][t]) * l.flip_factor, l.flip_shift);
                    if (l.gelu_scaled) inner -= 2 * magnitude[e - 1][t];
                }
                const int64_t power = -rounded(exponent, l.log_drop);
                const int64_t shift = std::min<int64_t>(l.shift_s[k] - (power >> l.exp_index), 62);
                const int64_t s = rounded(inner * l.exp_table[power & mask], int(shift));
                const int64_t held = std::min<int64_t>(std::max<int64_t>(s, l.score.low), l.score.high);
                events[SCORE] += held != s;
                const size_t at = (size_t(t) * l.h + k) * entries + e;
                r.scores[at] = int32_t(held);
                r.rows[at] = int32_t(k << l.tau) + row;
            }
        }
    }
}

#if defined(__AVX2__)
// acc += a * first + b * second over d elements; where both scores have 16 bits.
inline void two_rows(int32_t* acc, const int8_t* first, const int8_t* second, int32_t a, int32_t b, int d) {
    const __m256i score = _mm256_set1_epi32(int32_t((uint32_t(b) << 16) | (uint32_t(a) & 0xFFFF)));
    int i = 0;
    for (; i + 16 <= d; i += 16) {
        const __m256i p = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(first + i)));
        const __m256i q = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(second + i)));
        // Elements 0..3 and 8..11, then 4..7 and 12..15: the sums stand in this order.
        __m256i* at = reinterpret_cast<__m256i*>(acc + i);
        _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at),
                                                 _mm256_madd_epi16(_mm256_unpacklo_epi16(p, q), score)));
        _mm256_storeu_si256(at + 1, _mm256_add_epi32(_mm256_loadu_si256(at + 1),
                                                     _mm256_madd_epi16(_mm256_unpackhi_epi16(p, q), score)));
    }
    for (; i < d; ++i) acc[i] += a * first[i] + b * second[i];
}

inline int place(int i, int d) {
    if (i >= d / 16 * 16) return i;
    const int in = i & 15;
    return (i & ~15) + (in < 4 ? in : in < 8 ? in + 4 : in < 12 ? in - 4 : in);
}
#else
inline void two_rows(int32_t* acc, const int8_t* first, const int8_t* second, int32_t a, int32_t b, int d) {
    for (int i = 0; i < d; ++i) acc[i] += a * first[i] + b * second[i];
}

inline int place(int i, int) { return i; }
#endif

void gather(const Layer& l, const Job& job, Room& r, int t, bool more, int64_t token, int64_t* events) {
    const int count = l.h * (l.neighbours ? 1 + l.tau : 1);
    const int32_t *score = &r.scores[size_t(t) * count], *row = &r.rows[size_t(t) * count];
    std::fill(r.acc.begin(), r.acc.end(), 0);
    for (int e = 0; e < count; e += 2) {
        if (more)
            for (int f = e; f < std::min(e + 2, count); ++f)
                for (int at = 0; at < l.d; at += 64)
                    __builtin_prefetch(l.tables + size_t(row[count + f]) * l.d + at);
        const int8_t* first = l.tables + size_t(row[e]) * l.d;
        const bool two = e + 1 < count;
        two_rows(r.acc.data(), first, two ? l.tables + size_t(row[e + 1]) * l.d : first, score[e],
                 two ? score[e + 1] : 0, l.d);
    }
    for (int i = 0; i < l.d; ++i) {
        int32_t y = rounded(r.acc[place(i, l.d)] + l.out_bias[i], job.shift_y);
        if (l.residual) y += job.residual[token * l.d + i];
        const int32_t held = std::min(std::max(y, l.output.low), l.output.high);
        events[OUTPUT] += held != y;
        job.y[token * l.d + i] = held;
    }
}

void tokens(const Layer& l, const Job& job, int64_t begin, int64_t end, int64_t* events) {
    Room r(l);
    for (int64_t at = begin; at < end; at += LANES) {
        const int live = int(std::min<int64_t>(LANES, end - at));
        std::fill(r.x.begin(), r.x.end(), 0);
        for (int t = 0; t < live; ++t)
            for (int i = 0; i < l.d; ++i)
                r.x[size_t(i & ~1) * LANES + 2 * t + (i & 1)] = job.x[(at + t) * l.d + i];
        project(l, job, r, live, events);
        hash(l, job, r, live, at, events);
        for (int t = 0; t < live; ++t) gather(l, job, r, t, t + 1 < live, at + t, events);
    }
}

}  // namespace

extern "C" {

// What this machine can run: 0 what was compiled plainly, 1 for AVX2, 2 for AVX-512 with VNNI.
int hl_level() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        return 2;
    return __builtin_cpu_supports("avx2") ? 1 : 0;
#else
    return 0;
#endif
}

// Run a job on so many threads; `events` gets the five counters of saturated values.
void hl_lookup(const Layer* layer, const Job* job, int threads, int64_t* events) {
    const int64_t tiles = (job->tokens + LANES - 1) / LANES;
    const int used = int(std::max<int64_t>(1, std::min<int64_t>(threads, tiles)));
    std::vector<int64_t> counts(size_t(used) * 8 * EVENTS, 0);      // a cache line and more for each
    const auto part = [&](int k) {
        tokens(*layer, *job, tiles * k / used * LANES, std::min(job->tokens, tiles * (k + 1) / used * LANES),
               &counts[size_t(k) * 8 * EVENTS]);
    };
    std::vector<std::thread> pool;
    for (int k = 1; k < used; ++k) pool.emplace_back(part, k);
    part(0);
    for (auto& thread : pool) thread.join();
    for (int e = 0; e < EVENTS; ++e) {
        events[e] = 0;
        for (int k = 0; k < used; ++k) events[e] += counts[size_t(k) * 8 * EVENTS + e];
    }
}
}
