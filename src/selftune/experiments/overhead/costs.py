"""Operations and memory of compiled programs: the same on an idle machine and on a busy one."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias
from unittest import mock

import jax

Prepare: TypeAlias = Callable[[], tuple[Callable, tuple]]
"""Returns a function and its arguments, anew each time: a function that was traced before is not traced again."""


class Cost(NamedTuple):
    """A compiled program, and what one call of it takes."""

    program: Callable
    arguments: tuple
    flops: float
    temporary_bytes: int
    """Beyond arguments and results."""


def measure(prepare: Prepare) -> Cost:
    """Compile a function and count.

    XLA counts the body of a loop once, however often it runs. So for each length of a `jax.lax.scan` in the function it
    is compiled again with two iterations in each body of that length; the difference is one iteration, and one more
    where the length is odd, which is taken outside the loop. Loops inside loops, `while` loops, and scans that are
    unrolled by hand count once.
    """
    with _Scans() as scans:
        program, arguments = _compile(prepare)
    once = flops = _flops(program)
    for length in scans.lengths:
        with _Scans(twice=length):
            more = _flops(_compile(prepare)[0]) - once
        flops += (length - 1) * more / (1 + length % 2)
    return Cost(program, arguments, flops, _temporary_bytes(program))


def temporary_bytes(prepare: Prepare) -> int:
    """Memory beyond arguments and results, of the compiled function."""
    return _temporary_bytes(_compile(prepare)[0])


class _Scans:
    """While this is open, `jax.lax.scan` is watched, and unrolled twofold where it has the length `twice`."""

    def __init__(self, twice: int | None = None):
        self.lengths: set[int] = set()
        self._scan, self._twice = jax.lax.scan, twice
        self._patch = mock.patch("jax.lax.scan", self._watched)

    def __enter__(self) -> "_Scans":
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def _watched(self, f: Callable, init: Any, xs: Any = None, length: int | None = None, **options: Any) -> Any:
        count = jax.tree.leaves(xs)[0].shape[0] if length is None else length
        if "unroll" not in options and count > 1:
            self.lengths.add(count)
            if count == self._twice:
                options["unroll"] = 2
        return self._scan(f, init, xs, length, **options)


def _compile(prepare: Prepare) -> tuple[jax.stages.Compiled, tuple]:
    function, arguments = prepare()
    return jax.jit(lambda *arguments: function(*arguments)).lower(*arguments).compile(), arguments


def _flops(program: jax.stages.Compiled) -> float:
    analysis = program.cost_analysis()
    assert analysis is not None
    return analysis["flops"]


def _temporary_bytes(program: jax.stages.Compiled) -> int:
    memory = program.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes
