// Projection of a tile of tokens to z, the token innermost: every level of a Hadamard transform, every shift
// and every saturation is one operation on a vector of tokens. A value of 16 bits travels in pairs with its
// neighbour, as the products want them.
//
// A block product keeps eight outputs in registers, rounds them, and puts them through the three lowest levels
// of the transform before they are stored. The other levels go three at a time; the last ones round as well.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lookup_layer.h"

namespace {

constexpr int TOGETHER = W == 16 ? 2 : 1;    // vectors of tokens that share a weight: by the registers there are

struct Room {
    Buffer<V> x, y, h, z;
    Buffer<int32_t> row;
    Buffer<int16_t> stage;
};

// acc[o] of OUTS outputs: sums over pairs of inputs. y (pairs, NV).
template <int OUTS, int NV> INLINE void product(const int32_t* w, int outs, const V* y, int pairs, int from,
                                                V (&acc)[OUTS][TOGETHER]) {
    constexpr int NT = NV < TOGETHER ? NV : TOGETHER;
#pragma GCC unroll 8
    for (int o = 0; o < OUTS; ++o)
#pragma GCC unroll 2
        for (int v = 0; v < NT; ++v) acc[o][v] = V{};
#pragma GCC unroll 2
    for (int p = 0; p < pairs; ++p, w += outs) {
        V in[NT];
#pragma GCC unroll 2
        for (int v = 0; v < NT; ++v) in[v] = y[p * NV + from + v];
#pragma GCC unroll 8
        for (int o = 0; o < OUTS; ++o)
#pragma GCC unroll 2
            for (int v = 0; v < NT; ++v) acc[o][v] = dot(acc[o][v], in[v], splat(w[o]));
    }
}

// A stage's block products (n, NV), in its format, with the levels below OUTS done.
template <int OUTS, int NV> void blocks(const Layer& l, const int32_t* w, const V* y, ToFormat& to, V* h) {
    const int size = l.block * l.block / 2;
    ToFormat mine = to;
    for (int b = 0; b < l.n / l.block; ++b, w += size, y += l.block / 2 * NV, h += l.block * NV)
        for (int o = 0; o < l.block; o += OUTS)
            for (int v = 0; v < NV; v += TOGETHER) {
                V acc[OUTS][TOGETHER];
                product<OUTS, NV>(w + o, l.block, y, l.block / 2, v, acc);
#pragma GCC unroll 2
                for (int t = 0; t < (NV < TOGETHER ? NV : TOGETHER); ++t) {
                    V u[OUTS];
#pragma GCC unroll 8
                    for (int k = 0; k < OUTS; ++k) u[k] = mine(acc[k][t]);
                    butterflies<OUTS>(u);
#pragma GCC unroll 8
                    for (int k = 0; k < OUTS; ++k) h[(o + k) * NV + v + t] = u[k];
                }
            }
    to.moved = mine.moved;
}

// R levels of the transform of rows that are `half` vectors apart.
template <int R> void levels(V* h, int vectors, int half) {
    constexpr int M = 1 << R;
    for (int at = 0; at < vectors; at += M * half)
        for (int i = at; i < at + half; ++i) {
            V v[M];
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) v[m] = h[i + m * half];
            butterflies<M>(v);
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) h[i + m * half] = v[m];
        }
}

// The last R levels; their results in the stage format, in pairs.
template <int R, int NV> void last_levels(V* h, int n, ToFormat& to, V* y) {
    constexpr int M = 1 << R;
    const int half = n / M;
    ToFormat mine = to;
    for (int i = 0; i < half; i += 2)
        for (int t = 0; t < NV; ++t) {
            V even[M], odd[M];
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) even[m] = h[(i + m * half) * NV + t];
            butterflies<M>(even);
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) even[m] = mine(even[m]);
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) odd[m] = h[(i + 1 + m * half) * NV + t];
            butterflies<M>(odd);
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) y[(i + m * half) / 2 * NV + t] = pair(even[m], mine(odd[m]));
        }
    to.moved = mine.moved;
}

template <int NV> void transform(V* h, int n, int half, ToFormat& to, V* y) {
    while (n / half > 8) {
        const bool three = n / half >= 32;
        three ? levels<3>(h, n * NV, half * NV) : levels<2>(h, n * NV, half * NV);
        half <<= three ? 3 : 2;
    }
    switch (n / half) {
        case 8: return last_levels<3, NV>(h, n, to, y);
        case 4: return last_levels<2, NV>(h, n, to, y);
        case 2: return last_levels<1, NV>(h, n, to, y);
        default: return last_levels<0, NV>(h, n, to, y);
    }
}

inline void count(const ToFormat* to, int vectors, int live, int64_t& moved) {
    for (int t = 0; t < live && t < vectors * W; ++t) moved += to[t / W].moved[t % W];
}

// Tokens as pairs, (n / 2, NV); those that are not live and what is beyond d are 0.
template <int NV> void take(const Layer& l, const int16_t* x, int live, V* to) {
    for (int v = 0; v < NV; ++v) {
        V index, here;
        for (int t = 0; t < W; ++t) {
            here[t] = -(v * W + t < live);
            index[t] = std::max(std::min(v * W + t, live - 1), 0) * (l.d / 2);
        }
        for (int p = 0; p < l.d / 2; ++p) to[p * NV + v] = look_up_pairs(x + 2 * p, index) & here;
    }
    std::fill_n(to + size_t(l.d / 2) * NV, size_t(l.n - l.d) / 2 * NV, V{});
}

// z (codes, NV) of `live` tokens.
template <int NV> void project(const Layer& l, const Job& job, const int16_t* x, int live, Room& r,
                               int64_t* events) {
    const int codes = l.h * l.tau, outs = (codes + 15) / 16 * 16;
    const auto* w = reinterpret_cast<const int32_t*>(l.w);
    V *x0 = r.x.room(size_t(l.n / 2) * NV), *z = r.z.room(size_t(outs) * NV);
    take<NV>(l, x, live, x0);
    std::vector<ToFormat> to(NV, ToFormat(l.z_shift, l.z));
    if (l.dense) {
        for (int o = 0; o < codes; o += 8)
            for (int v = 0; v < NV; v += TOGETHER) {
                V acc[8][TOGETHER];
                product<8, NV>(w + o, outs, x0, l.d / 2, v, acc);
                for (int k = 0; k < 8 && o + k < codes; ++k)
                    for (int t = 0; t < TOGETHER && v + t < NV; ++t)
                        z[(o + k) * NV + v + t] =
                            to[v + t](rounded(acc[k][t], l.shift_z[0]) + l.z_bias[o + k]);
            }
        return count(to.data(), NV, live, events[Z]);
    }
    V *y = r.y.room(size_t(l.n / 2) * NV), *h = r.h.room(size_t(l.n) * NV);
    const size_t stage = size_t(l.n) * l.block / 2;
    for (int c = 0; c < l.copies; ++c) {
        for (int j = 0; j < 4; ++j, w += stage) {
            ToFormat block(l.shift_block[c * 4 + j], l.stage), hadamard(l.shift_hadamard[c * 4 + j], l.stage);
            if (l.block >= 8) blocks<8, NV>(l, w, j ? y : x0, block, h);
            else blocks<4, NV>(l, w, j ? y : x0, block, h);
            transform<NV>(h, l.n, std::min(l.block, 8), hadamard, y);
            // A token that is not live is 0 everywhere: nothing of it moves.
            events[BLOCK] += total(block.moved);
            events[HADAMARD] += total(hadamard.moved);
        }
        for (int i = 0; i < l.n && c * l.n + i < codes; ++i)
            for (int t = 0; t < NV; ++t) {
                const V both = y[i / 2 * NV + t], past = x0[i / 2 * NV + t];
                const V last = i & 1 ? second_of(both) : first_of(both);
                const V x = i & 1 ? second_of(past) : first_of(past);
                const int at = c * l.n + i;
                z[at * NV + t] = to[t](rounded(last * job.gain, l.shift_z[c])
                                       + rounded(x * job.skip, job.shift_skip) + l.z_bias[at]);
            }
    }
    count(to.data(), NV, live, events[Z]);
}

}  // namespace
