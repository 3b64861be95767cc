"""How figures look: sizes of a journal's columns, text that can be read in print, colours of models and quantities.

Nothing here loads matplotlib: the window asks for the same colours and ticks.
"""

from __future__ import annotations

import functools

import cmap
import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.voxel import Explanation

__all__ = [
    "COLOURMAPS",
    "COLUMNS",
    "DIVERGING",
    "ENDINGS",
    "FAINT",
    "FONT_SIZE",
    "MODEL_COLOURS",
    "OTHER_COLOURMAP",
    "SMALL_SIZE",
    "TEXT",
    "TRUTH_COLOUR",
    "colour_table",
    "colours_of",
    "error_bars",
    "ground",
    "lane_tick",
    "round_ticks",
]

#: Of the files that figures are written as.
ENDINGS = (".pdf", ".svg", ".png")
#: Widths of figures by the columns of a page that they fill, mm.
COLUMNS = {"single": 88.0, "double": 180.0}
#: Size of text and of what stands at ticks, points.
FONT_SIZE, SMALL_SIZE = 7.0, 6.0
TEXT, FAINT = "#1d2330", "#7a8190"
# Around a map, and around one of errors, in which black is a value.
_GROUND, _ERROR_GROUND = "#000000", "#c9ccd3"
#: Of models by their number: the window's on a light background.
MODEL_COLOURS = ("#0072b2", "#b86e00", "#b0508a", "#7a7000", "#c03a00", "#5a3fc0", "#55585e", "#6b3f12")
TRUTH_COLOUR = "#1b7f52"
#: T1 and T2 as recommended for them: Fuderer et al., Magn Reson Med 93:1415 (2025), doi 10.1002/mrm.30290. Errors
#: diverge from black.
COLOURMAPS = {
    "T1": "crameri:lipari",
    "T2": "crameri:navia",
    "T1 error": "crameri:berlin",
    "T2 error": "crameri:berlin",
}
#: Of maps that are none of these.
OTHER_COLOURMAP = "crameri:batlow"
#: Colour maps with a colour for 0 in their middle.
DIVERGING = ("crameri:berlin",)
# Odd, so that there is a middle.
_COLOURS = 257
# 95 % of a normal distribution, in standard errors to either side.
_INTERVAL = 1.96


def colours_of(quantity: str) -> str:
    """Return the colour map of a quantity, "T1 error" for one; those that only a dictionary knows share one."""
    usual = COLOURMAPS["T1 error"] if quantity.endswith((" error", " difference")) else OTHER_COLOURMAP
    return COLOURMAPS.get(quantity, usual)


def ground(quantity: str) -> str:
    """Return the colour around a map of a quantity."""
    return _ERROR_GROUND if colours_of(quantity) in DIVERGING else _GROUND


@functools.cache
def colour_table(name: str) -> FloatArray:
    """Return a colour map as (257, 4) red, green, blue, alpha from 0 to 1; the middle of a diverging one is black."""
    colours = np.array(cmap.Colormap(name).lut(_COLOURS))
    if name in DIVERGING:
        middle = _COLOURS // 2
        # berlin's middle is a dark brown; no error is to be black
        nearness = 1.0 - np.abs(np.linspace(-1, 1, _COLOURS))
        colours[:, :3] = np.clip(colours[:, :3] - colours[middle, :3] * nearness[:, None] ** 2, 0, 1)
    colours.setflags(write=False)
    return colours


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most about ``most`` round numbers from low to high, both above 0: 1, 2, 5 a decade, or even steps."""
    if high / low > 3.0:
        powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            ticks = [digit * 10.0**power for power in powers for digit in digits]
            ticks = [tick for tick in ticks if low <= tick <= high]
            if 2 <= len(ticks) <= most:
                return ticks
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(digit * power for digit in (1, 2, 2.5, 5, 10) if digit * power >= rough)
    return [float(n * step) for n in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def lane_tick(reach: float) -> float:
    """Return the round number (1, 2, 2.5 or 5 of a decade) that is numbered above and below 0 of an axis.

    Parameters
    ----------
    reach : float
        How far the axis goes from 0, above 0; the number is at most about three quarters of it.
    """
    most = 0.75 * reach
    power = float(10.0 ** np.floor(np.log10(most)))
    # just below a power of ten its logarithm is rounded to a whole number
    return max((digit * power for digit in (1, 2, 2.5, 5) if digit * power <= most), default=power)


def error_bars(item: Explanation) -> FloatArray | None:
    """Return the ends of the 95 % intervals of T1 and T2 by the model's own standard errors, or None.

    The intervals are normal in log T.

    Returns
    -------
    array of shape (4, 2)
        (T1, T2) in ms: two ends of the bar along T1, then two of the bar along T2.
    """
    if item.t1_se is None or item.t2_se is None:
        return None
    t1 = item.t1 * np.exp(_INTERVAL * np.array([-1.0, 1.0]) * item.t1_se / item.t1)
    t2 = item.t2 * np.exp(_INTERVAL * np.array([-1.0, 1.0]) * item.t2_se / item.t2)
    return np.array([(t1[0], item.t2), (t1[1], item.t2), (item.t1, t2[0]), (item.t1, t2[1])])
