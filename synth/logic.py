"""The logic of cells: what the functions of a Liberty mean, as steps on words of bits.

    steps = Steps(inputs={"A": 0, "B": 1}, fresh=count(2))
    steps.of("!(A&B)")          # the number of the value; steps.ops are the steps to it
"""

import re
from collections.abc import Iterator

from synth.liberty import LibertyError

__all__ = ["AND", "NOT", "OR", "XOR", "Steps"]

AND, OR, XOR, NOT = range(4)

TOKEN = re.compile(r"\s*([A-Za-z_]\w*|[01]|[()!'&*|+^])")


class Steps:
    """Steps ``(operation, to, from, from)`` over numbered values.

    ``names`` has the values of the pins; ``fresh`` gives numbers for those in between; ``zero`` and ``one``
    are the values of the constants.
    """

    def __init__(self, names: dict[str, int], fresh: Iterator[int], zero: int, one: int):
        self.names, self.fresh, self.constants = names, fresh, {"0": zero, "1": one}
        self.ops: list[tuple[int, int, int, int]] = []

    def of(self, function: str) -> int:
        """The value of a function. Raises :class:`synth.liberty.LibertyError` where it is none."""
        tokens, end = [], 0
        for match in TOKEN.finditer(function.strip()):
            if match.start() != end:
                break
            tokens.append(match[1])
            end = match.end()
        self._left, self._text = tokens, function
        if end != len(function.strip()) or not tokens:
            self._fail()
        value = self._or()
        if self._left:
            self._fail()
        return value

    def _fail(self):
        raise LibertyError(f"function is {self._text!r}, must be pins joined by ! ' & * | + ^")

    def _step(self, operation: int, one: int, other: int) -> int:
        to = next(self.fresh)
        self.ops.append((operation, to, one, other))
        return to

    def _chain(self, signs: str, operation: int, below) -> int:
        value = below()
        while self._left and self._left[0] in signs:
            self._left.pop(0)
            value = self._step(operation, value, below())
        return value

    def _or(self) -> int:
        return self._chain("|+", OR, lambda: self._chain("^", XOR, self._and))

    def _and(self) -> int:
        value = self._not()
        # Two factors side by side are a product as well.
        while self._left and self._left[0] not in ")|+^'":
            if self._left[0] in "&*":
                self._left.pop(0)
            value = self._step(AND, value, self._not())
        return value

    def _not(self) -> int:
        if not self._left:
            self._fail()
        token = self._left.pop(0)
        if token == "!":
            value = self._not()
            value = self._step(NOT, value, value)
        elif token == "(":
            value = self._or()
            if not self._left or self._left.pop(0) != ")":
                self._fail()
        elif token in self.constants:
            value = self.constants[token]
        elif token in self.names:
            value = self.names[token]
        else:
            self._fail()
        while self._left and self._left[0] == "'":
            self._left.pop(0)
            value = self._step(NOT, value, value)
        return value
