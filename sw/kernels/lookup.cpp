// One LookupFFN layer in the integers of model/lookup, bit for bit, counters included.
//
// Tokens go in batches: first all are projected and hashed, then every tile of the tables is walked by all of
// them, a column of tiles after the other. While a tile is walked the next one is fetched: all of it where the
// batch reads most of it anyway, else the very rows that will be read. Sums are of 32 bits: who calls has made
// sure that none is wider (sw/kernels/lookup.py). The file is compiled once plainly, once for AVX2 and once for
// AVX-512 with VNNI.
// SPDX-License-Identifier: Apache-2.0

#include <atomic>

#include "lookup_gather.h"
#include "lookup_hash.h"
#include "lookup_rows.h"
#include "pool.h"

namespace {

constexpr int WIDE = 2;                      // vectors of tokens in a tile

struct Packed {
    Layer layer;
    int tables, chunks, run;                 // tables of a tile; chunks of 64 columns; entries that go together
    Buffer<int8_t> rows;
};

}  // namespace

namespace {

// Project and hash up to a tile of tokens, which begin at `in_batch` of the batch and `first` of the job.
void codes_of(const Layer& l, const Job& job, const Walk& walk, int64_t first, int64_t in_batch, int live,
              Batch& entries, int64_t* events) {
    static thread_local Room room;
    const int16_t* x = job.x + first * l.d;
    const int outs = (l.h * l.tau + 15) / 16 * 16;
    if (live <= walk.rows_up_to && fits_rows(l)) {
        int32_t* z = reinterpret_cast<int32_t*>(room.z.room(size_t(outs) * FEW / W + 1));
        for (int t = 0; t < live; t += FEW) {
            const int few = std::min(FEW, live - t);
            project_rows(l, job, x + int64_t(t) * l.d, few, room, z, events);
            hash_each(l, job, z, 1, size_t(outs), few, first + t, in_batch + t, entries, events);
        }
        return;
    }
    const bool narrow = live <= W;
    narrow ? project<1>(l, job, x, live, room, events) : project<WIDE>(l, job, x, live, room, events);
    if (!l.narrow)
        hash_each(l, job, reinterpret_cast<const int32_t*>(room.z.get()), size_t(narrow ? W : WIDE * W), 1, live,
                  first, in_batch, entries, events);
    else if (narrow) hash<1>(l, job, room.z, live, first, in_batch, entries, events);
    else hash<WIDE>(l, job, room.z, live, first, in_batch, entries, events);
}

// One chunk of columns for the tokens from..to of a batch that begins at `first`.
void columns(const Packed& p, const Job& job, const Walk& walk, const Batch& entries, int chunk, int64_t first,
             int64_t from, int64_t to, int64_t* events) {
    static thread_local Buffer<int32_t> room;
    int32_t* acc = room.room(size_t(to - from) * COLUMNS);
    const size_t table = size_t(COLUMNS) << p.layer.tau;
    walk_tiles(p.rows + size_t(chunk) * size_t(p.layer.h) * table, p.layer.h, table, COLUMNS, entries, from, to, walk,
               [&](const int8_t* tile, const int32_t* rows, const int16_t* scores, bool fresh, Ahead ahead) {
                   add_rows(tile, rows, scores, to - from, entries.each, p.run, fresh, acc, ahead);
               });
    finish(p.layer, job, entries.excess, chunk, first, from, to, acc, events);
}

}  // namespace

extern "C" {

// What this machine can run: 0 what was compiled plainly, 1 for AVX2, 2 for AVX-512 with VNNI.
int hl_level() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        return 2;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
#else
    return 0;
#endif
}

// A layer with its tables packed, or null where there is no memory for them. A tile has up to `tile` bytes. The
// other operands are the caller's and must live as long.
Packed* hl_lookup_open(const Layer* layer, int64_t tile, int threads) {
    try {
        Packed* p = new Packed;
        const Layer& l = p->layer = *layer;
        const int64_t table = int64_t(COLUMNS) << l.tau;
        p->tables = tables_of(tile, table, l.h);
        p->chunks = (l.d + COLUMNS - 1) / COLUMNS;
        p->run = entries_together(std::max<int64_t>(l.score.high, -int64_t(l.score.low)));
        int8_t* rows = nullptr;
        try {
            rows = p->rows.room(size_t(p->chunks) * size_t(l.h) * size_t(table));
        } catch (const std::bad_alloc&) {
            delete p;
            return nullptr;
        }
        Pool::each(threads, p->chunks, [&](int64_t chunk) { pack(l, int(chunk), rows + chunk * l.h * table); });
        p->layer.tables = nullptr;
        return p;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void hl_lookup_close(Packed* p) { delete p; }

// Run a job; `events` gets the five counters of saturated values, `seconds` what projection with hash, and gather
// took of all threads' time. Nonzero where there was no memory.
int hl_lookup(const Packed* p, const Job* job, const Walk* walk, int64_t* events, double* seconds) {
    static thread_local Batch entries;
    std::atomic<int64_t> counts[EVENTS] = {};
    std::atomic<bool> failed{false};
    const auto share = [&](int64_t items, const auto& work) {
        const double begin = processor_seconds();
        Pool::each(walk->threads, items, [&](int64_t item) {
            int64_t mine[EVENTS] = {};
            try {
                work(item, mine);
            } catch (const std::bad_alloc&) {
                failed = true;
            }
            for (int e = 0; e < EVENTS; ++e)
                if (mine[e]) counts[e] += mine[e];
        });
        return processor_seconds() - begin;
    };
    constexpr int64_t TILE = WIDE * W;
    seconds[0] = seconds[1] = 0;
    try {
        Batch& all = entries;              // that of this thread, also in the others
        for (int64_t first = 0; first < job->tokens && !failed; first += walk->batch) {
            const int64_t count = std::min<int64_t>(walk->batch, job->tokens - first);
            all.shape(p->layer.h, p->layer.neighbours ? 1 + p->layer.tau : 1, p->tables, count);
            all.excess.room(size_t(count));
            seconds[0] += share((count + TILE - 1) / TILE, [&](int64_t tile, int64_t* mine) {
                codes_of(p->layer, *job, *walk, first + tile * TILE, tile * TILE,
                         int(std::min(TILE, count - tile * TILE)), all, mine);
            });
            if (failed) break;
            const int64_t slices = std::min<int64_t>((walk->threads + p->chunks - 1) / p->chunks, count);
            seconds[1] += share(p->chunks * slices, [&](int64_t item, int64_t* mine) {
                const int64_t slice = item % slices;
                columns(*p, *job, *walk, all, int(item / slices), first, count * slice / slices,
                        count * (slice + 1) / slices, mine);
            });
        }
    } catch (const std::bad_alloc&) {
        failed = true;
    }
    for (int e = 0; e < EVENTS; ++e) events[e] = counts[e];
    return failed;
}
}
