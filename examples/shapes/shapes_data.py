# SPDX-License-Identifier: Apache-2.0
"""Pictures of coloured shapes with their boxes, drawn with numpy alone.

    python shapes_data.py SEED FILE.png     draws one picture

A picture depends on its seed and its size only.  Seeds below `TEST_SEED` are for training, those from it on for testing.
"""

import struct
import sys
import zlib

import numpy as np

CLASSES = ("circle", "square", "triangle", "star", "cross")
SIZE = 160  # default height and width, in pixels: the size the detector works at
TEST_SEED = 1_000_000
SUPERSAMPLING = 3  # samples per pixel and axis


def make_picture(seed, height=SIZE, width=SIZE):
    """Draws the picture of a seed, with one to six shapes.

    Returns the image uint8 [height, width, 3] in RGB, the boxes float32 [n, 4] as (ymin, xmin, ymax, xmax) in parts of the
    picture (0..1), and the classes int32 [n], counted from 1.  Later shapes lie over earlier ones; a box covers its whole
    shape, hidden parts included.
    """
    rng = np.random.default_rng(seed)
    canvas = _background(rng, height, width)
    boxes, classes = [], []
    for _ in range(rng.integers(1, 7)):
        placed = _place(rng, height, width, boxes)
        if placed is None:
            continue
        kind, points, box = placed
        _paint(rng, canvas, points, box)
        boxes.append(box)
        classes.append(kind + 1)
    canvas += rng.normal(0, rng.uniform(0, 10), canvas.shape)
    image = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    scale = np.array([height, width, height, width], np.float32)
    return image, np.array(boxes, np.float32) / scale, np.array(classes, np.int32)


def write_png(path, image):
    """Writes an image uint8 [height, width, 3] as a PNG file."""
    height, width, _ = image.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row starts with its filter type, 0
    rows[:, 1:] = image.reshape(height, -1)

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)))
        file.write(chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)))
        file.write(chunk(b"IEND", b""))


def iou(boxes, others):
    """Intersection over union of boxes [n, 4] and others [m, 4], as [n, m]."""
    boxes, others = boxes[:, None], others[None]
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    common = np.prod(np.maximum(sides, 0), -1)
    return common / (np.prod(boxes[..., 2:] - boxes[..., :2], -1) + np.prod(others[..., 2:] - others[..., :2], -1) - common)


def _background(rng, height, width):
    """A gradient between two colours with soft blotches, float64 [height, width, 3] in 0..255."""
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    along = 0.5 + 0.5 * ((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)) / np.sqrt(0.5)
    first, second = rng.uniform(20, 235, (2, 3))
    canvas = first + (second - first) * along[..., None]
    for _ in range(rng.integers(0, 4)):
        centre_y, centre_x, radius = rng.uniform((0, 0, 0.1), (1, 1, 0.4))
        weight = np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / (2 * radius**2))
        canvas += weight[..., None] * rng.uniform(-50, 50, 3)
    return np.clip(canvas, 0, 255)


def _outline(rng, kind):
    """The corners of a shape, float64 [n, 2] as (y, x), around (0, 0) in no particular size."""

    def polar(count, radii, start=0.0):
        angles = start + np.arange(count) * 2 * np.pi / count
        return np.stack([np.sin(angles), np.cos(angles)], 1) * np.resize(radii, count)[:, None]

    name = CLASSES[kind]
    if name == "circle":
        return polar(48, 1.0)
    if name == "square":
        return polar(4, 1.0, np.pi / 4)
    if name == "triangle":
        return polar(3, 1.0)
    if name == "star":
        return polar(10, [1.0, rng.uniform(0.38, 0.5)])
    arm = rng.uniform(0.25, 0.4)  # half the width of an arm of the cross
    corner = np.array([[arm, 1], [arm, arm], [1, arm]])
    turns = [corner]
    for _ in range(3):
        turns.append(turns[-1] @ np.array([[0, -1], [1, 0]]))
    return np.concatenate(turns)


def _place(rng, height, width, boxes):
    """Finds room for a new shape: its class index, corners [n, 2] and box [4] in pixels, or None where there is no room."""
    side = min(height, width)
    for _ in range(20):
        kind = int(rng.integers(len(CLASSES)))
        points = _outline(rng, kind) * rng.uniform(0.8, 1.2, 2)
        angle = rng.uniform(0, 2 * np.pi)
        points = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        points -= points.min(0)
        points *= side * np.exp(rng.uniform(np.log(0.14), np.log(0.5))) / points.max()
        points += rng.uniform(0, 1, 2) * (np.array([height, width]) - points.max(0))
        box = np.concatenate([points.min(0), points.max(0)])
        if not boxes or iou(box[None], np.array(boxes)).max() < 0.25 and not _covers(box, boxes):
            return kind, points, box
    return None


def _covers(box, others):
    """Whether a box hides more than two fifths of another."""
    others = np.array(others)
    sides = np.maximum(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0)
    return np.any(np.prod(sides, 1) > 0.4 * np.prod(others[:, 2:] - others[:, :2], 1))


def _paint(rng, canvas, points, box):
    """Fills a polygon (corners [n, 2] in pixels) on the canvas, in a colour that stands out from what lies under it."""
    top, left = np.floor(box[:2]).astype(int)
    bottom, right = np.minimum(np.ceil(box[2:]).astype(int), canvas.shape[:2])
    coverage = _coverage(points, top, left, bottom, right)[..., None]
    under = canvas[top:bottom, left:right]
    mean = (under * coverage).sum((0, 1)) / coverage.sum()
    colour = rng.uniform(0, 255, 3)
    while np.linalg.norm(colour - mean) < 90:
        colour = rng.uniform(0, 255, 3)
    shade = np.linspace(-1, 1, bottom - top)[:, None, None] * rng.uniform(-20, 20)
    under += coverage * (colour + shade - under)


def _coverage(points, top, left, bottom, right):
    """The part of each pixel inside a polygon (even-odd), float64 [bottom - top, right - left] in 0..1."""
    rows, columns = bottom - top, right - left
    y = top + (np.arange(rows * SUPERSAMPLING)[:, None] + 0.5) / SUPERSAMPLING
    x = left + (np.arange(columns * SUPERSAMPLING)[None] + 0.5) / SUPERSAMPLING
    inside = np.zeros((y.size, x.size), bool)
    for (y0, x0), (y1, x1) in zip(points, np.roll(points, -1, 0)):
        crosses = (y0 > y) != (y1 > y)  # [rows, 1]: does the edge meet the line of samples?
        slope = (x1 - x0) / (y1 - y0) if y1 != y0 else 0.0
        inside ^= crosses & (x < x0 + (y - y0) * slope)
    return inside.reshape(rows, SUPERSAMPLING, columns, SUPERSAMPLING).mean((1, 3))


if __name__ == "__main__":
    write_png(sys.argv[2], make_picture(int(sys.argv[1]))[0])
