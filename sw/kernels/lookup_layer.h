// What a layer of LookupFFN and a job are, in the integers of model/lookup. sw/kernels/lookup.py has the same
// order of fields.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <vector>

#include "vectors.h"

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

constexpr int COLUMNS = 64;      // columns of a table in one cache line: a chunk

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

// Rows and scores of the tokens of a batch, in the order in which the gather reads them:
// (group of tables, token, entry).
struct Entries {
    int per_table, tables, groups, each;     // entries of a table; tables and entries of a group (even)
    int64_t tokens = 0;
    Buffer<int32_t> row;                     // cache line in the group's tile
    Buffer<int16_t> score;
    Buffer<int32_t> excess;                  // (token): 128 times the sum of its scores

    void shape(const Layer& l, int tables_of_a_tile, int64_t count) {
        per_table = l.neighbours ? 1 + l.tau : 1;
        tables = std::min(tables_of_a_tile, l.h);
        groups = (l.h + tables - 1) / tables;
        each = (tables * per_table + 1) / 2 * 2;
        tokens = count;
        row.room(size_t(groups) * each * count);
        score.room(size_t(groups) * each * count);
        excess.room(size_t(count));
        // Entries that fill up a group weigh nothing.
        if (each != tables * per_table || l.h % tables) {
            std::fill_n(row.get(), size_t(groups) * each * count, 0);
            std::fill_n(score.get(), size_t(groups) * each * count, int16_t(0));
        }
    }
    INLINE size_t at(int table, int64_t token) const {
        return (size_t(table / tables) * size_t(tokens) + size_t(token)) * each + (table % tables) * per_table;
    }
};

}  // namespace
