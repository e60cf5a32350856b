// From z to rows and weights in single precision, W tables at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "float_layer.h"

namespace {

// e^x for x <= 0, within 2 units in the last place; nothing is below 2^-126.
INLINE F exp_of(F x) {
    F t = x * 1.44269504f;
    t = t < -126.f ? splat(-126.f) : t;
    const F shifted = t + 12582912.f;                    // 1.5 * 2^23: the nearest integer in the low bits
    const F f = t - (shifted - 12582912.f);
    F p = f * 1.5403530e-4f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.f;
    return as_float(as_bits(p) + (as_bits(shifted) << 23));
}

struct FloatBatch : Entries<float> {
    Buffer<int16_t> quantised;               // INT8: scores of 12 bits, in the order of `score`
    Buffer<float> unit;                      // (token): what one of them is
    Buffer<int32_t> excess;                  // (token): 128 times their sum
};

// One token, z filled up to whole vectors of tables; `scale` (h) multiplies the weights, or is null.
inline void float_hash(const FloatLayer& l, const float* z, const float* scale, int64_t token, FloatBatch& to) {
    V lane;
    for (int i = 0; i < W; ++i) lane[i] = i * l.tau;
    const int entries = to.per_table;
    for (int k = 0; k < l.h; k += W) {
        V code{};
        F sum{}, product = splat(1.f), magnitude[16], fall[16];
        for (int j = 0; j < l.tau; ++j) {
            const V bits = look_up(reinterpret_cast<const int32_t*>(z + k * l.tau + j), lane);
            code += code - V(as_float(bits) > 0.f);
            magnitude[j] = as_float(bits & 0x7FFFFFFF);
            fall[j] = exp_of(magnitude[j] * -2.f);
            sum += magnitude[j];
            product *= fall[j] + 1.f;
        }
        const F plain = 1.f / product + (sum - sum);     // an exponential loses what is not finite
        for (int e = 0; e < entries; ++e) {
            F weight = plain, inner = sum;
            V row = code;
            if (e) {
                weight *= fall[e - 1];
                inner -= 2.f * magnitude[e - 1];
                row ^= 1 << (l.tau - e);
            }
            if (l.gelu_scaled) weight *= inner;
            for (int i = 0; i < W && k + i < l.h; ++i) {
                const size_t at = to.at(k + i, token) + size_t(e);
                to.row[at] = ((k + i) % to.tables << l.tau) + row[i];
                to.score[at] = scale ? weight[i] * scale[k + i] : weight[i];
            }
        }
    }
}

// Scores of a token to 12 bits and a sign, of the largest.
inline void quantise_scores(int64_t token, FloatBatch& b) {
    constexpr float LARGEST = 4095;
    const auto each = [&](const auto& what) {
        for (int g = 0; g < b.groups; ++g) {
            const size_t at = (size_t(g) * size_t(b.tokens) + size_t(token)) * size_t(b.each);
            for (size_t e = at; e < at + size_t(b.each); ++e) what(e);
        }
    };
    float largest = 0;
    each([&](size_t e) { largest = std::max(largest, __builtin_fabsf(b.score[e])); });
    const float by = largest > 0 ? LARGEST / largest : 0;
    int32_t sum = 0;
    each([&](size_t e) {
        const float value = b.score[e] * by;
        b.quantised[e] = int16_t(value + (value < 0 ? -0.5f : 0.5f));
        sum += b.quantised[e];
    });
    b.unit[token] = largest / LARGEST;
    b.excess[token] = 128 * sum;
}

}  // namespace
