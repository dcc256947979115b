"""How signed numbers become colours: limits, blur, over a grey picture, and the bar beside."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.plot.figure import COLOURS, GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PERCENTILE = 99.5
# How much of the grey picture shows through: enough to find one's way, too little to be read
# as colour.
GREY_LOW, GREY_HIGH = 0.84, 1.0


def limit_of(values: Array, percentile: float = PERCENTILE) -> float:
    """Return the ``percentile`` of ``|value|`` among values other than 0; 1 if there are none.

    A few huge entries then do not bleach all others.
    """
    size = np.abs(values[values != 0])
    return float(np.percentile(size, percentile)) if size.size else 1.0


def smoothed(values: Array, sigma: float) -> Array:
    """Blur the last two axes with a Gaussian of ``sigma`` pixels; 0 leaves them as they are."""
    if sigma < 0 or not np.isfinite(sigma):
        raise OptionError(f"smooth={sigma}; expected a number of pixels, 0 for none.")
    if not sigma:
        return values
    widths = (0,) * (values.ndim - 2) + (sigma, sigma)
    found: Array = ndimage.gaussian_filter(values, widths, mode="constant")
    return found


def unit_picture(picture: Array | None) -> Array | None:
    """Bring a picture to (height, width, 3), 0 to 1."""
    if picture is None:
        return None
    found = np.asarray(picture)
    scaled = found.astype(np.float64) / (255 if found.dtype == np.uint8 else 1)
    planes = scaled[..., None] if scaled.ndim == 2 else scaled
    return np.clip(np.broadcast_to(planes, (*planes.shape[:2], 3)), 0, 1)


def grey_of(picture: Array | None) -> Array | None:
    """Luma, lifted towards white."""
    if picture is None:
        return None
    luma = picture @ np.array([0.299, 0.587, 0.114])
    return GREY_LOW + (GREY_HIGH - GREY_LOW) * luma


def colours_of(ratios: Array) -> Array:
    """Colours of numbers from -1 to 1, ``(..., 4)``; what is past the ends has theirs."""
    from matplotlib import colormaps

    found: Array = colormaps[COLOURS](np.clip(ratios, -1, 1) / 2 + 0.5)
    return found


def over(ratios: Array, grey: Array | None) -> Array:
    """Multiply the colours with the lifted grey picture: white lets it through, colours stay."""
    colours = colours_of(ratios)[..., :3]
    if grey is None:
        return colours
    # Strong entries keep their exact colour, so that the colour bar holds for them.
    weight = np.clip(np.abs(ratios), 0, 1)[..., None]
    return colours * (weight + (1 - weight) * grey[..., None])


def show(ax: Axes, pixels: Array, note: str) -> None:
    """Draw pixels without ticks, under a small title."""
    # Nearest keeps the pixels of a digit crisp; a photo has more pixels than the panel needs.
    ax.imshow(pixels, interpolation="nearest")
    ax.set_title(note, fontsize=9, color=INK)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(GREY)
    ax.spines[:].set_linewidth(0.6)


def colour_bar(
    fig: Figure,
    panels: Axes | list[Axes],
    values: Array,
    *,
    key: str,
    limit: float,
    percentile: float,
) -> None:
    """Say what the colours of one or several panels mean, and where they end.

    Parameters
    ----------
    values : array
        All values drawn; some may lie past the limit.
    key : str
        What red and blue mean.
    limit, percentile : float
        Where the colours end, and which percentile that is.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    past = float(np.max(np.abs(values), initial=0.0)) > limit
    scale = ScalarMappable(Normalize(-limit, limit), COLOURS)
    bar: Any = fig.colorbar(scale, ax=panels, extend="both" if past else "neither", pad=0.02)
    end = f"the {percentile:g}th percentile of sizes" if past else "the largest size"
    # A label longer than the bar would be cut off: a letter takes about 0.06 inch.
    width = max(int(fig.get_figheight() / 0.067), 24)
    text = "\n".join(wrap(key, width) + wrap(f"ends at ±{limit:.3g}, {end}", width))
    bar.set_label(text, fontsize=8, labelpad=8, color=INK)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_linewidth(0.6)
