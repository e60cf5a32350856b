// One LookupFFN layer in single precision, from tables of 32, 16 or 8 bits: as sw.nn computes it, up to the order
// of its sums. Batches, tiles and switches are those of lookup.cpp; every token has the same result in any batch
// and on any number of threads.
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <vector>

#include "float_gather.h"
#include "float_project.h"
#include "pool.h"

namespace {

struct FloatPacked {
    FloatLayer layer;
    int tables, chunks;
    std::vector<float> units;                // INT8: of a table
    Buffer<int8_t> rows;
};

void float_codes(const FloatPacked& p, const float* x, int64_t at, int tokens, FloatBatch& batch) {
    static thread_local FloatRoom room;
    const FloatLayer& l = p.layer;
    const size_t width = size_t((l.h + W - 1) / W * W) * size_t(l.tau);
    float* z = room.z.room(PANEL * width);
    for (int t = 0; t < tokens; ++t) std::fill(z + t * width + l.h * l.tau, z + (t + 1) * width, 0.f);
    float_project(l, x, tokens, room, z, width);
    for (int t = 0; t < tokens; ++t) {
        float_hash(l, z + t * width, l.kind == INT8 ? p.units.data() : nullptr, at + t, batch);
        if (l.kind == INT8) quantise_scores(at + t, batch);
    }
}

void float_columns(const FloatPacked& p, float* y, const Walk& walk, const FloatBatch& batch, int chunk,
                   int64_t from, int64_t to) {
    static thread_local Buffer<float> room;
    const FloatLayer& l = p.layer;
    const int wide = width_of(l.kind), bytes = bytes_of(l.kind);
    const size_t table = size_t(bytes) << l.tau;
    float* acc = room.room(size_t(to - from) * size_t(wide));
    auto* whole = reinterpret_cast<int32_t*>(acc);
    const int run = entries_together(4095);
    walk_tiles(p.rows + size_t(chunk) * size_t(l.h) * table, l.h, table, bytes, batch, from, to, walk,
               [&](const int8_t* tile, const int32_t* rows, const float* scores, bool fresh, Ahead ahead) {
                   if (l.kind == FP32)
                       float_rows<FP32>(tile, rows, scores, to - from, batch.each, fresh, acc, ahead);
                   else if (l.kind == BF16)
                       float_rows<BF16>(tile, rows, scores, to - from, batch.each, fresh, acc, ahead);
                   else
                       add_rows(tile, rows, batch.quantised + (scores - batch.score), to - from, batch.each, run,
                                fresh, whole, ahead);
               });
    const int width = std::min(wide, l.d - chunk * wide);
    const float* bias = l.out_bias + chunk * wide;
    for (int64_t t = from; t < to; ++t) {
        float* out = y + t * l.d + chunk * wide;
        const float* sum = acc + (t - from) * wide;
        const int32_t* words = whole + (t - from) * wide;
        if (l.kind == INT8)
            for (int c = 0; c < width; ++c)
                out[c] = float(words[c] - (c / W & 1 ? 0 : batch.excess[t])) * batch.unit[t] + bias[c];
        else
            for (int c = 0; c < width; ++c) out[c] = sum[c] + bias[c];
    }
}

}  // namespace

extern "C" {

// A layer with its tables packed, or null where there is no memory for them. The other operands are the caller's
// and must live as long.
FloatPacked* hl_float_open(const FloatLayer* layer, int64_t tile, int threads) {
    FloatPacked* p = nullptr;
    try {
        p = new FloatPacked;
        const FloatLayer& l = p->layer = *layer;
        const int64_t table = int64_t(bytes_of(l.kind)) << l.tau;
        p->tables = tables_of(tile, table, l.h);
        p->chunks = (l.d + width_of(l.kind) - 1) / width_of(l.kind);
        int8_t* rows = p->rows.room(size_t(p->chunks) * size_t(l.h) * size_t(table));
        if (l.kind == INT8) p->units.resize(size_t(l.h));
        Pool::each(threads, int64_t(p->units.size()), [&](int64_t k) { p->units[size_t(k)] = table_unit(l, int(k)); });
        Pool::each(threads, p->chunks,
                   [&](int64_t c) { float_pack(l, int(c), p->units.data(), rows + c * l.h * table); });
        p->layer.tables = nullptr;
        return p;
    } catch (const std::bad_alloc&) {
        delete p;
        return nullptr;
    }
}

void hl_float_close(FloatPacked* p) { delete p; }

// y (tokens, d) of x (tokens, d); `seconds` gets what projection with hash, and gather took of all threads'
// time. Nonzero where there was no memory.
int hl_float(const FloatPacked* p, const float* x, float* y, int64_t tokens, const Walk* walk, double* seconds) {
    static thread_local FloatBatch batch;
    FloatBatch& all = batch;                 // that of this thread, also in the others
    const FloatLayer& l = p->layer;
    std::atomic<bool> failed{false};
    const auto share = [&](int64_t items, const auto& work) {
        const double begin = processor_seconds();
        Pool::each(walk->threads, items, [&](int64_t item) {
            try {
                work(item);
            } catch (const std::bad_alloc&) {
                failed = true;
            }
        });
        return processor_seconds() - begin;
    };
    seconds[0] = seconds[1] = 0;
    try {
        for (int64_t first = 0; first < tokens && !failed; first += walk->batch) {
            const int64_t count = std::min<int64_t>(walk->batch, tokens - first);
            all.shape(l.h, l.neighbours ? 1 + l.tau : 1, p->tables, count);
            if (l.kind == INT8) {
                all.quantised.room(size_t(all.groups) * size_t(all.each) * size_t(count));
                all.unit.room(size_t(count));
                all.excess.room(size_t(count));
            }
            seconds[0] += share((count + PANEL - 1) / PANEL, [&](int64_t panel) {
                const int64_t at = panel * PANEL;
                float_codes(*p, x + (first + at) * l.d, at, int(std::min<int64_t>(PANEL, count - at)), all);
            });
            if (failed) break;
            const int64_t slices = std::min<int64_t>((walk->threads + p->chunks - 1) / p->chunks, count);
            seconds[1] += share(p->chunks * slices, [&](int64_t item) {
                const int64_t slice = item % slices;
                float_columns(*p, y + first * l.d, *walk, all, int(item / slices), count * slice / slices,
                              count * (slice + 1) / slices);
            });
        }
    } catch (const std::bad_alloc&) {
        failed = true;
    }
    return failed;
}
}
