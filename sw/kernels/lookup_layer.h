// What a layer of LookupFFN and a job are, in the integers of model/lookup. sw/kernels/lookup.py has the same
// order of fields.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "walk.h"

struct Format {
    int32_t low, high;
};

// Sizes, formats, operands and tables of a layer.
struct Layer {
    int32_t d, n, h, tau, block, copies, dense, neighbours, gelu_scaled, residual;
    int32_t log_size, log_step, log_drop, exp_index, flip_factor, flip_shift, z_shift, one;
    int32_t narrow;              // whether the words of a score have at most 31 bits
    Format stage, z, score, output;
    const int16_t* w;            // bh4: (r, 4, n/bs, bs in / 2, bs out, 2); dense: (d / 2, outs, 2)
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
inline V rounded(V value, int shift) { return (value + half_of(shift)) >> shift; }

// Rounds and holds vectors to a format, and counts in every lane what moved.
struct ToFormat {
    V half, low, high;
    int shift;
    V moved{};
    ToFormat(int shift, Format to) : half(splat(half_of(shift))), low(splat(to.low)), high(splat(to.high)),
                                     shift(shift) {}
    INLINE V operator()(V value) {
        const V v = (value + half) >> shift, held = least(most(v, low), high);
        moved -= V(held != v);
        return held;
    }
};

}  // namespace
