"""Sizes and distances in the picture, in units of the SVG."""

from __future__ import annotations

# Boxes in a row, and their least size.
COLUMNS = 4
BOX_WIDTH = 282
BOX_HEIGHT = 84
# Between boxes of a row; between lines side by side; between a box and its nearest lane, where texts stand.
GAP = 20
LANE_GAP = 12
STRIP = 34
# The slot that a line has at a box: from its left to the line, from there to the text, and its width.
PORT = 10
TEXT = 10
LEAST_SLOT = 60
SHARED_SLOT = 100
LARGEST_SLOT = 150
# From a tier's edge to its boxes, with texts between them and without; around all.
PADDING = 28
EDGE = 14
MARGIN = 8
# Sizes of the fonts; the page's style has the same.
NAME_SIZE = 15
TEXT_SIZE = 12
LABEL_SIZE = 11
