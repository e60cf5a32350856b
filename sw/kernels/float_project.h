// Projection of a panel of tokens in single precision. Of H = H_(n/bs) (x) H_bs the inner factor stands in the
// packed blocks, so that what is left after a block product adds and subtracts whole blocks.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "float_layer.h"

namespace {

constexpr int GROUP = W == 16 ? 12 : W == 8 ? 6 : 4;     // tokens that share a load of the weights
constexpr int PANEL = 48;                                // tokens that share a stage's weights in the first cache

struct FloatRoom {
    Buffer<float> x, u, z;
};

// u (TOKENS, NV vectors) = x (TOKENS, in) w (in, out).
template <int TOKENS, int NV> INLINE void float_product(const float* x, size_t step, const float* w, size_t outs, int in,
                                                        float* u, size_t out_step) {
    F acc[TOKENS][NV];
#pragma GCC unroll 12
    for (int t = 0; t < TOKENS; ++t)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[t][v] = F{};
    for (int k = 0; k < in; ++k, w += outs) {
        F weight[NV];
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) weight[v] = load<F>(w + v * W);
#pragma GCC unroll 12
        for (int t = 0; t < TOKENS; ++t) {
            const F value = splat(x[size_t(t) * step + size_t(k)]);
#pragma GCC unroll 2
            for (int v = 0; v < NV; ++v) acc[t][v] += value * weight[v];
        }
    }
#pragma GCC unroll 12
    for (int t = 0; t < TOKENS; ++t)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) store(u + size_t(t) * out_step + v * W, acc[t][v]);
}

template <int TOKENS> void float_products(const float* x, size_t step, const float* w, int outs, int in, float* u,
                                          size_t out_step) {
    int o = 0;
    for (; o + 2 * W <= outs; o += 2 * W)
        float_product<TOKENS, 2>(x, step, w + o, size_t(outs), in, u + o, out_step);
    for (; o + W <= outs; o += W)
        float_product<TOKENS, 1>(x, step, w + o, size_t(outs), in, u + o, out_step);
    // Blocks that are smaller than a vector.
    for (; o < outs; ++o)
        for (int t = 0; t < TOKENS; ++t) {
            float sum = 0;
            for (int k = 0; k < in; ++k) sum += x[size_t(t) * step + size_t(k)] * w[k * outs + o];
            u[size_t(t) * out_step + size_t(o)] = sum;
        }
}

// The same for any number of tokens.
inline void float_products(int tokens, const float* x, size_t step, const float* w, int outs, int in, float* u,
                           size_t out_step) {
    for (int t = 0; t < tokens; t += GROUP, x += GROUP * step, u += GROUP * out_step)
        switch (std::min(GROUP, tokens - t)) {
#define OF(count) case count: float_products<(count <= GROUP ? count : 1)>(x, step, w, outs, in, u, out_step); break;
            OF(1) OF(2) OF(3) OF(4) OF(5) OF(6) OF(7) OF(8) OF(9) OF(10) OF(11) OF(12)
#undef OF
        }
}

// R levels of the transform of a row, its elements `half` and more apart. T is a vector, or a float where the
// halves are smaller than one.
template <int R, typename T> void float_levels(float* u, int n, int half) {
    constexpr int M = 1 << R, STEP = sizeof(T) / 4;
    for (int at = 0; at < n; at += M * half)
        for (int i = at; i < at + half; i += STEP) {
            T v[M];
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) v[m] = load<T>(u + i + m * half);
            butterflies<M>(v);
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) store(u + i + m * half, v[m]);
        }
}

template <typename T> void outer(float* u, int n, int half) {
    while (half < n) switch (n / half) {
        case 2: float_levels<1, T>(u, n, half); half *= 2; break;
        case 4: case 16: float_levels<2, T>(u, n, half); half *= 4; break;
        default: float_levels<3, T>(u, n, half); half *= 8;
    }
}

// z (tokens, width) of up to PANEL tokens x (tokens, d).
inline void float_project(const FloatLayer& l, const float* x, int tokens, FloatRoom& r, float* z, size_t width) {
    const int codes = l.h * l.tau;
    if (l.dense) {
        float* u = r.u.room(size_t(PANEL) * size_t(l.outs));
        float_products(tokens, x, size_t(l.d), l.w, l.outs, l.d, u, size_t(l.outs));
        for (int t = 0; t < tokens; ++t)
            for (int i = 0; i < codes; ++i) z[t * width + i] = u[size_t(t) * l.outs + i] + l.z_bias[i];
        return;
    }
    const size_t n = size_t(l.n);
    const float* x0 = x;
    if (l.d < l.n) {
        float* padded = r.x.room(PANEL * n);
        for (int t = 0; t < tokens; ++t) {
            std::memcpy(padded + t * n, x + size_t(t) * l.d, size_t(l.d) * 4);
            std::fill(padded + t * n + l.d, padded + (t + 1) * n, 0.f);
        }
        x0 = padded;
    }
    float *one = r.u.room(2 * PANEL * n), *two = one + PANEL * n;
    const float* w = l.w;
    for (int c = 0; c < l.copies; ++c) {
        for (int j = 0; j < 4; ++j) {
            const float* from = j == 0 ? x0 : j & 1 ? two : one;
            float* to = j & 1 ? one : two;
            for (int b = 0; b < l.n; b += l.block, w += size_t(l.block) * l.block)
                float_products(tokens, from + b, n, w, l.block, l.block, to + b, n);
            for (int t = 0; t < tokens; ++t)
                l.block >= W ? outer<F>(to + t * n, l.n, l.block) : outer<float>(to + t * n, l.n, l.block);
        }
        const int first = c * l.n, count = std::min(l.n, codes - first);
        for (int t = 0; t < tokens; ++t) {
            const float *last = one + t * n, *past = x0 + t * n, *bias = l.z_bias + first;
            float* to = z + t * width + first;
            for (int i = 0; i < count; ++i) to[i] = last[i] + l.skip * past[i] + bias[i];
        }
    }
}

}  // namespace
