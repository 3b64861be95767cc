"""The FISP schedule of Jiang et al., Magn Reson Med 74:1621 (2015): 1000 flip angles and TRs.

The flip angles follow a formula. The TRs are a draw of smooth noise, for which there is none; they are given here as a
cubic spline through one value every seven pulses.
"""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import FloatArray

__all__ = ["PUBLISHED_LENGTH", "published_flip_angle", "published_repetition_time"]

#: Pulses of the published schedule.
PUBLISHED_LENGTH = 1000

# (first pulse, pulse after the last, amplitude in degrees, k of the first pulse)
_LOBES = ((0, 199, 30.0, 2), (209, 409, 38.0, 1), (419, 619, 65.0, 1), (628, 828, 40.0, 1), (839, 1000, 22.0, 1))

# TR in µs at pulses 0, 7, 14, …, 1001: fitted (least largest deviation, then rounded) to the table distributed with
# OpenMRF (github.com/Ashgon/OpenMRF, MIT licence).
_KNOT_SPACING = 7
_KNOTS = (
    13170, 12971, 12792, 12642, 12578, 12619, 12719, 12814, 12955, 13118, 13274, 13453, 13647, 13794, 13914, 13960,
    14007, 14037, 14025, 14015, 13935, 13775, 13529, 13280, 12984, 12672, 12394, 12160, 12099, 12047, 12010, 12012,
    12162, 12405, 12645, 12849, 13011, 13241, 13446, 13565, 13593, 13599, 13600, 13598, 13637, 13628, 13594, 13477,
    13395, 13341, 13298, 13264, 13295, 13313, 13402, 13581, 13862, 14130, 14306, 14305, 14114, 13789, 13484, 13130,
    12793, 12483, 12190, 12001, 11850, 11843, 11777, 11704, 11676, 11846, 12119, 12427, 12633, 12894, 13131, 13411,
    13606, 13716, 13842, 13987, 14093, 14101, 13986, 13845, 13695, 13490, 13219, 12960, 12702, 12503, 12352, 12280,
    12220, 12227, 12323, 12540, 12783, 13039, 13281, 13539, 13749, 13864, 13883, 13775, 13620, 13385, 13146, 12886,
    12703, 12602, 12493, 12353, 12291, 12354, 12457, 12610, 12766, 12950, 13157, 13305, 13337, 13322, 13309, 13293,
    13240, 13175, 13132, 13121, 13120, 13187, 13245, 13292, 13344, 13427, 13563, 13672, 13767, 13863, 13896, 13882,
)  # fmt: skip


def published_flip_angle() -> FloatArray:
    """Return the 1000 flip angles, degrees.

    Five lobes 5° + A·sin(πk/200) with pauses of 0° between them; the published table, printed with two decimals,
    is met within 0.005°.
    """
    flip_angle = np.zeros(PUBLISHED_LENGTH)
    for first, stop, amplitude, k in _LOBES:
        flip_angle[first:stop] = 5.0 + amplitude * np.sin(np.pi / 200 * (np.arange(stop - first) + k))
    return flip_angle


def published_repetition_time() -> FloatArray:
    """Return the 1000 repetition times, 11.67 to 14.33 ms.

    They reproduce the published table within 0.005 ms (root mean square 0.003 ms), which is 0.04 % of a TR.
    """
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(_KNOT_SPACING * np.arange(len(_KNOTS)), np.array(_KNOTS) / 1000.0)
    return np.asarray(spline(np.arange(PUBLISHED_LENGTH)), dtype=np.float64)
