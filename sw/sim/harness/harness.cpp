// Drives a verilated engine from a script and records what it answers; no VPI, so it is fast.
//
// The generated streams.inc names the streams and probes of the top:
//   IN(name, port, bits)  OUT(name, port, bits)  PROBE(name, port, bits)
// where `port` is the name that Verilator gives it (`__` becomes `___05F`).
// usage: harness SCRIPT RESULT. Script lines, in order; pushes only queue, waits let time pass:
//   push STREAM HEX          one payload for an input stream
//   wait STREAM COUNT        until COUNT transfers of the stream (either direction) since the last
//                            reset
//   idle CYCLES              let time pass
//   stall STREAM P BURST SEED   pause the host's side with probability P, BURST cycles on average
//   reset CYCLES             hold rst; drops what is queued, and transfers count from 0 again
//   memory REQUEST RESPONSE LATENCY JITTER SEED FILE   answer every transfer of output REQUEST, a word
//                            number, with that word of FILE (the rest of the line) on input
//                            RESPONSE, in order, LATENCY to LATENCY + JITTER cycles later. Words are raw bytes, lowest first,
//                            filled to a multiple of four
//   limit CYCLES             a wait may take so many cycles, then the run fails
//   seed N                   power-up bits, first line only
// Result lines: "STREAM CYCLE [HEX]" a transfer, "PROBE CYCLE HEX" a change, "reset CYCLE" the first
// cycle with rst, "end CYCLE", or
// "error TEXT". Progress goes to stdout as "CYCLE" lines.
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

using Words = std::vector<uint32_t>;

// Ports of every width as 32-bit words, lowest first.
template <typename T> void put(T& port, const Words& w) {
    uint64_t v = w[0];
    if (w.size() > 1) v |= uint64_t(w[1]) << 32;
    port = T(v);
}
template <std::size_t N> void put(VlWide<N>& port, const Words& w) {
    for (std::size_t i = 0; i < N; ++i) port[i] = w[i];
}
template <typename T> void get(const T& port, Words& w) {
    w[0] = uint32_t(port);
    if (w.size() > 1) w[1] = uint32_t(uint64_t(port) >> 32);
}
template <std::size_t N> void get(const VlWide<N>& port, Words& w) {
    for (std::size_t i = 0; i < N; ++i) w[i] = port[i];
}

static std::size_t words(int bits) { return bits ? (bits + 31) / 32 : 1; }

static Words parse(const std::string& hex, int bits) {
    Words w(words(bits));
    for (std::size_t i = 0; i < hex.size(); ++i) {
        const char c = hex[hex.size() - 1 - i];
        const uint32_t digit = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
        if (digit && i / 8 < w.size()) w[i / 8] |= digit << (4 * (i % 8));
    }
    return w;
}

static void print(std::FILE* to, const Words& w) {
    std::size_t top = w.size() - 1;
    while (top && !w[top]) --top;
    std::fprintf(to, "%" PRIx32, w[top]);
    while (top--) std::fprintf(to, "%08" PRIx32, w[top]);
}

// Decides cycle by cycle whether the host's side of a stream pauses.
struct Stall {
    double probability = 0;
    double burst = 1;
    std::mt19937_64 random{1};
    bool paused = false;
    long left = 0;
    double uniform() { return double(random() >> 11) * 0x1p-53; }
    bool operator()() {
        if (probability <= 0) return false;
        if (left == 0) {
            paused = uniform() < probability;
            left = burst <= 1 ? 1 : 1 + long(-std::log(1 - uniform()) * burst);
        }
        --left;
        return paused;
    }
};

struct Stream {
    std::string name;
    int bits;
    bool input;
    Stall stall;
    std::deque<Words> queue;   // input: waiting to go in
    std::deque<uint64_t> due;  // the cycle from which each may
    bool offered = false;
    uint64_t count = 0;
    Words now;
};

// A memory behind a pair of streams.
struct Memory {
    std::string request, response;
    std::vector<uint32_t> data;
    uint64_t latency = 1, jitter = 0;
    std::mt19937_64 random{1};
};
static std::vector<Memory> memories;

static VerilatedContext context;
static std::unique_ptr<Vtop> top;
static std::vector<Stream> streams;
static std::FILE* result;
static uint64_t cycle = 0, limit = 10'000'000;

// A result that is not on the disk to its last byte is none.
static void close_result() {
    const bool bad = std::fflush(result) || std::ferror(result);
    if (std::fclose(result) || bad) {
        std::perror("the record of the simulation cannot be written");
        std::exit(3);
    }
}

[[noreturn]] static void fail(const std::string& text) {
    std::fprintf(result, "error %s\n", text.c_str());
    close_result();
    std::exit(1);
}

static Stream& find(const std::string& name) {
    for (auto& s : streams)
        if (s.name == name) return s;
    fail("no stream is called " + name);
}

static void serve(Memory& m, uint64_t address) {
    Stream& to = find(m.response);
    const std::size_t size = words(to.bits);
    if ((address + 1) * size > m.data.size()) fail("word " + std::to_string(address) + " of " +
                                                   m.request + " lies beyond the memory");
    to.queue.emplace_back(m.data.begin() + address * size, m.data.begin() + (address + 1) * size);
    to.due.push_back(cycle + m.latency + (m.jitter ? m.random() % (m.jitter + 1) : 0));
}

// One side of one stream; `valid` and `ready` belong to the top.
template <typename P, typename B> void drive_in(Stream& s, P& payload, B& valid) {
    if (!s.offered && !s.queue.empty() && s.due.front() <= cycle && !s.stall()) {
        s.offered = true;
        put(payload, s.queue.front());
    }
    valid = s.offered;
}
template <typename B> void sample_in(Stream& s, const B& ready) {
    if (!s.offered || !ready) return;
    s.queue.pop_front();
    s.due.pop_front();
    s.offered = false;
    ++s.count;
    std::fprintf(result, "%s %" PRIu64 "\n", s.name.c_str(), cycle);
}
template <typename P, typename B> void sample_out(Stream& s, const P& payload, const B& valid,
                                                  const B& ready) {
    if (!valid || !ready) return;
    ++s.count;
    get(payload, s.now);
    std::fprintf(result, "%s %" PRIu64 " ", s.name.c_str(), cycle);
    print(result, s.now);
    std::fputc('\n', result);
    for (auto& m : memories)
        if (m.request == s.name) serve(m, s.now[0]);
}
template <typename P> void probe(const char* name, const P& port, Words& last, bool& known) {
    Words now(last.size());
    get(port, now);
    if (known && now == last) return;
    last = now;
    known = true;
    std::fprintf(result, "%s %" PRIu64 " ", name, cycle);
    print(result, now);
    std::fputc('\n', result);
}

// With recorded.inc, lines RECORD(port): a row of the file beside the result has every port of a cycle, in
// the bytes that Verilator keeps it in.
#if __has_include("recorded.inc")
static std::FILE* recorded;
template <typename P> void keep(const P& port) { std::fwrite(&port, sizeof port, 1, recorded); }
static void record() {
#define RECORD(port) keep(top->port);
#include "recorded.inc"
#undef RECORD
}
static void begin_record(std::string file) {
    recorded = std::fopen((file.substr(0, file.rfind('/') + 1) + "recorded").c_str(), "w");
}
static void end_record() {
    if (std::ferror(recorded) | std::fclose(recorded)) fail("the record of the blocks cannot be written");
}
#else
static void record() {}
static void begin_record(std::string) {}
static void end_record() {}
#endif

static void step() {
    std::size_t i = 0;
#define IN(name, port, bits) drive_in(streams[i++], top->port##___05Fpayload, top->port##___05Fvalid);
#define OUT(name, port, bits) top->port##___05Fready = !streams[i++].stall();
#define PROBE(name, port, bits)
#include "streams.inc"
#undef IN
#undef OUT
#undef PROBE
    top->clk = 0;
    top->eval();
    record();
    if (!top->rst) {
        i = 0;
#define IN(name, port, bits) sample_in(streams[i++], top->port##___05Fready);
#define OUT(name, port, bits) \
    sample_out(streams[i++], top->port##___05Fpayload, top->port##___05Fvalid, top->port##___05Fready);
#define PROBE(name, port, bits)                                     \
    {                                                         \
        static Words last(words(bits));                       \
        static bool known = false;                            \
        probe(#name, top->port, last, known);                 \
    }
#include "streams.inc"
#undef IN
#undef OUT
#undef PROBE
    }
    top->clk = 1;
    top->eval();
    if (++cycle % 4096 == 0) {
        std::printf("%" PRIu64 "\n", cycle);
        std::fflush(stdout);
    }
}

static std::string state() {
    std::ostringstream text;
    for (auto& s : streams) {
        text << ", " << s.name << " " << s.count;
        if (s.input && !s.queue.empty()) text << " (" << s.queue.size() << " queued)";
    }
    return text.str();
}

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    std::ifstream script(argv[1]);
    result = std::fopen(argv[2], "w");
    if (!script || !result) return 2;
    begin_record(argv[2]);
#define IN(name, port, bits) streams.push_back({#name, bits, true, {}, {}, {}, false, 0, Words(words(bits))});
#define OUT(name, port, bits) \
    streams.push_back({#name, bits, false, {}, {}, {}, false, 0, Words(words(bits))});
#define PROBE(name, port, bits)
#include "streams.inc"
#undef IN
#undef OUT
#undef PROBE
    std::string line, word, name, hex;
    uint64_t number = 0;
    for (bool first = true; std::getline(script, line); first = false) {
        std::istringstream in(line);
        in >> word;
        if (first) {
            // Registers and memories start with random bits.
            context.randReset(2);
            context.randSeed(1);
            if (word == "seed" && in >> number) context.randSeed(int(number % 0x7fffffff) + 1);
            top = std::make_unique<Vtop>(&context);
            top->rst = 0;
            context.assertOn(false);     // until a reset there is nothing to be held to
        }
        if (word == "seed") continue;
        if (word == "push") {
            in >> name >> hex;
            Stream& s = find(name);
            if (!s.input) fail("stream " + name + " is an output");
            s.queue.push_back(parse(hex, s.bits));
            s.due.push_back(0);
        } else if (word == "wait") {
            in >> name >> number;
            Stream& s = find(name);
            const uint64_t start = cycle;
            while (s.count < number) {
                if (cycle - start >= limit)
                    fail("timeout: waited " + std::to_string(limit) + " cycles for transfer " +
                         std::to_string(number) + " of " + name + "; transfers so far" + state());
                step();
            }
        } else if (word == "idle") {
            for (in >> number; number; --number) step();
        } else if (word == "stall") {
            double p, burst;
            in >> name >> p >> burst >> number;
            Stall& stall = find(name).stall;
            stall = {};
            stall.probability = p;
            stall.burst = burst;
            stall.random.seed(number);
        } else if (word == "reset") {
            for (auto& s : streams) {
                s.queue.clear();
                s.due.clear();
                s.offered = false;
                s.count = 0;
            }
            std::fprintf(result, "reset %" PRIu64 "\n", cycle);
            top->rst = 1;
            for (in >> number; number; --number) step();
            top->rst = 0;
            context.assertOn(true);
        } else if (word == "memory") {
            Memory m;
            std::string file;
            in >> m.request >> m.response >> m.latency >> m.jitter >> number >> std::ws;
            std::getline(in, file);
            m.random.seed(number);
            std::ifstream bytes(file, std::ios::binary);
            if (!bytes) fail("cannot read " + file);
            uint32_t data;
            while (bytes.read(reinterpret_cast<char*>(&data), sizeof data)) m.data.push_back(data);
            if (find(m.request).input || !find(m.response).input)
                fail("a memory takes an output and answers an input");
            memories.push_back(std::move(m));
        } else if (word == "limit") {
            in >> limit;
        } else {
            fail("unknown script line: " + line);
        }
    }
    end_record();
    std::fprintf(result, "end %" PRIu64 "\n", cycle);
    close_result();
    top->final();
    return 0;
}
