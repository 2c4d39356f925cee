"""Decoded picture to pixels: deinterlaced, upright, RGB, transparent parts on white."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph

UNTAGGED = 2  # a frame's colorspace where the file names none
HD = 720  # rows from which untagged video is BT.709


class Deinterlacer:
    """Makes one picture from the two fields of an interlaced frame; passes on other frames unchanged.

    Uses FFmpeg's filter bwdif, which needs the next frame too, so each frame comes out one frame later.
    """

    def __init__(self) -> None:
        self.graph: Graph | None = None
        self.form: tuple | None = None

    def __call__(self, picture: VideoFrame) -> Iterator[VideoFrame]:
        form = (picture.width, picture.height, picture.format.name)
        if form != self.form:
            yield from self.flush()
            self.graph, self.form = self._make(picture), form
        if self.graph is None:
            yield picture
        else:
            self.graph.push(picture)
            yield from _pull(self.graph)

    def flush(self) -> Iterator[VideoFrame]:
        """The frames that are still in the filter."""
        if self.graph is not None:
            self.graph.push(None)
            yield from _pull(self.graph)
            self.graph = None

    def _make(self, picture: VideoFrame) -> Graph | None:
        from av.filter import Graph

        if picture.width < 3 or picture.height < 4:
            return None  # less than the filter takes
        graph = Graph()
        source = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
        )
        graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
        graph.configure()
        return graph


def _pull(graph: Graph) -> Iterator[VideoFrame]:
    from av import FFmpegError

    while True:
        try:
            yield graph.vpull()
        except (FFmpegError, EOFError):  # it wants another picture, or has given all
            return


def upright(picture: VideoFrame, height: int, width: int) -> tuple[np.ndarray, bool]:
    """`picture` as RGB bytes, scaled to height and width, then turned upright; and whether its sides were swapped.

    Its display matrix sends a pixel at (x, y) to (a x + c y, b x + d y); the nearest quarter turn is taken.
    """
    from av.sidedata.sidedata import Type
    from av.video.reformatter import Colorspace

    untagged = picture.colorspace == UNTAGGED
    space = Colorspace.ITU709 if untagged and picture.height >= HD else None
    transparent = any(component.is_alpha for component in picture.format.components)
    format = "rgba" if transparent else "rgb24"
    array = picture.to_ndarray(format=format, src_colorspace=space, width=width, height=height)
    if transparent:
        alpha = array[..., 3:] / np.float32(255)
        array = (array[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    side_data: Mapping[Any, Any] = picture.side_data  # PyAV's own type knows motion vectors only
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return array, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    swapped = abs(b) + abs(c) > abs(a) + abs(d)
    if swapped:
        array = array.transpose(1, 0, 2)
    mirrored_x, mirrored_y = (c < 0, b < 0) if swapped else (a < 0, d < 0)
    return np.ascontiguousarray(array[:: -1 if mirrored_y else 1, :: -1 if mirrored_x else 1]), swapped
