// A mapped module over recorded inputs, 64 instances in the bits of a word: values of all nets cycle by
// cycle, how often each toggles, and how often outputs are not what was recorded. A second set of values
// begins with other bits in the flip-flops: where both sets differ, an output is what nobody has set yet, and
// is not compared, nor are outputs before the cycle `from`. Compiled and called by synth/replay.py, which says what the arrays hold.
#include <cstdint>

static void settle(const int32_t* ops, int64_t count, uint64_t* values) {
    for (const int32_t* op = ops; op != ops + 4 * count; op += 4) {
        const uint64_t a = values[op[2]], b = values[op[3]];
        uint64_t& to = values[op[1]];
        switch (op[0]) {
            case 0: to = a & b; break;
            case 1: to = a | b; break;
            case 2: to = a ^ b; break;
            default: to = ~a;
        }
    }
}

// All flip-flops take what stands before them; a row of states is state, what follows it, room between.
static void clock(const int32_t* states, int64_t count, uint64_t* values) {
    for (int64_t i = 0; i < count; ++i) values[states[3 * i + 2]] = values[states[3 * i + 1]];
    for (int64_t i = 0; i < count; ++i) values[states[3 * i]] = values[states[3 * i + 2]];
}

// A bit of the row for each instance; `at` has their places, the lowest bit of the first byte is 0.
static uint64_t word(const uint8_t* row, const int32_t* at, int64_t instances) {
    uint64_t found = 0;
    for (int64_t i = 0; i < instances; ++i)
        found |= uint64_t(row[at[i] >> 3] >> (at[i] & 7) & 1) << i;
    return found;
}

extern "C" void hl_replay(int64_t cycles, int64_t nets, const int32_t* ops, int64_t count,
                          const int32_t* states, int64_t state_count, const int32_t* inputs,
                          int64_t input_count, const uint8_t* rows, int64_t bytes, int64_t instances,
                          const int32_t* places, const uint8_t* phases, uint64_t* values, uint64_t* other,
                          uint64_t* last, int64_t* toggles, int64_t* highs, const int32_t* outputs, int64_t output_count,
                          const int32_t* expected, int64_t from, int64_t* wrong,
                          int64_t* compared) {
    const uint64_t used = instances < 64 ? (uint64_t(1) << instances) - 1 : ~uint64_t(0);
    for (int64_t cycle = 0; cycle < cycles; ++cycle) {
        const uint8_t* row = rows + cycle * bytes;
        for (int64_t i = 0; i < input_count; ++i)
            values[inputs[i]] = other[inputs[i]] = word(row, places + i * instances, instances);
        settle(ops, count, values);
        if (output_count) settle(ops, count, other);
        int64_t* toggled = toggles + phases[cycle] * nets;
        int64_t* high = highs + phases[cycle] * nets;
        for (int64_t net = 0; net < nets; ++net) {
            toggled[net] += __builtin_popcountll((values[net] ^ last[net]) & used);
            high[net] += __builtin_popcountll(values[net] & used);
            last[net] = values[net];
        }
        for (int64_t i = 0; cycle >= from && i < output_count; ++i) {
            const uint64_t value = values[outputs[i]], known = ~(value ^ other[outputs[i]]) & used;
            wrong[i] += __builtin_popcountll((value ^ word(row, expected + i * instances, instances)) & known);
            compared[i] += __builtin_popcountll(known);
        }
        clock(states, state_count, values);
        if (output_count) clock(states, state_count, other);
    }
}
