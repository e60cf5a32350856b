// The way of a batch of tokens through the tiles of the tables, whatever a table holds.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>

#include "vectors.h"

// How a job is walked. sw/kernels/tuning.py measures both switches.
struct Walk {
    int32_t threads;
    int32_t rows_up_to;                      // so many tokens that are left over are projected one by one
    int32_t whole_from;                      // from so many tokens on, tiles are fetched whole
    int32_t batch;                           // tokens at most
};

namespace {

constexpr int CACHE_LINE = 64;

// Rows and scores of the tokens of a batch, in the order in which the gather reads them:
// (group of tables, token, entry).
template <typename Score> struct Entries {
    int per_table, tables, groups, each;     // entries of a table; tables and entries of a group (even)
    int64_t tokens = 0;
    Buffer<int32_t> row;                     // of the group's tile
    Buffer<Score> score;

    void shape(int h, int entries_of_a_table, int tables_of_a_tile, int64_t count) {
        per_table = entries_of_a_table;
        tables = std::min(tables_of_a_tile, h);
        groups = (h + tables - 1) / tables;
        each = (tables * per_table + 1) / 2 * 2;
        tokens = count;
        const size_t all = size_t(groups) * size_t(each) * size_t(count);
        row.room(all);
        score.room(all);
        // Entries that fill up a group weigh nothing.
        if (each != tables * per_table || h % tables) {
            std::fill_n(row.get(), all, 0);
            std::fill_n(score.get(), all, Score(0));
        }
    }
    INLINE size_t at(int table, int64_t token) const {
        return (size_t(table / tables) * size_t(tokens) + size_t(token)) * size_t(each)
               + size_t(table % tables * per_table);
    }
};

constexpr int IN_FLIGHT = 256;               // cache lines that are asked for before they are read

// Towards the second-level cache: the first one has few places for lines that are on their way (some 12 to 24),
// and a read that has to wait for one of them waits for memory.
INLINE void ask_for(const int8_t* line) { __builtin_prefetch(line, 0, 2); }

// What is fetched while a step runs: `lines` of the next tile, which are read anyway, spread over the tokens; or
// the very rows of the token that comes `distance` later, in this step or as one of the first of a later one.
struct Ahead {
    const int8_t *tile = nullptr, *next = nullptr;
    const int32_t *rows = nullptr, *next_rows = nullptr;
    int64_t lines = 0, tokens = 1, distance = 0, done = 0, due = 0;
    int bytes = CACHE_LINE;                  // of a row

    INLINE void fetch(const int8_t* from, const int32_t* row, int each) const {
        for (int e = 0; e < each; ++e)
            for (int at = 0; at < bytes; at += CACHE_LINE)
                ask_for(from + size_t(row[e]) * size_t(bytes) + at);
    }
    INLINE void token(int64_t t, int each) {
        if (lines) {
            for (due += lines; due >= tokens; due -= tokens, ++done)
                ask_for(next + done * CACHE_LINE);
        } else if (t + distance < tokens) {
            fetch(tile, rows + (t + distance) * each, each);
        } else if (next) {
            fetch(next, next_rows + (t + distance - tokens) * each, each);
        }
    }
};

// Tables of a tile of at most so many bytes, one at least.
inline int tables_of(int64_t tile, int64_t table, int h) {
    return int(std::min<int64_t>(std::max<int64_t>(tile / table, 1), h));
}

// All tiles of a column (h tables of `table` bytes, rows of `bytes`) for the tokens from..to of a batch, by
// step(tile, rows, scores, whether it is the first, what is fetched meanwhile).
template <typename Score, typename Step>
void walk_tiles(const int8_t* column, int h, size_t table, int bytes, const Entries<Score>& entries,
                int64_t from, int64_t to, const Walk& walk, const Step& step) {
    const int64_t tokens = to - from, steps = entries.groups;
    const size_t each = size_t(entries.each), slab = size_t(entries.tokens) * each;
    const size_t tile = size_t(entries.tables) * table;
    const bool whole = tokens >= walk.whole_from;
    // The rows of so many tokens are on their way; with few tokens, those of all in so many steps.
    const int64_t some = std::max<int64_t>(1, IN_FLIGHT * CACHE_LINE / bytes / entries.each);
    const int64_t distance = std::min(tokens, some), later = std::max<int64_t>(1, some / tokens);
    const auto ahead = [&](int64_t group, int64_t other) {
        Ahead a;
        a.tokens = tokens;
        a.bytes = bytes;
        a.distance = distance;
        a.tile = column + size_t(group) * tile;
        a.rows = entries.row + size_t(group) * slab + size_t(from) * each;
        if (other >= steps) return a;
        a.next = column + size_t(other) * tile;
        a.next_rows = entries.row + size_t(other) * slab + size_t(from) * each;
        if (whole) a.lines = int64_t(std::min(tile, (size_t(h) * table - size_t(other) * tile)) / CACHE_LINE);
        return a;
    };
    for (int64_t group = 0; group < std::min(later, steps); ++group) {
        const Ahead now = ahead(group, steps);
        for (int64_t t = 0; t < distance; ++t) now.fetch(now.tile, now.rows + t * entries.each, entries.each);
    }
    for (int64_t group = 0; group < steps; ++group) {
        const size_t at = size_t(group) * slab + size_t(from) * each;
        step(column + size_t(group) * tile, entries.row + at, entries.score + at, group == 0,
             ahead(group, group + (whole ? 1 : later)));
    }
}

}  // namespace
