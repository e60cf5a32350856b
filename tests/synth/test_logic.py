"""Functions of cells as steps, against the same in Python."""

from itertools import count, product

import pytest

from synth.liberty import LibertyError
from synth.logic import AND, NOT, OR, XOR, Steps

DO = {AND: lambda a, b: a & b, OR: lambda a, b: a | b, XOR: lambda a, b: a ^ b, NOT: lambda a, b: 1 - a}


def value(function, **pins):
    """What steps make of a function at values of its pins."""
    names = {name: at for at, name in enumerate(pins)}
    values = dict(enumerate(pins.values())) | {90: 0, 91: 1}
    steps = Steps(names, count(100), 90, 91)
    result = steps.of(function)
    for operation, to, one, other in steps.ops:
        values[to] = DO[operation](values[one], values[other])
    return values[result]


@pytest.mark.parametrize("function, meant", [
    ("!(A&B)", lambda a, b, c: 1 - (a & b)), ("A B + C", lambda a, b, c: a & b | c),
    ("(A*B)|(A'*C)", lambda a, b, c: b if a else c), ("A^B^C", lambda a, b, c: a ^ b ^ c),
    ("A & B ^ C", lambda a, b, c: (a & b) ^ c), ("A | B ^ C", lambda a, b, c: a | (b ^ c)),
    ("(!A&!B) | C'", lambda a, b, c: (1 - a) & (1 - b) | (1 - c)), ("!!A", lambda a, b, c: a),
    ("(A)(B)", lambda a, b, c: a & b), ("1", lambda a, b, c: 1), ("A&0", lambda a, b, c: 0)])
def test_functions(function, meant):
    for a, b, c in product((0, 1), repeat=3):
        assert value(function, A=a, B=b, C=c) == meant(a, b, c), (a, b, c)


@pytest.mark.parametrize("function", ["", "A &", "(A", "A)", "D", "A ? B", "&A", "A ! B)"])
def test_what_is_no_function(function):
    with pytest.raises(LibertyError, match="function is .*, must be pins joined by"):
        value(function, A=0, B=0)
