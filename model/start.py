"""What happens first, whichever package of ours is imported and however a command is started.

The packages have plain names (``model``, ``gen``, ``verif``, ``sw``, ``synth``), which a user's own files may
have as well. Python looks in the current folder first, so ``python -m sw.run`` beside a ``model.py``
would run that file. :func:`begin` finds it out before it is run. Each package loads this module
by its path, for ``import model`` is what may go wrong.

A command ends in one line on Ctrl-C, silently where the reader of its output has gone, and prints
any name on any terminal.
"""

import _thread
import atexit
import os
import signal
import sys
import threading
from importlib import util
from pathlib import Path

__all__ = ["ShadowedName", "begin", "as_command"]

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("model", "gen", "verif", "sw", "synth")


class ShadowedName(ImportError):
    """A file or folder of the user hides a package of ours; the message names it and the way out."""


def begin(package: str) -> None:
    """Called by each package as the first thing of its import.

    Raises :class:`ShadowedName`, which ends a program in the one line of its message. Where the
    package is imported for ``python -m``, prepares the process for a command.
    """
    for name in NAMES:
        if name in sys.modules or name == package:
            continue
        where = _found(name)
        if where is not None and where != ROOT / name:
            _hook()
            raise ShadowedName(
                f"{package}: {where} hides hashlayer's package {name!r}; use the command `hashlayer`, "
                "or work in another folder")
    if getattr(sys, "argv", [""])[:1] == ["-m"]:
        as_command()


def _found(name: str):
    """The folder or file that ``import name`` would take; None where there is none."""
    try:
        spec = util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin and spec.has_location:
        path = Path(spec.origin).resolve()
        return path.parent if path.name == "__init__.py" else path
    # A folder without __init__.py: Python takes it before a package that an import hook would find,
    # as those of an editable installation are.
    places = [Path(place).resolve() for place in spec.submodule_search_locations or ()]
    return places[0] if places else None


def as_command() -> None:
    """Prepare this process to be a command."""
    _hook()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown as \\xe9 and not a reason to die.
        if getattr(stream, "errors", None) == "strict":
            stream.reconfigure(errors="backslashreplace")
    atexit.register(_flush)


def _program() -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = spec.name if spec else Path(sys.argv[0]).name
    return name.removesuffix(".__main__")


def _interrupt(number, frame):
    """Ctrl-C: an exception, but for one within an import, which ends the program here.

    Libraries in C++ run Python while they are imported. An exception that comes back into them there
    makes them abort, with a message of their own (torch does).
    """
    within = frame
    while within is not None:
        if within.f_code.co_filename.startswith("<frozen importlib._bootstrap"):
            _interrupted()
        within = within.f_back
    signal.default_int_handler(number, frame)


def _interrupted() -> None:
    """Say it in a line, and end as every program that Ctrl-C ends: a shell's loop ends as well."""
    print(f"\n{_program()}: interrupted", file=sys.stderr, flush=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def _hook() -> None:
    """Let some exceptions end the program without a traceback."""
    previous = sys.excepthook
    if getattr(previous, "of_hashlayer", False):
        return

    def hook(kind, value, trace):
        if isinstance(value.__context__ or value.__cause__, KeyboardInterrupt):
            # Ctrl-C within an import, which some libraries turn into an error of their own.
            kind = KeyboardInterrupt
        if issubclass(kind, ShadowedName):
            print(value, file=sys.stderr)
        elif issubclass(kind, KeyboardInterrupt):
            _interrupted()
        elif issubclass(kind, BrokenPipeError):
            _gone()
        else:
            previous(kind, value, trace)

    def unraisable(found):
        # Ctrl-C within a destructor, where Python can only tell of it and go on.
        if isinstance(found.exc_value, KeyboardInterrupt):
            # Not from in here, where it would be lost again.
            again = threading.Timer(0.02, _thread.interrupt_main)
            again.daemon = True
            again.start()
        else:
            before(found)

    hook.of_hashlayer = True
    before = sys.unraisablehook
    sys.excepthook, sys.unraisablehook = hook, unraisable


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _gone()
    except (OSError, ValueError):
        pass


def _gone() -> None:
    """The reader of our output has gone: end as SIGPIPE would end us."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os._exit(128 + signal.SIGPIPE)
