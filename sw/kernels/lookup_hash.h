// From z to the rows and scores that the gather takes.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lookup_project.h"

namespace {

struct Batch : Entries<int16_t> {
    Buffer<int32_t> excess;                  // (token): 128 times the sum of its scores
};

// One table of one token; z has `stride` values from one to the next. For words of any width.
inline int32_t hash_one(const Layer& l, const int32_t* z, size_t stride, int table, int32_t first_row,
                        int32_t* rows, int16_t* scores, int64_t& sum_of_scores, int64_t& moved) {
    const int64_t mask = (int64_t(1) << l.exp_index) - 1;
    int32_t code = 0, magnitude[16];
    int64_t sum = 0, log = 0;
    for (int j = 0; j < l.tau; ++j) {
        const int32_t value = z[j * stride];
        code = 2 * code + (value > 0);
        magnitude[j] = value < 0 ? -value : value;
        sum += magnitude[j];
        // The last entry of the table is 0, for all that lies beyond it.
        log += l.log_table[std::min(magnitude[j] >> l.log_step, l.log_size)];
    }
    for (int e = 0; e < (l.neighbours ? 1 + l.tau : 1); ++e) {
        int64_t inner = l.gelu_scaled ? sum : l.one, exponent = log;
        int32_t row = code;
        if (e) {
            row ^= 1 << (l.tau - e);
            exponent += rounded(int64_t(magnitude[e - 1]) * l.flip_factor, l.flip_shift);
            if (l.gelu_scaled) inner -= 2 * int64_t(magnitude[e - 1]);
        }
        const int64_t power = -rounded(exponent, l.log_drop);
        const int64_t shift = std::min<int64_t>(l.shift_s[table] - (power >> l.exp_index), 62);
        const int64_t s = rounded(inner * l.exp_table[power & mask], int(shift));
        const int64_t held = std::min<int64_t>(std::max<int64_t>(s, l.score.low), l.score.high);
        moved += held != s;
        sum_of_scores += held;
        scores[e] = int16_t(held);
        rows[e] = first_row + row;
    }
    return code;
}

// Tokens one by one: z (codes) of token t begins at z + t * step.
inline void hash_each(const Layer& l, const Job& job, const int32_t* z, size_t stride, size_t step, int live,
                      int64_t first, int64_t in_batch, Batch& to, int64_t* events) {
    for (int t = 0; t < live; ++t) {
        int64_t sum = 0;
        for (int k = 0; k < l.h; ++k) {
            const size_t at = to.at(k, in_batch + t);
            job.codes[(first + t) * l.h + k] =
                hash_one(l, z + t * step + size_t(k) * l.tau * stride, stride, k, (k % to.tables) << l.tau,
                         to.row + at, to.score + at, sum, events[SCORE]);
        }
        to.excess[in_batch + t] = int32_t(128 * sum);
    }
}

// A tile of tokens, z (codes, NV); where a score has at most 31 bits on its way.
template <int NV> void hash(const Layer& l, const Job& job, const V* z, int live, int64_t first,
                            int64_t in_batch, Batch& to, int64_t* events) {
    const int entries = l.neighbours ? 1 + l.tau : 1;
    const V mask = splat((1 << l.exp_index) - 1), size = splat(l.log_size), one = splat(l.one);
    for (int v = 0; v < NV && v * W < live; ++v) {
        const int tokens = std::min(live - v * W, W);
        ToFormat held(0, l.score);
        V all{};
        for (int k = 0; k < l.h; ++k) {
            V code{}, sum{}, log{}, magnitude[16];
            for (int j = 0; j < l.tau; ++j) {
                const V value = z[(k * l.tau + j) * NV + v];
                code += code - V(value > 0);
                magnitude[j] = most(value, -value);
                sum += magnitude[j];
                log += look_up(l.log_table, least(magnitude[j] >> l.log_step, size));
            }
            int32_t* codes = job.codes + (first + v * W) * l.h + k;
            const size_t at = to.at(k, in_batch + v * W);
            const V table = splat((k % to.tables) << l.tau);
            for (int e = 0; e < entries; ++e) {
                V inner = l.gelu_scaled ? sum : one, exponent = log, row = code;
                if (e) {
                    row ^= 1 << (l.tau - e);
                    exponent += rounded(magnitude[e - 1] * l.flip_factor, l.flip_shift);
                    if (l.gelu_scaled) inner -= 2 * magnitude[e - 1];
                }
                const V power = -rounded(exponent, l.log_drop);
                // Nothing of 31 bits is left beyond 31.
                const V shift = least(l.shift_s[k] - (power >> l.exp_index), splat(31));
                const V product = inner * look_up(l.exp_table, power & mask);
                const V half = shift > 0 ? splat(1) << most(shift - 1, V{}) : V{};
                const V score = held((product + half) >> shift);
                all += score;
                row += table;
                for (int t = 0; t < tokens; ++t) {
                    to.row[at + size_t(t) * to.each + e] = row[t];
                    to.score[at + size_t(t) * to.each + e] = int16_t(score[t]);
                }
            }
            for (int t = 0; t < tokens; ++t) codes[size_t(t) * l.h] = code[t];
        }
        for (int t = 0; t < tokens; ++t) to.excess[in_batch + v * W + t] = 128 * all[t];
        for (int t = 0; t < tokens; ++t) events[SCORE] += held.moved[t];
    }
}

}  // namespace
