"""Compiling, which happens once on a machine and takes seconds: said where work says how far it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["COMPILING", "tells_of_compiling"]

#: What progress says meanwhile.
COMPILING = "compiling the kernels, once on this machine"

P = ParamSpec("P")
R = TypeVar("R")


def tells_of_compiling(operation: Callable[P, R]) -> Callable[P, R]:
    """Let an operation that takes ``progress`` say so while its kernels are compiled.

    Compiled code is kept on disk: what was compiled for an earlier process is loaded, and nothing is said.
    """

    @functools.wraps(operation)
    def told(*args: P.args, **named: P.kwargs) -> R:
        progress: Any = named.get("progress")
        if progress is None:
            return operation(*args, **named)
        from numba.core import event

        class Listener(event.Listener):
            def on_start(self, _event: Any) -> None:
                # on whatever thread: kernels run on several, and a job that needs what another has compiled waits, too
                progress(0, 0, COMPILING)

            def on_end(self, _event: Any) -> None:
                """Say nothing: the work goes on with a report of its own."""

        with event.install_listener("numba:compile", Listener()):
            return operation(*args, **named)

    return told
