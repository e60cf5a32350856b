"""An engine as a netlist of cells: what depends on what, and what is known after a reset.

:class:`Netlist` flattens a component with Amaranth itself, so no tool is needed. It answers two
questions that no simulation of chosen jobs can answer for certain:

* ``paths()``: which outputs depend on which inputs without a register between them;
* ``after_reset()``: simulation in three values (0, 1, unknown) of the engine at rest, from
  registers that hold anything, after one cycle of reset.
"""

from collections import defaultdict

from amaranth.hdl import ClockDomain, Fragment, Value, _ir, _nir

__all__ = ["Netlist"]


class Netlist:
    """The cells of ``component``, flat.

    Memories are Amaranth's: a write port has its enable in the netlist, and what is read is
    unknown.
    """

    def __init__(self, component):
        domain = ClockDomain("sync")
        fragment = Fragment.get(component, None)
        fragment.add_domains(domain)
        ports = [(None, domain.clk, _ir.PortDirection.Input),
                 (None, domain.rst, _ir.PortDirection.Input)]
        for path, member, value in component.signature.flatten(component):
            way = _ir.PortDirection.Input if member.flow.name == "In" else _ir.PortDirection.Output
            ports.append(("__".join(map(str, path)), Value.cast(value), way))
        self.net = _ir.build_netlist(fragment, ports=ports)
        self.cells, self.top = self.net.cells, self.net.cells[0]
        self._order, self._again = self._topological()
        self._plans = {}

    # -- structure -------------------------------------------------------------------------------

    def _combinational(self, index):
        return isinstance(self.cells[index], (_nir.Operator, _nir.Part, _nir.Matches,
                                              _nir.PriorityMatch, _nir.AssignmentList,
                                              _nir.AsyncReadPort))

    def paths(self) -> set[tuple[str, str]]:
        """(input, output) of every combinational path through the component, bit by bit."""
        name_of = {}
        for name, (start, width) in self.top.ports_i.items():
            name_of |= {_nir.Net.from_cell(0, start + bit): name for bit in range(width)}
        found = set()
        for output, value in self.top.ports_o.items():
            seen, queue = set(value), list(value)
            while queue:
                net = queue.pop()
                if net in name_of:
                    found.add((name_of[net], output))
                elif net.is_cell and net.cell and self._combinational(net.cell):
                    for source, *_ in self.cells[net.cell].comb_edges_to(net.bit):
                        if source not in seen:
                            seen.add(source)
                            queue.append(source)
        return found

    def _topological(self):
        """Combinational cells, each after those that it reads, and those to be valued once more:
        where bits of two cells depend on each other both ways, one comes too early."""
        order, state = [], {}
        for root in range(1, len(self.cells)):
            stack = [(root, None)]
            while stack:
                index, sources = stack.pop()
                if sources is None:
                    if index in state or not self._combinational(index):
                        continue
                    state[index] = "open"
                    sources = iter({n.cell for n in self.cells[index].input_nets() if n.is_cell})
                for source in sources:
                    if source and source not in state and self._combinational(source):
                        stack += [(index, sources), (source, None)]
                        break
                else:
                    state[index] = "done"
                    order.append(index)
        place = {index: at for at, index in enumerate(order)}
        early = [at for index, at in place.items()
                 if any(place.get(n.cell, 0) > at for n in self.cells[index].input_nets()
                        if n.is_cell)]
        return order, order[min(early):] if early else []

    # -- three values ----------------------------------------------------------------------------

    def after_reset(self, cycles: int, inputs: dict[str, int]):
        """Simulate one cycle of reset and ``cycles`` more, from unknown registers and memories.

        ``inputs`` has the inputs that are known (by port); the others are unknown throughout.
        Yields, for each cycle after the reset, a function from nets to ``(ones, unknown)``. Ends
        early where a state comes up again, for then nothing new can follow.
        """
        states = set()
        self.known = {}
        registers = [i for i, cell in enumerate(self.cells)
                     if isinstance(cell, (_nir.FlipFlop, _nir.SyncReadPort))]
        for index in registers:
            cell = self.cells[index]
            width = len(cell.data) if isinstance(cell, _nir.FlipFlop) else cell.width
            self.known[index] = (0, (1 << width) - 1)
        for cycle in range(cycles + 1):
            ones, unknown = 0, 0
            for name, (start, width) in self.top.ports_i.items():
                mask = (1 << width) - 1
                value = int(cycle == 0) if name == "rst" else inputs.get(name)
                if value is None:
                    unknown |= mask << start
                else:
                    ones |= (value & mask) << start
            self.known[0] = (ones | 2, unknown)         # bits 0 and 1 are the constants
            for index in self._order + self._again:
                self.known[index] = self._value(self.cells[index])
            if cycle:
                yield self.of
                state = hash(tuple(self.known[index] for index in registers))
                if state in states:
                    return
                states.add(state)
            self.known |= {index: self._next(index) for index in registers}

    def of(self, nets) -> tuple[int, int]:
        """(ones, unknown) of a value."""
        plan = self._plans.get(nets)
        if plan is None:
            plan, at = [], 0
            while at < len(nets):
                first, width = nets[at], 1
                cell, bit = (first.cell, first.bit) if first.is_cell else (0, int(first))
                while (at + width < len(nets) and first.is_cell and nets[at + width].is_cell
                       and nets[at + width] == first + width):
                    width += 1
                plan.append((cell, bit, (1 << width) - 1, at))
                at += width
            self._plans[nets] = plan
        ones = unknown = 0
        for cell, bit, mask, at in plan:
            value = self.known.get(cell)
            if value is None:
                unknown |= mask << at
            else:
                ones |= (value[0] >> bit & mask) << at
                unknown |= (value[1] >> bit & mask) << at
        return ones, unknown

    def _bit(self, net):
        """0, 1 or None of a net."""
        ones, unknown = self.of(_nir.Value(net))
        return None if unknown else ones

    def _next(self, index):
        cell = self.cells[index]
        if isinstance(cell, _nir.FlipFlop):
            return self.of(cell.data)
        if self._bit(cell.en) == 0:
            return self.known[index]
        return 0, (1 << cell.width) - 1

    def _value(self, cell):
        match cell:
            case _nir.Operator():
                return self._operator(cell)
            case _nir.Matches():
                ones, unknown = self.of(cell.value)
                answer = 0
                for pattern in cell.patterns:
                    fits = self._fits(ones, unknown, pattern)
                    if fits == 1:
                        return 1, 0
                    answer = None if fits is None else answer
                return (0, 1) if answer is None else (0, 0)
            case _nir.PriorityMatch():
                ones, unknown = self.of(cell.inputs)
                open_ = self._bit(cell.en)
                out, vague = 0, 0
                for bit in range(len(cell.inputs)):
                    here = None if unknown >> bit & 1 else ones >> bit & 1
                    if open_ == 0 or here == 0:
                        continue
                    if open_ == 1 and here == 1:
                        out |= 1 << bit
                        break
                    vague |= 1 << bit
                    open_ = 0 if here == 1 else None
                return out, vague
            case _nir.AssignmentList():
                ones, unknown = self.of(cell.default)
                for assignment in cell.assignments:
                    cond = self._bit(assignment.cond)
                    if cond == 0:
                        continue
                    mask = ((1 << len(assignment.value)) - 1) << assignment.start
                    new, vague = (v << assignment.start for v in self.of(assignment.value))
                    if cond is None:
                        vague |= ((new ^ ones) | unknown) & mask
                    ones = (ones & ~mask | new) & ~vague
                    unknown = unknown & ~mask | vague
                return ones, unknown
            case _nir.Part():
                ones, unknown = self.of(cell.value)
                offset, vague = self.of(cell.offset)
                mask = (1 << cell.width) - 1
                if vague or cell.value_signed:
                    nothing = not ones and not unknown
                    return (0, 0) if nothing else (0, mask)
                return (ones >> offset * cell.stride & mask, unknown >> offset * cell.stride & mask)
            case _nir.AsyncReadPort():
                return 0, (1 << cell.width) - 1
        raise TypeError(type(cell))

    @staticmethod
    def _fits(ones, unknown, pattern):
        sure = 1
        for at, want in enumerate(reversed(pattern)):
            if want == "-":
                continue
            if unknown >> at & 1:
                sure = None
            elif (ones >> at & 1) != int(want):
                return 0
        return sure

    def _operator(self, cell):
        inputs = [self.of(value) for value in cell.inputs]
        (a, x), (b, y) = inputs[0], inputs[1] if len(inputs) > 1 else (0, 0)
        mask, full = (1 << cell.width) - 1, (1 << len(cell.inputs[0])) - 1
        match cell.operator:
            case "~":
                return ~a & ~x & mask, x
            case "&":
                zero = ~(a | x) | ~(b | y)
                return a & b, (x | y) & ~zero
            case "|":
                return a | b, (x | y) & ~(a | b)
            case "^":
                return (a ^ b) & ~(x | y), x | y
            case "b" | "r|":
                return (1, 0) if a else (0, int(x != 0))
            case "r&":
                return (0, 0) if (a | x) != full else (int(not x), int(x != 0))
            case "m":
                c, z = inputs[2]
                if not x:
                    return (b, y) if a else (c, z)
                vague = (b ^ c) | y | z
                return b & ~vague, vague
            case "==" | "!=":
                if (a ^ b) & ~(x | y):
                    return int(cell.operator == "!="), 0
        if x or y:
            return 0, mask
        width = len(cell.inputs[0])
        sign = 1 << width - 1 if width else 0
        p, q = (a ^ sign) - sign, (b ^ sign) - sign
        # A quotient or remainder by zero is 0 in Amaranth.
        results = {
            "-": lambda: -a if len(inputs) == 1 else a - b, "+": lambda: a + b, "*": lambda: a * b,
            "r^": lambda: a.bit_count() & 1, "==": lambda: a == b, "!=": lambda: a != b,
            "u<": lambda: a < b, "u>": lambda: a > b, "u<=": lambda: a <= b, "u>=": lambda: a >= b,
            "s<": lambda: p < q, "s>": lambda: p > q, "s<=": lambda: p <= q, "s>=": lambda: p >= q,
            "<<": lambda: a << b, "u>>": lambda: a >> b, "s>>": lambda: p >> b,
            "u//": lambda: a // b if b else 0, "u%": lambda: a % b if b else 0,
            "s//": lambda: p // q if q else 0, "s%": lambda: p % q if q else 0,
        }
        return int(results[cell.operator]()) & mask, 0

    # -- what must be known ----------------------------------------------------------------------

    def registers(self) -> dict[str, tuple]:
        """All flip-flops, by the name of their signal and the number of their cell."""
        names = {}
        for module in self.net.modules:
            for signal, name in module.signal_names.items():
                nets = self.net.signals[signal]
                if nets and nets[0].is_cell:
                    names.setdefault(nets[0].cell, ".".join((*module.name, name.partition("$")[0])))
        return {f"{names.get(index, '?')} ({index})": _nir.Value(
                    _nir.Net.from_cell(index, bit) for bit in range(len(cell.data)))
                for index, cell in enumerate(self.cells) if isinstance(cell, _nir.FlipFlop)}

    def effects(self) -> dict[str, tuple]:
        """Nets that change what lasts or what the outside sees: write enables, and outputs but for
        payloads. By a name for messages."""
        found = defaultdict(tuple)
        for index, cell in enumerate(self.cells):
            if isinstance(cell, _nir.SyncWritePort):
                path = ".".join(self.net.modules[cell.module_idx].name)
                found[f"write enable of {path} (cell {index})"] = cell.en
        for name, value in self.top.ports_o.items():
            if not name.endswith("payload"):
                found[f"output {name}"] = value
        return found
