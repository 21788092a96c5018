"""Pictures of products, drawn: a soft backdrop in the colours of the category, the thing itself, its name.

Shapes are drawn once a product as masks at twice the size and scaled down (that is what makes their edges smooth); each
picture colours and places them anew.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache, lru_cache
from random import Random

from PIL import Image, ImageDraw, ImageFont, ImageOps

from catalog.seeds.vocabulary import COLORS, ROOTS

SIZE = 800
_QUALITY = 82
_CANVAS = 1000  # the square that shapes are drawn in
_ICON = 520
_POSES = [
    (0.8, -12),
    (0.9, 10),
    (1.15, -7),
    (1.3, 14),
]  # scale and angle; few, so that the turned masks can be kept

Draw = ImageDraw.ImageDraw
Box = tuple[float, float, float, float]


@cache
def _looks() -> dict[str, tuple[str, tuple[str, str]]]:
    """Name of the drawing and backdrop colours by name of the category."""
    return {leaf.name: (leaf.picture, root.tint) for root in ROOTS for leaf in root.leaves}


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def draw_pictures(
    *, key: str, name: str, category: str, colors: list[str], count: int
) -> list[tuple[bytes, bytes]]:
    """`count` pictures of a product as JPEG, each with a thumbnail of half its size. The same arguments give the same bytes.

    `key` varies what chance decides, `category` is the name of a leaf (others get a parcel), `colors` are names of
    `vocabulary.COLORS`.
    """
    chance = Random(f"shop picture {key}")
    picture, tint = _looks().get(category, ("box", ("#e4e4e4", "#8d8d8d")))
    palette = [COLORS.get(color, "#6d7480") for color in colors] or ["#6d7480"]
    poses = chance.sample(_POSES, k=len(_POSES))
    views = [_View(chance, index, poses) for index in range(count)]
    return [
        _render(view, picture, tint, palette[index % len(palette)], name if index == 0 else "")
        for index, view in enumerate(views)
    ]


class _View:
    """How the index-th picture shows the thing: the first straight, the others in the poses, in an order of chance."""

    def __init__(self, chance: Random, index: int, poses: list[tuple[float, int]]) -> None:
        self.scale, self.angle = (1.0, 0) if index == 0 else poses[index % len(poses)]
        self.turn = chance.choice((0, 90, 180, 270))
        self.spots = [
            (chance.randint(-80, 720), chance.randint(-80, 720), chance.randint(120, 420)) for _ in range(3)
        ]
        self.swapped = index % 2 == 1


@cache
def _masks(picture: str) -> tuple[Image.Image, Image.Image]:
    """The filled shape of the thing and the parts of it that are lighter."""
    masks = []
    for part in _SHAPES[picture]:
        mask = Image.new("L", (_CANVAS, _CANVAS))
        part(ImageDraw.Draw(mask))
        masks.append(mask)
    return masks[0], masks[1]


@cache
def _backdrop(tint: tuple[str, str], turn: int) -> Image.Image:
    ramp = Image.linear_gradient("L").rotate(turn).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return ImageOps.colorize(ramp, tint[0], tint[1])


@cache
def _spot(radius: int) -> Image.Image:
    mask = Image.new("L", (radius * 2, radius * 2))
    ImageDraw.Draw(mask).ellipse((0, 0, radius * 2 - 1, radius * 2 - 1), fill=26)
    return mask


def _render(view: _View, picture: str, tint: tuple[str, str], color: str, title: str) -> tuple[bytes, bytes]:
    image = _backdrop(tint[::-1] if view.swapped else tint, view.turn).copy()
    for x, y, radius in view.spots:
        image.paste("#ffffff", (x, y), _spot(radius))
    shape, light = (_posed(picture, part, view.scale, view.angle) for part in (0, 1))
    middle = (SIZE - shape.width) // 2
    top = middle - (30 if title else 0)
    image.paste("#000000", (middle + 14, top + 22), shape.point(_SHADOW))
    image.paste(color, (middle, top), shape)
    image.paste("#ffffff", (middle, top), light.point(_LIGHT))
    if title:
        _caption(image, title)
    return _jpeg(image), _jpeg(image.reduce(2))


_SHADOW = [value * 50 // 255 for value in range(256)]
_LIGHT = [value * 92 // 255 for value in range(256)]


@lru_cache(maxsize=256)
def _posed(picture: str, part: int, scale: float, angle: int) -> Image.Image:
    size = int(_ICON * scale)
    mask = _masks(picture)[part].resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return mask.rotate(angle, Image.Resampling.BILINEAR)


def _caption(image: Image.Image, title: str) -> None:
    draw = ImageDraw.Draw(image)
    size = 40
    while size > 20 and draw.textlength(title, font=_font(size)) > SIZE - 80:
        size -= 4
    draw.rectangle((0, SIZE - 104, SIZE, SIZE), fill="#ffffff")
    draw.text((SIZE / 2, SIZE - 52), title, fill="#22252b", font=_font(size), anchor="mm")


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _polygon(*points: tuple[float, float]) -> Callable[[Draw], None]:
    return lambda draw: draw.polygon(points, fill=255)


def _ellipse(*box: float) -> Callable[[Draw], None]:
    return lambda draw: draw.ellipse(box, fill=255)


def _rounded(*box: float, radius: int = 40) -> Callable[[Draw], None]:
    return lambda draw: draw.rounded_rectangle(box, radius, fill=255)


def _arc(*box: float, start: float, end: float, width: int) -> Callable[[Draw], None]:
    return lambda draw: draw.arc(box, start, end, fill=255, width=width)


def _all(*parts: Callable[[Draw], None]) -> Callable[[Draw], None]:
    def draw_all(draw: Draw) -> None:
        for part in parts:
            part(draw)

    return draw_all


_TORSO = ((330, 140), (440, 180), (560, 180), (670, 140), (900, 330), (800, 460), (720, 400), (720, 880), (280, 880),
     (280, 400),
          (200, 460), (100, 330))  # fmt: skip

# Body and lighter details of each drawing, in a square of 1000.
_SHAPES: dict[str, tuple[Callable[[Draw], None], Callable[[Draw], None]]] = {
    "headphones": (
        _all(_arc(140, 120, 860, 900, start=180, end=360, width=70), _rounded(110, 480, 300, 860, radius=80),
             _rounded(700, 480, 890, 860, radius=80)),
        _all(_rounded(240, 520, 300, 820, radius=30), _rounded(700, 520, 760, 820, radius=30)),
    ),
    "speaker": (_rounded(250, 80, 750, 920, radius=90), _all(_ellipse(350, 430, 650, 730), _ellipse(420, 200, 580, 360))),
    "watch": (
        _all(_rounded(390, 40, 610, 960, radius=60), _rounded(270, 270, 730, 730, radius=120)),
        _all(_rounded(320, 320, 680, 680, radius=80), _rounded(730, 450, 770, 550, radius=15)),
    ),
    "box": (
        _rounded(140, 260, 860, 820, radius=40),
        _all(_polygon((140, 330), (860, 330), (860, 360), (140, 360)), _rounded(440, 260, 560, 520, radius=10)),
    ),
    "lamp": (
        _all(_polygon((340, 120), (660, 120), (800, 430), (200, 430)), _rounded(475, 430, 525, 820, radius=10),
             _rounded(320, 810, 680, 880, radius=35)),
        _polygon((370, 160), (470, 160), (430, 400), (270, 400)),
    ),
    "cushion": (
        _all(_rounded(140, 220, 860, 780, radius=170), _rounded(120, 200, 300, 380, radius=60),
             _rounded(700, 620, 880, 800, radius=60)),
        _all(_arc(240, 300, 760, 700, start=200, end=340, width=26), _ellipse(470, 470, 530, 530)),
    ),
    "shelf": (
        _all(_rounded(140, 120, 200, 900, radius=10), _rounded(800, 120, 860, 900, radius=10),
             *(_rounded(140, y, 860, y + 50, radius=10) for y in (120, 370, 620, 850))),
        _all(_rounded(250, 210, 300, 370, radius=8), _rounded(310, 240, 370, 370, radius=8), _ellipse(600, 500, 720, 620),
             _rounded(260, 740, 520, 850, radius=14)),
    ),
    "vase": (
        _all(_ellipse(260, 380, 740, 900), _rounded(410, 140, 590, 520, radius=30), _rounded(360, 110, 640, 180, radius=35)),
        _ellipse(330, 480, 440, 740),
    ),
    "pot": (
        _all(_rounded(180, 380, 820, 800, radius=90), _rounded(150, 330, 850, 410, radius=40),
             _rounded(450, 230, 550, 340, radius=30),
             _rounded(60, 460, 220, 530, radius=30), _rounded(780, 460, 940, 530, radius=30)),
        _rounded(240, 450, 300, 720, radius=28),
    ),
    "mug": (
        _all(_rounded(200, 240, 680, 820, radius=70), _arc(560, 340, 880, 700, start=270, end=90, width=64)),
        _rounded(260, 310, 320, 740, radius=28),
    ),
    "knife": (
        _all(_polygon((80, 470), (640, 380), (640, 560), (250, 560)), _rounded(620, 400, 930, 540, radius=50)),
        _all(_polygon((130, 480), (640, 520), (640, 560), (250, 560)), _ellipse(690, 450, 720, 480),
             _ellipse(820, 450, 850, 480)),
    ),
    "dress": (
        _polygon((380, 100), (420, 220), (580, 220), (620, 100), (680, 120), (640, 430), (820, 900), (180, 900),
             (360, 430), (320, 120)),
        _polygon((350, 430), (650, 430), (662, 470), (338, 470)),
    ),
    "sweater": (
        _all(_polygon(*_TORSO), _ellipse(420, 110, 580, 230)),
        _all(_rounded(280, 800, 720, 830, radius=8), _rounded(280, 850, 720, 880, radius=8),
             _arc(400, 90, 600, 270, start=20, end=160, width=24)),
    ),
    "bag": (
        _all(_rounded(180, 360, 820, 880, radius=80), _arc(320, 110, 680, 640, start=180, end=360, width=50)),
        _all(_polygon((180, 470), (820, 470), (820, 492), (180, 492)), _rounded(450, 450, 550, 560, radius=20)),
    ),
    "shirt": (
        _polygon(*_TORSO),
        _all(_polygon((400, 165), (500, 300), (600, 165), (560, 180), (440, 180)),
             *(_ellipse(486, y, 514, y + 28) for y in range(380, 860, 110))),
    ),
    "jacket": (
        _all(_polygon(*_TORSO), _rounded(100, 320, 230, 760, radius=50), _rounded(770, 320, 900, 760, radius=50)),
        _all(_rounded(488, 190, 512, 880, radius=6), _rounded(330, 620, 440, 650, radius=8),
             _rounded(560, 620, 670, 650, radius=8)),
    ),
    "shoe": (
        _all(_polygon((120, 330), (300, 300), (430, 430), (640, 520), (860, 580), (900, 680), (110, 680)),
             _rounded(90, 670, 910, 760, radius=40)),
        _all(_rounded(90, 700, 910, 725, radius=12), *(_polygon((x, y), (x + 90, y - 40), (x + 96, y - 22), (x + 6, y + 18))
             for x, y in ((330, 470), (400, 510), (470, 545)))),
    ),
    "tent": (
        _polygon((500, 180), (920, 820), (80, 820)),
        _all(_polygon((500, 380), (620, 820), (380, 820)), _rounded(490, 130, 510, 200, radius=5)),
    ),
    "ball": (_ellipse(150, 150, 850, 850), _all(_ellipse(280, 240, 480, 400),
         _arc(150, 300, 850, 700, start=0, end=180, width=18))),
    "bottle": (
        _all(_rounded(340, 280, 660, 920, radius=90), _rounded(420, 160, 580, 330, radius=20),
             _rounded(400, 70, 600, 190, radius=30)),
        _all(_rounded(400, 380, 450, 820, radius=24), _rounded(400, 150, 600, 166, radius=4)),
    ),
    "jar": (
        _all(_rounded(220, 400, 780, 840, radius=80), _rounded(200, 220, 800, 400, radius=40)),
        _all(_rounded(320, 520, 680, 720, radius=20), _rounded(200, 380, 800, 400, radius=4)),
    ),
    "blocks": (
        _all(_rounded(140, 520, 480, 860, radius=30), _rounded(520, 520, 860, 860, radius=30), _polygon((500, 140),
             (690, 480), (310, 480))),
        _all(_ellipse(230, 610, 390, 770), _rounded(610, 610, 770, 770, radius=14)),
    ),
}  # fmt: skip
