// The sum of table rows times weights in single precision, from tables of 32, 16 or 8 bits.
//
// A packed row of FP32 or BF16 has two cache lines, of INT8 one, as the integer kernel has it. Two entries of
// BF16 share a word: that of column c is the lower half and that of W columns on the upper, so that each is a
// float by a shift or a mask.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "float_hash.h"
#include "lookup_gather.h"

namespace {

// Columns and bytes of a packed row.
inline int width_of(int kind) { return kind == FP32 ? 32 : 64; }
inline int bytes_of(int kind) { return kind == INT8 ? 64 : 128; }

inline uint16_t to_bf16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// What a unit of the INT8 entries of a table is: the largest is 127.
inline float table_unit(const FloatLayer& l, int table) {
    const size_t size = size_t(l.d) << l.tau;
    float largest = 0;
    for (size_t i = 0; i < size; ++i) largest = std::max(largest, __builtin_fabsf(l.tables[table * size + i]));
    return largest > 0 ? largest / 127 : 1;
}

// Tables to (chunk, table, row, width_of(kind)); what is beyond d is 0.
inline void float_pack(const FloatLayer& l, int chunk, const float* units, int8_t* to) {
    const int wide = width_of(l.kind), first = chunk * wide, width = std::min(wide, l.d - first);
    const float* from = l.tables + first;
    for (int64_t row = 0; row < int64_t(l.h) << l.tau; ++row, from += l.d, to += bytes_of(l.kind)) {
        float value[64] = {};
        std::memcpy(value, from, size_t(width) * 4);
        if (l.kind == FP32) std::memcpy(to, value, 128);
        for (int c = 0; c < 64 && l.kind == BF16; ++c) {
            const uint16_t bits = to_bf16(value[c]);
            std::memcpy(to + 2 * (c / (2 * W) * 2 * W + c % W * 2 + (c / W & 1)), &bits, 2);
        }
        for (int c = 0; c < 64 && l.kind == INT8; ++c) {
            const float units_of = value[c] / units[row >> l.tau];
            const int held = int(units_of + (units_of < 0 ? -0.5f : 0.5f));
            to[place(c)] = int8_t(c / W & 1 ? held : held ^ -128);
        }
    }
}

// One group of tables for all tokens: acc (tokens, width_of(KIND)) += sums.
template <int KIND> void float_rows(const int8_t* tile, const int32_t* rows, const float* scores, int64_t tokens,
                                    int each, bool fresh, float* acc, Ahead ahead) {
    constexpr int WIDTH = KIND == FP32 ? 32 : 64, SUMS_OF = WIDTH / W, LOADS = 32 / W;
    for (int64_t t = 0; t < tokens; ++t, rows += each, scores += each, acc += WIDTH) {
        ahead.token(t, each);
        F sum[SUMS_OF];
#pragma GCC unroll 16
        for (int i = 0; i < SUMS_OF; ++i) sum[i] = fresh ? F{} : load<F>(acc + i * W);
        for (int e = 0; e < each; ++e) {
            const int8_t* row = tile + size_t(rows[e]) * 128;
            const F score = splat(scores[e]);
#pragma GCC unroll 8
            for (int i = 0; i < LOADS; ++i) {
                if (KIND == FP32) {
                    sum[i] += score * load<F>(row + i * 4 * W);
                } else {
                    const V both = load(row + i * 4 * W);
                    sum[2 * i % SUMS_OF] += score * as_float(both << 16);
                    sum[(2 * i + 1) % SUMS_OF] += score * as_float(both & splat(int32_t(0xFFFF0000)));
                }
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < SUMS_OF; ++i) store(acc + i * W, sum[i]);
    }
}

}  // namespace
