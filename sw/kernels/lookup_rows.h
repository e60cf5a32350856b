// Projection of a few tokens, each a row of its own: the outputs of a block stand side by side, so that one
// token costs one token and not a tile.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <utility>

#include "lookup_project.h"

namespace {

constexpr int FEW = 4;       // tokens that share a load of the weights

// Whether outputs fill vectors.
inline bool fits_rows(const Layer& l) { return l.dense || l.block >= W; }

template <int HALF, size_t... I> INLINE V swapped(V v, std::index_sequence<I...>) {
#if defined(__clang__)
    return __builtin_shufflevector(v, v, int(I ^ HALF)...);
#else
    return __builtin_shuffle(v, V{int(I ^ HALF)...});
#endif
}

// One level within a vector: lane i gets v[i] + v[i + HALF], or v[i - HALF] - v[i].
template <int HALF, size_t... I> INLINE V level(V v, std::index_sequence<I...> all) {
    constexpr V sign = {(I & HALF ? -1 : 0)...};
    return swapped<HALF>(v, all) + ((v ^ sign) - sign);
}

INLINE V within(V v) {
    constexpr auto all = std::make_index_sequence<W>();
    v = level<1>(v, all);
    v = level<2>(v, all);
    if constexpr (W > 4) v = level<4>(v, all);
    if constexpr (W > 8) v = level<8>(v, all);
    return v;
}

// acc (tokens, OV vectors): y (tokens, 2 pairs) with `step` words from one token to the next.
template <int TOKENS, int OV> INLINE void row_product(const int16_t* w, int outs, const int16_t* y, size_t step,
                                                      int pairs, int32_t* u, size_t out_step) {
    V acc[TOKENS][OV];
#pragma GCC unroll 4
    for (int t = 0; t < TOKENS; ++t)
#pragma GCC unroll 4
        for (int o = 0; o < OV; ++o) acc[t][o] = V{};
    for (int p = 0; p < pairs; ++p, w += 2 * outs) {
        V weight[OV];
#pragma GCC unroll 4
        for (int o = 0; o < OV; ++o) weight[o] = load(w + o * 2 * W);
#pragma GCC unroll 4
        for (int t = 0; t < TOKENS; ++t) {
            int32_t both;
            std::memcpy(&both, y + t * step + 2 * p, 4);
#pragma GCC unroll 4
            for (int o = 0; o < OV; ++o) acc[t][o] = dot(acc[t][o], splat(both), weight[o]);
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < TOKENS; ++t)
#pragma GCC unroll 4
        for (int o = 0; o < OV; ++o) store(u + t * out_step + o * W, acc[t][o]);
}

template <int TOKENS> void row_products(const int16_t* w, int outs, const int16_t* y, size_t step, int pairs,
                                        int32_t* u, size_t out_step) {
    int o = 0;
    for (; o + 2 * W <= outs; o += 2 * W)
        row_product<TOKENS, 2>(w + 2 * o, outs, y, step, pairs, u + o, out_step);
    for (; o < outs; o += W) row_product<TOKENS, 1>(w + 2 * o, outs, y, step, pairs, u + o, out_step);
}

inline void row_products(int tokens, const int16_t* w, int outs, const int16_t* y, size_t step, int pairs,
                         int32_t* u, size_t out_step) {
    switch (tokens) {
        case 1: return row_products<1>(w, outs, y, step, pairs, u, out_step);
        case 2: return row_products<2>(w, outs, y, step, pairs, u, out_step);
        case 3: return row_products<3>(w, outs, y, step, pairs, u, out_step);
        default: return row_products<FEW>(w, outs, y, step, pairs, u, out_step);
    }
}

// H of a row of sums, from and to the stage format.
inline void row_transform(int32_t* u, int n, ToFormat& block, ToFormat& hadamard, int16_t* y) {
    for (int i = 0; i < n; i += W) store(u + i, within(block(load(u + i))));
    for (int half = W; half < n; half *= 2)
        for (int at = 0; at < n; at += 2 * half)
            for (int i = at; i < at + half; i += W) {
                const V a = load(u + i), b = load(u + i + half);
                store(u + i, a + b);
                store(u + i + half, a - b);
            }
    for (int i = 0; i < n; i += W) {
        const V held = hadamard(load(u + i));
        for (int k = 0; k < W; ++k) y[i + k] = int16_t(held[k]);
    }
}

// z (tokens, outs) of up to FEW tokens, outs being the codes filled up to a multiple of 16.
inline void project_rows(const Layer& l, const Job& job, const int16_t* x, int tokens, Room& r, int32_t* z,
                         int64_t* events) {
    const int codes = l.h * l.tau, outs = (codes + 15) / 16 * 16, wide = std::max(l.n, outs);
    int32_t* u = r.row.room(size_t(wide) * FEW);
    int16_t *x0 = r.stage.room(size_t(l.n) * 2 * FEW), *y = x0 + l.n * FEW;
    const auto put = [&](int t, int at, int32_t sum) {
        const int32_t v = rounded(sum, l.z_shift), held = std::min(std::max(v, l.z.low), l.z.high);
        events[Z] += held != v;
        z[t * outs + at] = held;
    };
    if (l.dense) {
        row_products(tokens, l.w, outs, x, size_t(l.d), l.d / 2, u, size_t(wide));
        for (int t = 0; t < tokens; ++t)
            for (int i = 0; i < codes; ++i) put(t, i, rounded(u[t * wide + i], l.shift_z[0]) + l.z_bias[i]);
        return;
    }
    std::fill_n(x0, size_t(l.n) * FEW, int16_t(0));
    for (int t = 0; t < tokens; ++t) std::copy_n(x + size_t(t) * l.d, l.d, x0 + size_t(t) * l.n);
    const int16_t* w = l.w;
    for (int c = 0; c < l.copies; ++c) {
        for (int j = 0; j < 4; ++j) {
            ToFormat block(l.shift_block[c * 4 + j], l.stage), hadamard(l.shift_hadamard[c * 4 + j], l.stage);
            for (int b = 0; b < l.n / l.block; ++b, w += size_t(l.block) * l.block)
                row_products(tokens, w, l.block, (j ? y : x0) + b * l.block, size_t(l.n), l.block / 2,
                             u + b * l.block, size_t(wide));
            for (int t = 0; t < tokens; ++t)
                row_transform(u + size_t(t) * wide, l.n, block, hadamard, y + size_t(t) * l.n);
            events[BLOCK] += total(block.moved);
            events[HADAMARD] += total(hadamard.moved);
        }
        for (int t = 0; t < tokens; ++t)
            for (int i = 0; i < l.n && c * l.n + i < codes; ++i)
                put(t, c * l.n + i, rounded(job.gain * y[t * l.n + i], l.shift_z[c])
                                    + rounded(job.skip * x0[t * l.n + i], job.shift_skip)
                                    + l.z_bias[c * l.n + i]);
    }
}

}  // namespace
