"""What is wrong with what a user hands in."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Something about the user's input; the message is the one line to print."""
