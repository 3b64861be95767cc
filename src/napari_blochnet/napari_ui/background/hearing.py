"""What is warned of on the main thread, where napari would put it on the canvas instead of in the panel."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

from napari_blochnet.common.errors import DataWarning
from napari_blochnet.napari_ui.background.workers import is_any_working

__all__ = ["data_warnings"]

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def data_warnings() -> Iterator[list[str]]:
    """Collect the sentences of the data warnings that the main thread raises inside the block, for after its end.

    While a job works, it is the one hearer of warnings that Python has, and they are shown where it is.
    """
    heard: list[str] = []
    if is_any_working():
        yield heard
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield heard
    for warning in caught:
        if issubclass(warning.category, DataWarning):
            heard.append(str(warning.message))
        else:
            _log.warning("%s", warning.message)
