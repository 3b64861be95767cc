"""Products of matrices by one thread each, so that no bit of theirs depends on how many cores a machine has.

BLAS cuts a product into as many parts as it has threads, and sums are rounded otherwise at their edges. Who has a large
one cuts it into parts of a fixed size, each of which one thread does (`napari_blochnet.estimators.threads.in_parts`).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["one_thread_blas"]

P = ParamSpec("P")
R = TypeVar("R")


class _OneThread:
    """Holds for the whole process, while any of its threads wants it."""

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._limit is not None:
                self._limit.restore_original_limits()

    def throughout(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return a function throughout which it holds."""

        @functools.wraps(function)
        def held(*args: P.args, **named: P.kwargs) -> R:
            with self:
                return function(*args, **named)

        return held


@functools.cache
def _controller() -> Any:
    import numpy as np  # noqa: F401 - its BLAS is then there to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


#: To be entered around products of matrices, or held throughout a function.
one_thread_blas = _OneThread()
