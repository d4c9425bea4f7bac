"""A flame graph as a small SVG: what called what, as wide as it took time. Nothing in it but names of functions and modules."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 1400
ROW: Final = 17
LETTER: Final = 6.6  # pixels that a letter takes
LEAST: Final = 0.002  # share of the whole below which nothing is drawn
HEAD: Final = 40
COLOURS: Final[Mapping[str, str]] = {
    "gateway": "#e8a33d",
    "chassis": "#d9643a",
    "services": "#b8433a",
    "kith": "#8c9a3f",
}
OTHER: Final = "#a9b4bd"


@dataclass
class Frame:
    """A function at its place in the stack, with everything that it called."""

    name: str
    samples: int = 0
    callees: dict[str, "Frame"] = field(default_factory=dict)

    def add(self, stack: tuple[str, ...], samples: int) -> None:
        """Count samples of a stack that goes on from here."""
        self.samples += samples
        if stack:
            self.callees.setdefault(stack[0], Frame(stack[0])).add(stack[1:], samples)


def svg(title: str, stacks: Counter[tuple[str, ...]]) -> str:
    """Return the drawing of stacks, each from its root to its leaf; a frame is named `function (module)`."""
    root = Frame("all")
    for stack, samples in stacks.items():
        root.add(stack, samples)
    drawn = list(_drawn(root, root.samples, 0.0, 0))
    height = HEAD + ROW * (1 + max(depth for _, _, _, depth in drawn))
    shapes = "\n".join(_shape(frame, x, width, depth, height, root.samples) for frame, x, width, depth in drawn)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">'
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/><text x="6" y="20" font-size="15">{escape(title)}</text>'
    return f"{head}\n{ground}\n{shapes}\n</svg>\n"


def _drawn(frame: Frame, whole: int, x: float, depth: int) -> Iterator[tuple[Frame, float, float, int]]:
    """Yield every frame that is wide enough to be seen, with its place."""
    width = frame.samples / whole * WIDTH
    yield frame, x, width, depth
    for each in sorted(frame.callees.values(), key=lambda callee: -callee.samples):
        if each.samples >= LEAST * whole:
            yield from _drawn(each, whole, x, depth + 1)
            x += each.samples / whole * WIDTH


def _shape(frame: Frame, x: float, width: float, depth: int, height: int, whole: int) -> str:
    y = height - ROW * (depth + 1)
    name = escape(frame.name)
    room = frame.name.rpartition("(")[2].partition("/")[0].partition(".")[0]
    letters = int(width / LETTER) - 1
    text = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(frame.name[:letters])}</text>' if letters > 2 else ""
    return (
        f"<g><title>{name}: {frame.samples / whole:.1%}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" fill="{COLOURS.get(room, OTHER)}"/>{text}</g>'
    )
