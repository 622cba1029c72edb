#!/usr/bin/env python3
"""Makes the fixtures of this folder (Pillow 13; the build never runs this).

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install pillow && /tmp/venv/bin/python make.py

`image`, as this project builds it, writes no JPEG and only lossless WebP; these are the rest.
The 16 MP ones are one flat colour: small on disk, as heavy as any to decode.
"""

import pathlib
import random

from PIL import Image, ImageDraw

HERE = pathlib.Path(__file__).parent


def scene(width, height):
    """A gradient with forty ellipses: compresses badly enough that every cut costs pixels."""
    dice = random.Random(7)
    picture = Image.new("RGB", (width, height))
    picture.putdata(
        [
            (255 * x // width, 255 * y // height, 127 + 127 * ((3 * x + 5 * y) % 97) // 97)
            for y in range(height)
            for x in range(width)
        ]
    )
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        left, top = dice.randrange(width), dice.randrange(height)
        size = dice.randrange(max(4, width // 30), max(6, width // 6))
        colour = tuple(dice.randrange(256) for _ in range(3))
        draw.ellipse((left, top, left + size, top + size * height // width + 2), fill=colour)
    return picture


def save(picture, name, **options):
    picture.save(HERE / name, **options)


save(scene(480, 360), "baseline-480x360.jpg", quality=80)
save(scene(480, 360), "progressive-480x360.jpg", quality=80, progressive=True)
save(scene(480, 360).convert("L"), "luma-480x360.jpg", quality=50)
save(scene(320, 240).convert("CMYK"), "cmyk-320x240.jpg", quality=30)
save(scene(120, 90), "default-120x90.jpg", quality=50)
save(scene(320, 180), "mq-320x180.jpg", quality=50)
save(scene(640, 480), "sd-640x480.jpg", quality=40)
save(scene(1280, 720), "maxres-1280x720.jpg", quality=40, optimize=True)
save(Image.new("RGB", (120, 90), (204, 204, 204)), "grey-120x90.jpg", quality=70)
save(scene(480, 360), "lossy-480x360.webp", quality=60, method=6)

FLAT = Image.new("RGB", (4000, 4000), (30, 120, 200))
save(FLAT, "progressive-4000x4000.jpg", quality=75, progressive=True, optimize=True)
save(FLAT, "full-colour-4000x4000.jpg", quality=75, progressive=True, optimize=True, subsampling=0)
save(FLAT, "lossy-4000x4000.webp", quality=50, method=6)
