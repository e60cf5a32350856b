// What a layer of LookupFFN is in single precision. sw/kernels/floats.py has the same order of fields.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "walk.h"

struct FloatLayer {
    int32_t d, n, h, tau, block, copies, dense, neighbours, gelu_scaled;
    int32_t kind;                // what the tables are packed as: FP32, BF16 or INT8
    int32_t outs;                // of a dense projection, filled up
    float skip;
    const float* w;              // bh4: (r, 4, n/bs, in, out), H of a block and gain folded in; dense: (d, outs)
    const float* z_bias;         // (codes)
    const float* tables;         // (h, 2**tau, d)
    const float* out_bias;       // (d)
};

namespace {

enum { FP32, BF16, INT8 };

INLINE F as_float(V v) { return F(v); }
INLINE V as_bits(F v) { return V(v); }

}  // namespace
