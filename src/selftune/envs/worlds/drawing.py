"""Pictures of worlds: shapes in the coordinates of the world, painted on an array of pixels."""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, UInt8

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]
Image: TypeAlias = UInt8[np.ndarray, "H W 3"]

WHITE, BLACK, GREY = (255, 255, 255), (40, 40, 40), (170, 170, 170)
RED, BLUE, GREEN, BROWN = (205, 70, 60), (60, 110, 200), (70, 160, 90), (200, 150, 100)


class Canvas(NamedTuple):
    """An image, and where each of its pixels lies in the world."""

    image: Image
    x: Float[np.ndarray, "H W"]
    """To the right."""
    y: Float[np.ndarray, "H W"]
    """Upwards."""


def canvas(x: Point, y: Point, width: int = 240) -> Canvas:
    """An empty canvas.

    Args:
        x: leftmost and rightmost coordinate.
        y: lowest and highest coordinate; pixels are square, so that these decide the height.
        width: pixels from left to right.
    """
    height = round(width * (y[1] - y[0]) / (x[1] - x[0]))
    columns, rows = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    across, up = np.meshgrid(x[0] + columns * (x[1] - x[0]), y[1] - rows * (y[1] - y[0]))
    return Canvas(np.full((height, width, 3), 255, np.uint8), across, up)


def fill(on: Canvas, mask: Bool[np.ndarray, "H W"], colour: Colour) -> None:
    """Paint wherever the mask is true."""
    on.image[mask] = colour


def disc(on: Canvas, centre: Point, radius: float, colour: Colour) -> None:
    """Paint a disc."""
    fill(on, (on.x - centre[0]) ** 2 + (on.y - centre[1]) ** 2 <= radius**2, colour)


def rectangle(on: Canvas, centre: Point, size: Point, colour: Colour) -> None:
    """Paint an upright rectangle of a width and a height."""
    inside = (abs(on.x - centre[0]) <= size[0] / 2) & (abs(on.y - centre[1]) <= size[1] / 2)
    fill(on, inside, colour)


def line(on: Canvas, start: Point, end: Point, thickness: float, colour: Colour) -> None:
    """Paint a stretch of a straight line, its ends round."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(dx**2 + dy**2, 1e-12)
    along = np.clip(((on.x - start[0]) * dx + (on.y - start[1]) * dy) / length, 0.0, 1.0)
    squared = (on.x - start[0] - along * dx) ** 2 + (on.y - start[1] - along * dy) ** 2
    fill(on, squared <= (thickness / 2) ** 2, colour)


def tiles(colours: UInt8[np.ndarray, "R C 3"], size: int = 24) -> Image:
    """An image of `R` rows and `C` columns of square tiles, the first row on top."""
    return colours.repeat(size, axis=0).repeat(size, axis=1)
