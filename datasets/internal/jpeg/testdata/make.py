"""Writes pil.json: JPEGs and the pixels that Pillow decodes them to."""
import base64, hashlib, io, json
import numpy as np
from PIL import Image

rng = np.random.default_rng(1)
cases = []


def picture(w, h, kind):
    y, x = np.mgrid[0:h, 0:w]
    if kind == "noise":
        return rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    u, v = x / w, y / h
    waves = [127.5 + 127 * np.sin(9 * u + 5 * v) * np.cos(15 * u - 3 * v), 127.5 + 127 * np.sin(21 * u + 2 * v), 255 * ((x // 5 + y // 3) % 2)]
    return np.stack(waves, -1).astype(np.uint8)


def add(name, data, own=True):
    pixels = Image.open(io.BytesIO(data)).convert("RGB")
    cases.append({"name": f"{name} {pixels.width}x{pixels.height}", "own": own, "jpeg": base64.b64encode(data).decode(),
                  "w": pixels.width, "h": pixels.height, "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()})


def encode(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def stand(data):
    """Makes 4:2:2 4:4:0: the same blocks belong to a picture with its sides exchanged."""
    data = bytearray(data)
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = data[at + 7:at + 9] + data[at + 5:at + 7]
    assert data[at + 11] == 0x21
    data[at + 11] = 0x12
    return bytes(data)


def quarter(data):
    """Makes 4:2:0 of 20x18 4:1:1 of 40x9, which has as many blocks."""
    data = bytearray(data)
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = bytes([0, 9, 0, 40])
    assert data[at + 11] == 0x22
    data[at + 11] = 0x41
    return bytes(data)


for w, h in [(1, 1), (2, 3), (3, 2), (4, 9), (5, 4), (8, 8), (16, 16), (17, 15), (33, 31), (40, 19)]:
    for kind in ("noise", "waves") if w < 18 else ("waves",):
        image = Image.fromarray(picture(w, h, kind))
        for quality, restart in (40, 0), (90, 3), (100, 0):
            for sub in "4:4:4", "4:2:2", "4:2:0":
                data = encode(image, quality=quality, subsampling=sub, restart_marker_blocks=restart)
                add(f"{kind} {sub} {quality}", data)
                if sub == "4:2:2":
                    add(f"{kind} 4:4:0 {quality}", stand(data))
        add(f"{kind} gray", encode(image.convert("L"), quality=80))
        add(f"{kind} optimized", encode(image, quality=80, optimize=True))
image = Image.fromarray(picture(20, 18, "waves"))
add("progressive", encode(image, progressive=True), False)
add("4:1:1", quarter(encode(image, subsampling="4:2:0")), False)
add("CMYK", encode(image.convert("CMYK")), False)
add("RGB", encode(image, keep_rgb=True), False)
with open("pil.json", "w") as f:
    json.dump(cases, f, indent=0)
