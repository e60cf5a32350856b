// The sum of table rows of 8 bits times scores of 16, exactly, from tables that were packed for it.
//
// A packed row is a cache line of 64 columns. Two neighbouring bytes are one word: an unsigned byte that is 128
// above its entry, and a signed one above it. A product of the whole word with a score and one of its lower byte
// alone give both columns, for two rows at once and without widening a byte. What the 128 have added is
// subtracted at the end: it is the same for every column. Sums wrap at 32 bits, and the difference of the two
// has 24 that count, so at most `run` entries go together.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lookup_layer.h"

namespace {

constexpr int COLUMNS = 64;                  // of a packed row, a cache line: a chunk
constexpr int LINE = COLUMNS / (4 * W);      // vectors of a packed row
constexpr int SUMS = COLUMNS / W;            // vectors of its sums

// Byte of a packed row in which column c stands: the sums then come out in order.
inline int place(int c) {
    const int o = c / W, word = c % W / 4 * 8 + (o >> 1 & 1) * 4 + c % 4;
    return o / 4 * 4 * W + 2 * word + (o & 1);
}

// Tables (h, rows, d) to (chunk, table, row, 64); what is beyond d is 0.
inline void pack(const Layer& l, int chunk, int8_t* to) {
    const int first = chunk * COLUMNS, width = std::min(COLUMNS, l.d - first);
    int where[COLUMNS];
    for (int c = 0; c < COLUMNS; ++c) where[c] = place(c);
    const int8_t* from = l.tables + first;
    for (int64_t row = 0; row < int64_t(l.h) << l.tau; ++row, from += l.d, to += COLUMNS)
        for (int c = 0; c < COLUMNS; ++c) {
            const int value = c < width ? from[c] : 0;
            to[where[c]] = int8_t(c / W & 1 ? value : value ^ -128);
        }
}

// One group of tables for all tokens of a batch: acc (tokens, 64) += sums.
inline void add_rows(const int8_t* tile, const int32_t* rows, const int16_t* scores, int64_t tokens, int each,
                     int run, bool first, int32_t* acc, Ahead ahead) {
    const V low = splat(0x00FF00FF);
    for (int64_t t = 0; t < tokens; ++t, rows += each, scores += each, acc += COLUMNS) {
        ahead.token(t, each);
        for (int begin = 0; begin < each; begin += run) {
            V words[2 * LINE], bytes[2 * LINE];
#pragma GCC unroll 8
            for (int i = 0; i < 2 * LINE; ++i) words[i] = bytes[i] = V{};
            const int end = std::min(each, begin + run);
            for (int e = begin; e < end; e += 2) {
                const int8_t *p = tile + size_t(rows[e]) * COLUMNS, *q = tile + size_t(rows[e + 1]) * COLUMNS;
                int32_t both;
                std::memcpy(&both, scores + e, 4);
                const V score = splat(both);
#pragma GCC unroll 4
                for (int i = 0; i < LINE; ++i) {
                    const V a = load(p + i * 4 * W), b = load(q + i * 4 * W);
                    const V one = turn_low(a, b), two = turn_high(a, b);
                    words[2 * i] = dot(words[2 * i], one, score);
                    bytes[2 * i] = dot(bytes[2 * i], one & low, score);
                    words[2 * i + 1] = dot(words[2 * i + 1], two, score);
                    bytes[2 * i + 1] = dot(bytes[2 * i + 1], two & low, score);
                }
            }
            const bool fresh = first && begin == 0;
#pragma GCC unroll 8
            for (int i = 0; i < 2 * LINE; ++i) {
                const V even = bytes[i], odd = (words[i] - bytes[i]) >> 8;
                int32_t* at = acc + 2 * i * W;
                store(at, fresh ? even : load(at) + even);
                store(at + W, fresh ? odd : load(at + W) + odd);
            }
        }
    }
}

// How many entries go together, when no score is beyond so much.
inline int entries_together(int64_t largest) {
    return int(std::min<int64_t>(std::max<int64_t>(2, (int64_t(1) << 23) / (128 * largest) / 2 * 2), 1 << 14));
}

// Sums to outputs: bias, rounding, residual, format.
inline void finish(const Layer& l, const Job& job, const int32_t* excesses, int chunk, int64_t first, int64_t from,
                   int64_t to, const int32_t* acc, int64_t* events) {
    const int width = std::min(COLUMNS, l.d - chunk * COLUMNS);
    V bias[SUMS], moved{};
    int32_t room[COLUMNS] = {};
    std::memcpy(room, l.out_bias + chunk * COLUMNS, size_t(width) * 4);
    for (int i = 0; i < SUMS; ++i) bias[i] = load(room + i * W) + half_of(job.shift_y);
    const V low = splat(l.output.low), high = splat(l.output.high);
    for (int64_t t = from; t < to; ++t, acc += COLUMNS) {
        int32_t* y = job.y + (first + t) * l.d + chunk * COLUMNS;
        const int32_t* past = l.residual ? job.residual + (first + t) * l.d + chunk * COLUMNS : nullptr;
        const V excess = splat(excesses[t]);
        for (int i = 0; i < SUMS && i * W < width; ++i) {
            const bool whole = (i + 1) * W <= width;
            const size_t bytes = 4 * size_t(whole ? W : width - i * W);
            V sum = load(acc + i * W) + bias[i];
            if (!(i & 1)) sum -= excess;
            sum = sum >> job.shift_y;
            if (past) {
                V more{};
                whole ? void(more = load(past + i * W)) : void(std::memcpy(&more, past + i * W, bytes));
                sum += more;
            }
            const V held = least(most(sum, low), high);
            moved -= V(held != sum);
            if (whole) store(y + i * W, held);
            else std::memcpy(y + i * W, &held, bytes);
        }
    }
    events[OUTPUT] += total(moved);
}

}  // namespace
