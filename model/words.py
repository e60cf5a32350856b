"""Words made of fields: commands, descriptors, status."""

__all__ = ["pack_fields", "unpack_fields"]


def pack_fields(fields, values: dict) -> int:
    """A word from its ``(name, width)`` fields, lowest first; a value that does not fit raises."""
    word, at = 0, 0
    for name, width in fields:
        value = int(values.get(name, 0))
        if not -(1 << (width - 1)) <= value < (1 << width):
            raise ValueError(f"{name} is {value}, must fit {width} bits")
        word |= (value & ((1 << width) - 1)) << at
        at += width
    return word


def unpack_fields(fields, word: int) -> dict:
    """The fields of a word, all unsigned."""
    values, at = {}, 0
    for name, width in fields:
        values[name] = (word >> at) & ((1 << width) - 1)
        at += width
    return values
