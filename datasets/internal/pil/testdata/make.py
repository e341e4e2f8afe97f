"""Writes pil.json: small files of all kinds but JPEG, and the pixels that PIL's
Image.open(file).convert("RGB") makes of each, or that it refuses it. Python 3,
Pillow 13."""
import base64
import io
import json
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
rng = np.random.default_rng(7)
files = {}


def add(name, data):
    assert name not in files, name
    files[name] = bytes(data)


def saved(image, kind, **options):
    b = io.BytesIO()
    image.save(b, kind, **options)
    return b.getvalue()


def smooth(h, w, c=3):
    y, x = np.mgrid[0:h, 0:w]
    planes = [x * 255 // max(w - 1, 1), y * 255 // max(h - 1, 1), (x + y) * 255 // max(w + h - 2, 1), 255 - x * 200 // w]
    return np.stack(planes[:c], -1).astype(np.uint8)


def noise(h, w, c=3):
    return rng.integers(0, 256, (h, w, c), dtype=np.uint8)


# PNG ------------------------------------------------------------------------
MAGIC = b"\x89PNG\r\n\x1a\n"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind, data, crc=None):
    if crc is None:
        crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def pack(rows, depth):
    out = b""
    for row in rows:
        out += b"\0"
        if depth == 16:
            out += row.astype(">u2").tobytes()
        elif depth == 8:
            out += row.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(v, "0%db" % depth) for v in row.ravel())
            bits += "0" * (-len(bits) % 8)
            out += bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    return out


def png(samples, depth, colour, before=b"", interlaced=False, split=0, after=b"", end=chunk(b"IEND", b"")):
    h, w = samples.shape[:2]
    raw = b""
    if interlaced:
        for x, y, dx, dy in ADAM7:
            part = samples[y::dy, x::dx]
            if part.size:
                raw += pack(part, depth)
    else:
        raw = pack(samples, depth)
    z = zlib.compress(raw)
    data = chunk(b"IDAT", z)
    if split:
        data = b"".join(chunk(b"IDAT", z[i:i + split]) for i in range(0, len(z), split))
    return MAGIC + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlaced)) + before + data + after + end


def samples(h, w, c, depth):
    s = rng.integers(0, 1 << depth, (h, w, c))
    s.ravel()[:4] = [0, (1 << depth) - 1, 1, (1 << depth) // 2][:s.size]
    return s


CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
for colour in CHANNELS:
    for depth in DEPTHS[colour]:
        for interlaced in (False, True):
            before = b""
            if colour == 3:
                before = chunk(b"PLTE", noise(1, min(1 << depth, 200)).tobytes())
            s = samples(5, 11, CHANNELS[colour], depth)
            if depth == 16:
                s[0, :3] = [[0] * s.shape[2], [255] * s.shape[2], [256] * s.shape[2]]
            name = "png-%d-%d%s" % (colour, depth, "-interlaced" * interlaced)
            add(name, png(s, depth, colour, before, interlaced))
            if colour in (0, 2):
                key = struct.pack(">%dH" % CHANNELS[colour], *s[1, 1])
                add(name + "-keyed", png(s, depth, colour, chunk(b"tRNS", key), interlaced))
            if colour == 3:
                add(name + "-keyed", png(s, depth, colour, before + chunk(b"tRNS", bytes([0, 128])), interlaced))
add("png-rgba16-clear", png(np.full((2, 2, 4), (51400, 25700, 12850, 0)), 16, 6))
add("png-rgba16-nearly-clear", png(np.full((2, 2, 4), (51400, 25700, 12850, 256)), 16, 6))
add("png-rgba8-clear", png(np.full((2, 2, 4), (200, 100, 50, 0)), 8, 6))
add("png-la16-clear", png(np.full((2, 2, 2), (51400, 0)), 16, 4))
rgb8 = samples(6, 7, 3, 8)
add("png-split", png(rgb8, 8, 2, split=1))
add("png-one-pixel", png(samples(1, 1, 3, 8), 8, 2))
add("png-one-column-interlaced", png(samples(9, 1, 3, 8), 8, 2, interlaced=True))
add("png-gamma-profile-exif", png(rgb8, 8, 2, chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"eXIf", b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0") + chunk(b"tEXt", b"a\0b")))
add("png-palette-short", png(samples(4, 4, 1, 4), 4, 3, chunk(b"PLTE", noise(1, 5).tobytes())))
add("png-trailing-bytes", png(rgb8, 8, 2) + b"more")
add("png-animated", saved(Image.fromarray(noise(6, 5)), "PNG", save_all=True, append_images=[Image.fromarray(noise(6, 5))]))
for name, part in (("no-word", chunk(b"ab!d", b"")), ("digits", chunk(b"a1_Z", b"")), ("short-gamma", chunk(b"gAMA", b"abc")), ("short-white", chunk(b"cHRM", b"a" * 31)),
                   ("short-srgb", chunk(b"sRGB", b"")), ("short-size", chunk(b"pHYs", b"a" * 8)), ("short-animation", chunk(b"acTL", b"a"))):
    add("png-chunk-" + name, png(rgb8, 8, 2, part))
    add("png-chunk-after-" + name, png(rgb8, 8, 2, after=part))
add("png-chunk-after-cut", png(rgb8, 8, 2, after=struct.pack(">I", 99) + b"tEXtabc", end=b""))
add("png-frame-short", png(rgb8, 8, 2, chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", struct.pack(">5I2H2B", 0, 3, 3, 1, 1, 1, 1, 0, 0))))
plain = png(rgb8, 8, 2)
for name, at, value in (("compression", 26, 1), ("filter", 27, 1), ("interlace", 28, 2)):
    head = bytearray(plain[12:29])
    head[at - 12] = value
    add("png-" + name + "-byte", MAGIC + chunk(b"IHDR", bytes(head[4:])) + plain[33:])
add("png-no-end", png(rgb8, 8, 2, end=b""))
def idat(data, change):
    """The PNG with its only IDAT chunk changed: change gets its bytes and returns a chunk."""
    at = data.index(b"IDAT") - 4
    n = struct.unpack(">I", data[at:at + 4])[0]
    return data[:at] + change(data[at + 8:at + 8 + n]) + data[at + 12 + n:]


for interlaced in (False, True):
    p = png(samples(6, 7, 3, 8), 8, 2, interlaced=interlaced)
    name = "-interlaced" * interlaced
    add("png-pixels-checksum" + name, idat(p, lambda z: chunk(b"IDAT", z, 1)))
    add("png-zlib-checksum" + name, idat(p, lambda z: chunk(b"IDAT", z[:-1] + bytes([z[-1] ^ 1]))))
    add("png-zlib-checksum-missing" + name, idat(p, lambda z: chunk(b"IDAT", z[:-4])))
    add("png-more-pixels" + name, idat(p, lambda z: chunk(b"IDAT", zlib.compress(zlib.decompress(z) + b"abc" * 50))))
    add("png-fewer-pixels" + name, idat(p, lambda z: chunk(b"IDAT", zlib.compress(zlib.decompress(z)[:-30]))))
    add("png-damaged-pixels" + name, idat(p, lambda z: chunk(b"IDAT", z[:9] + b"\xff\xff\xff" + z[12:])))
    add("png-cut-at-end" + name, p[:-13])
    add("png-zlib-header" + name, idat(p, lambda z: chunk(b"IDAT", b"\0" + z[1:])))
add("png-junk-behind-pixels", png(rgb8, 8, 2, after=b"\0\0\0\x01JUNKabcde"))
add("png-two-runs-of-pixels", png(rgb8, 8, 2, after=chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", b"abc")))
add("png-critical-unknown", png(rgb8, 8, 2, chunk(b"ABCD", b"x")))
add("png-key-of-rgba", png(samples(4, 4, 4, 8), 8, 6, chunk(b"tRNS", b"\0\1\0\1\0\1")))
add("png-palette-of-gray", png(samples(4, 4, 1, 8), 8, 0, chunk(b"PLTE", noise(1, 4).tobytes())))
add("png-palette-twice", png(samples(4, 4, 1, 2), 2, 3, chunk(b"PLTE", noise(1, 4).tobytes()) + chunk(b"PLTE", noise(1, 4).tobytes())))
add("png-text-checksum", png(rgb8, 8, 2, chunk(b"tEXt", b"a\0b", 1)))
add("png-no-palette", png(samples(4, 4, 1, 2), 2, 3))
add("png-deep-palette", png(samples(4, 4, 1, 8), 16, 3, chunk(b"PLTE", noise(1, 4).tobytes())))
whole = png(samples(20, 20, 3, 8), 8, 2)
add("png-cut", whole[:len(whole) // 2])
add("png-cut-header", whole[:20])
add("png-checksum", whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
add("png-no-pixels", MAGIC + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 4, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
add("png-huge", MAGIC + chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))

# GIF ------------------------------------------------------------------------


def lzw(pixels, bits):
    """Codes of a fixed size: a clear code before the table grows."""
    out, acc, n, since = bytearray(), 0, 0, 0
    clear, size = 1 << bits, bits + 1

    def put(code):
        nonlocal acc, n
        acc |= code << n
        n += size
        while n >= 8:
            out.append(acc & 255)
            acc >>= 8
            n -= 8
    put(clear)
    for v in pixels:
        if since == (1 << bits) - 2:
            put(clear)
            since = 0
        put(int(v))
        since += 1
    put(clear + 1)
    out.append(acc & 255)
    blocks = b"".join(bytes([len(out[i:i + 255])]) + bytes(out[i:i + 255]) for i in range(0, len(out), 255))
    return bytes([bits]) + blocks + b"\0"


def gif(canvas, at, index, bits=2, table=None, local=None, background=0, control=b"", interlaced=False, end=b";"):
    h, w = index.shape
    flags, head = 0, b""
    if table is not None:
        flags, head = 0x80 | bits - 1, bytes(table)
    frame = b"," + struct.pack("<HHHHB", *at, w, h, (0x80 | bits - 1 if local is not None else 0) | 0x40 * interlaced)
    order = list(range(h))
    if interlaced:
        order = [*range(0, h, 8), *range(4, h, 8), *range(2, h, 4), *range(1, h, 2)]
    return (b"GIF89a" + struct.pack("<HHBBB", *canvas, flags, background, 0) + head + control + frame + bytes(local or b"") +
            lzw(index[order].ravel(), max(bits, 2)) + end)


def control(disposal=0, clear=None):
    return b"!\xf9\x04" + bytes([disposal << 2 | (clear is not None), 0, 0, clear or 0]) + b"\0"


table = noise(1, 4).tobytes()
index = rng.integers(0, 4, (5, 7))
add("gif-plain", gif((7, 5), (0, 0), index, table=table))
for name, background, ctl in (("", 0, b""), ("-background", 2, b""), ("-clear", 2, control(clear=3)), ("-disposed", 2, control(2)),
                              ("-disposed-clear", 2, control(2, 1)), ("-restored", 1, control(3)), ("-clear-unused", 1, control(clear=200))):
    add("gif-small-frame" + name, gif((11, 9), (2, 3), index, table=table, background=background, control=ctl))
    add("gif-small-frame-local" + name, gif((11, 9), (2, 3), index, table=table, local=noise(1, 4).tobytes(), background=background, control=ctl))
add("gif-transparent", gif((7, 5), (0, 0), index, table=table, control=control(clear=1)))
add("gif-larger-frame", gif((4, 3), (2, 2), index, table=table))
add("gif-no-table", gif((7, 5), (0, 0), index))
add("gif-gray-table", gif((9, 9), (1, 1), index, table=bytes([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]), control=control(clear=2)))
add("gif-gray-local-table", gif((9, 9), (1, 1), index, table=table, local=bytes([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])))
for h in range(1, 18):
    add("gif-interlaced-%d" % h, gif((3, h), (0, 0), rng.integers(0, 4, (h, 3)), table=table, interlaced=True))
add("gif-two-controls", gif((9, 9), (1, 1), index, table=table, control=control(clear=2) + control(2)))
add("gif-extensions", gif((9, 9), (1, 1), index, table=table, control=b"!\xfe\x03abc\0!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0!\x01\x01a\0"))
add("gif-junk", gif((7, 5), (0, 0), index, table=table, control=b"\0\0"))
for name, ext in (("short-control", b"!\xf9\x02\0\0\0"), ("short-clear", b"!\xf9\x03\1\0\0\0"), ("empty-control", b"!\xf9\0\x02ab\0"), ("empty-comment", b"!\xfe\0"),
                  ("empty-application", b"!\xff\0\x02ab\0"), ("empty-application-swallows", b"!\xff\0"), ("loop-without-count", b"!\xff\x0bNETSCAPE2.0\0\x02ab\0")):
    add("gif-" + name, gif((7, 5), (0, 0), index, table=table, control=ext))
whole = gif((7, 5), (0, 0), index, table=table)
for name, at in (("first", 37), ("middle", 40)):
    n = whole[36]
    parts = whole[37:37 + n]
    add("gif-empty-block-" + name, whole[:36] + (b"\0" + bytes([n]) + parts if name == "first" else bytes([4]) + parts[:4] + b"\0" + bytes([n - 4]) + parts[4:]) + b"\0;")
add("gif-cut-block", whole[:36] + bytes([whole[36] + 3]) + whole[37:-2])
add("gif-no-trailer", gif((7, 5), (0, 0), index, table=table, end=b""))
add("gif-cut", gif((40, 40), (0, 0), rng.integers(0, 4, (40, 40)), table=table)[:200])
add("gif-cut-header", gif((7, 5), (0, 0), index, table=table)[:12])
add("gif-too-few-pixels", gif((7, 5), (0, 0), index, table=table).replace(struct.pack("<HHHH", 0, 0, 7, 5), struct.pack("<HHHH", 0, 0, 7, 6)))
add("gif-too-many-pixels", gif((7, 5), (0, 0), index, table=table).replace(struct.pack("<HHHH", 0, 0, 7, 5), struct.pack("<HHHH", 0, 0, 7, 4)))
add("gif-no-picture", b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b";")
for name, im in (("noise", noise(40, 40)), ("smooth", smooth(60, 70))):
    add("gif-saved-" + name, saved(Image.fromarray(im).quantize(200), "GIF"))
    add("gif-saved-plain-" + name, saved(Image.fromarray(im[:12, :13]).quantize(200), "GIF", interlace=0))
add("gif-saved-animated", saved(Image.fromarray(smooth(9, 9)), "GIF", save_all=True, append_images=[Image.fromarray(noise(9, 9))], loop=0))
add("gif-saved-gray", saved(Image.fromarray(smooth(9, 9)[..., 0]), "GIF"))

# BMP ------------------------------------------------------------------------


def bmp(w, h, bits, pixels, size=40, compression=0, colours=0, palette=b"", masks=b"", offset=None, tail=b""):
    if size == 12:
        head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", size, w, h, 1, bits, compression, len(pixels), 0, 0, colours, 0)
        head += (masks if size > 40 else b"").ljust(size - 40, b"\0")
    body = head + (masks if size == 40 else b"") + palette
    if offset is None:
        offset = 14 + len(body)
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(pixels), 0, 0, offset) + body + pixels + tail


def rows(w, h, bits):
    return rng.integers(0, 256, h * ((w * bits + 31) // 32 * 4), dtype=np.uint8).tobytes()


def masks(*m):
    return struct.pack("<%dI" % len(m), *m)


for bits in (1, 4, 8, 16, 24, 32):
    for w in (1, 7, 8):
        palette = noise(1, 1 << bits, 4).tobytes() if bits <= 8 else b""
        add("bmp-%d-wide-%d" % (bits, w), bmp(w, 3, bits, rows(w, 3, bits), palette=palette))
    add("bmp-top-down-%d" % bits, bmp(7, -3, bits, rows(7, 3, bits), palette=palette))
    if bits in (1, 4, 8, 24):
        add("bmp-os2-%d" % bits, bmp(7, 3, bits, rows(7, 3, bits), size=12, palette=noise(1, 1 << bits).tobytes() if bits <= 8 else b""))
    for size in (52, 56, 64, 108, 124):
        add("bmp-header-%d-%d" % (size, bits), bmp(5, 3, bits, rows(5, 3, bits), size=size, palette=palette))
for name, bits, m in (("565", 16, (0xF800, 0x7E0, 0x1F)), ("555", 16, (0x7C00, 0x3E0, 0x1F)), ("444", 16, (0xF00, 0xF0, 0xF)),
                      ("888", 24, (0xFF0000, 0xFF00, 0xFF)), ("8888", 32, (0xFF0000, 0xFF00, 0xFF)), ("zero", 32, (0, 0, 0)),
                      ("xbgr", 32, (0xFF000000, 0xFF0000, 0xFF00)), ("bgxr", 32, (0xFF000000, 0xFF00, 0xFF)), ("rgbx", 32, (0xFF, 0xFF00, 0xFF0000))):
    for size in (40, 52, 56, 124):
        add("bmp-fields-%s-%d" % (name, size), bmp(5, 3, bits, rows(5, 3, bits), size=size, compression=3, masks=masks(*m)))
    alpha = {"8888": 0xFF000000, "xbgr": 0xFF, "bgxr": 0xFF0000, "rgbx": 0xFF000000}.get(name)
    if alpha:
        for size in (56, 108):
            add("bmp-fields-alpha-%s-%d" % (name, size), bmp(5, 3, bits, rows(5, 3, bits), size=size, compression=3, masks=masks(*m, alpha)))
colours16, colours256 = noise(1, 16, 4).tobytes(), noise(1, 256, 4).tobytes()
add("bmp-rle8", bmp(6, 3, 8, bytes([6, 1, 0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 1, 9, 0, 0, 0, 3, 7, 8, 9, 0, 3, 4, 0, 1]), compression=1, palette=colours256))
add("bmp-rle8-delta", bmp(6, 3, 8, bytes([2, 1, 0, 2, 1, 1, 2, 7, 0, 2, 0, 0, 1, 5, 0, 0, 6, 6, 0, 1]), compression=1, palette=colours256))
add("bmp-rle8-short-rows", bmp(6, 3, 8, bytes([2, 1, 0, 0, 3, 2, 0, 0, 6, 3, 0, 1]), compression=1, palette=colours256))
add("bmp-rle8-empty-rows", bmp(6, 3, 8, bytes([6, 1, 0, 0, 0, 0, 6, 3, 6, 4]), compression=1, palette=colours256))
add("bmp-rle8-long-run", bmp(6, 3, 8, bytes([200, 1, 0, 0, 200, 2, 0, 0, 200, 3, 0, 1]), compression=1, palette=colours256))
add("bmp-rle8-end-early", bmp(6, 3, 8, bytes([6, 1, 0, 0, 0, 1]), compression=1, palette=colours256))
add("bmp-rle8-cut", bmp(6, 3, 8, bytes([6, 1, 0, 0, 0, 5, 1]), compression=1, palette=colours256))
add("bmp-rle8-gray", bmp(6, 1, 8, bytes([2, 1, 2, 255, 2, 77]), compression=1, palette=b"".join(bytes([i, i, i, 0]) for i in range(256))))
add("bmp-rle8-two-gray", bmp(6, 1, 8, bytes([2, 1, 2, 0, 2, 77]), compression=1, colours=2, palette=bytes([0, 0, 0, 0, 255, 255, 255, 0])))
add("bmp-rle4", bmp(7, 2, 4, bytes([7, 0x12, 0, 0, 0, 5, 0x12, 0x34, 0x50, 0, 2, 0x67, 0, 1]), compression=2, palette=colours16))
add("bmp-rle4-top-down", bmp(7, -2, 4, bytes([7, 0x12, 0, 0, 7, 0x34, 0, 1]), compression=2, palette=colours16))
add("bmp-rle-24", bmp(7, 2, 24, rows(7, 2, 24), compression=1))
for n in (1, 2, 3, 100, 256):
    add("bmp-few-colours-%d" % n, bmp(6, 3, 8, rows(6, 3, 8), colours=n, palette=noise(1, n, 4).tobytes()))
grays = b"".join(bytes([i % 256] * 3 + [0]) for i in range(300))
add("bmp-300-grays", bmp(6, 3, 8, bytes(range(24)), colours=300, palette=grays))
add("bmp-grays-cut", bmp(6, 1, 8, b"", colours=40, palette=grays[:159], offset=60))
add("bmp-colours-cut", bmp(6, 1, 8, b"", colours=40, palette=grays[4:163], offset=60))
add("bmp-300-colours", bmp(6, 3, 8, rows(6, 3, 8), colours=300, palette=noise(1, 300, 4).tobytes()))
for bits in (1, 4, 8):
    add("bmp-gray-%d" % bits, bmp(6, 3, bits, rows(6, 3, bits), palette=b"".join(bytes([v, v, v, 0]) for v in ((0, 255) if bits == 1 else range(1 << bits)))))
    add("bmp-white-black-%d" % bits, bmp(6, 3, bits, rows(6, 3, bits), colours=2, palette=bytes([255, 255, 255, 0, 0, 0, 0, 0])))
    add("bmp-two-gray-%d" % bits, bmp(6, 3, bits, rows(6, 3, bits), colours=2, palette=bytes([0, 0, 0, 0, 255, 255, 255, 0])))
add("bmp-offset-at-palette", bmp(6, 3, 8, rows(6, 3, 8), palette=colours256, offset=54))
add("bmp-offset-0", bmp(6, 3, 8, rows(6, 3, 8), palette=colours256, offset=0))
add("bmp-cut", bmp(6, 3, 24, rows(6, 3, 24)[:50]))
add("bmp-last-padding-cut", bmp(5, 3, 24, rows(5, 3, 24)[:-1]))
add("bmp-trailing-bytes", bmp(5, 3, 24, rows(5, 3, 24), tail=b"more"))
add("bmp-2-bits", bmp(5, 3, 2, rows(5, 3, 2), palette=noise(1, 4, 4).tobytes()))
add("bmp-png-inside", bmp(5, 3, 24, rows(5, 3, 24), compression=5))
add("bmp-header-16", bmp(5, 3, 24, rows(5, 3, 24), size=40).replace(struct.pack("<I", 40), struct.pack("<I", 16), 1))
for mode in ("1", "L", "P", "RGB", "RGBA"):
    add("bmp-saved-" + mode, saved(Image.fromarray(smooth(5, 7)).convert(mode), "BMP"))

# PNM ------------------------------------------------------------------------
add("pnm-p6", b"P6\n# a comment\n5 3\n255\n" + noise(3, 5).tobytes())
add("pnm-p6-100", b"P6 5 3 100\n" + (noise(3, 5) % 101).tobytes())
add("pnm-p6-above", b"P6 5 3 100\n" + noise(3, 5).tobytes())
add("pnm-p6-1000", b"P6 2 2 1000\n" + rng.integers(0, 1001, 12).astype(">u2").tobytes())
add("pnm-p6-65535", b"P6 2 2 65535\n" + rng.integers(0, 65536, 12).astype(">u2").tobytes())
add("pnm-p5", b"P5\r5 3\r255\r" + noise(3, 5, 1).tobytes())
add("pnm-p5-1000", b"P5 4 1 1000\n" + np.array([0, 1, 3, 1000]).astype(">u2").tobytes())
add("pnm-p5-65535", b"P5 4 1 65535\n" + np.array([0, 100, 256, 65535]).astype(">u2").tobytes())
add("pnm-p5-65535-text", b"P2 4 1 65535\n0 100 256 65535")
add("pnm-p4", b"P4\n11 3\n" + noise(3, 2, 1).tobytes())
add("pnm-p1", b"P1\n5 3\n10101 0 1 0 1 0\n# c\n11111\n")
add("pnm-p2", b"P2\n3 2\n15\n0 1 2\n3 4 15\n")
add("pnm-p3", b"P3\n2 2\n255\n1 2 3 4 5 6\n7 8 9 #x\n10 11 12")
add("pnm-p3-above", b"P3\n1 1\n9\n1 2 10\n")
add("pnm-p3-cut", b"P3\n2 2\n255\n1 2 3 4 5 6\n7 8 9")
add("pnm-p6-cut", b"P6\n5 3\n255\n" + noise(3, 4).tobytes())
add("pnm-p6-0", b"P6\n5 3\n0\n" + noise(3, 5).tobytes())
for name, head in (("comment-in-number", b"P5 1#c\n2 1 255\n"), ("comment-in-last-number", b"P5 12 1 25#c\r5\n"), ("signs", b"P5 +12 1 +255\n"),
                   ("negative", b"P5 -12 1 255\n"), ("underscore", b"P5 1_2 1 2_55\n"), ("two-underscores", b"P5 1__2 1 255\n"),
                   ("ten-digits", b"P5 0000000012 1 255\n"), ("eleven-digits", b"P5 00000000012 1 255\n"), ("letter", b"P5 12 1 255a\n"),
                   ("comment-to-the-end", b"P5 12 1 255#"), ("vertical-tab", b"P5\v12\f1\r255\t"), ("comment-at-kind", b"P5#c\n12 1 255\n")):
    add("pnm-p5-" + name, head + bytes(range(40, 52)))
for name, text in (("glued-by-comment", b"P2 2 1 255 1#c\n2 3"), ("comment-at-end", b"P2 2 1 255 1 2#c"), ("rest", b"P2 2 1 255 1 2 word"),
                   ("long-rest", b"P2 2 1 255 1 2 longerwords"), ("longer-rest", b"P2 2 1 255 1 2 longerwords2"), ("longer-rest-space", b"P2 2 1 255 1 2 longerwords2 "),
                   ("long-number", b"P2 2 1 255 1 00000000002 "), ("signs", b"P2 3 1 255 +1 -0 1_2"), ("negative", b"P2 2 1 255 1 -2"), ("word", b"P2 2 1 255 1 b"),
                   ("comment-cut", b"P2 2 1 255 1 #2"), ("1000-text", b"P2 3 1 1000 0 4 1000")):
    add("pnm-p2-" + name, text)
for name, text in (("rest", b"P1 2 1 1 0 1"), ("junk", b"P1 2 1 1 0 x"), ("zero-byte", b"P1 2 1 1 0 \0"), ("junk-in-comment", b"P1 2 1 1 0 # x"), ("two", b"P1 2 1 1 2"), ("cut", b"P1 2 1 1 #0\n"), ("glued", b"P1 2 1 1#c\n0")):
    add("pnm-p1-" + name, text)
add("pnm-p7", b"P7\nWIDTH 5\n")

# TIFF -----------------------------------------------------------------------
TYPES = {"H": 3, "I": 4, "B": 1}


def tiff(samples, photometric, bits, big=False, compression=1, rows=None, tile=None, planar=False, predictor=1, extra=(), fill=1, tags=(), formats=None):
    """samples is [h w n]; the strips are packed by zlib (8), PackBits (32773, one run a byte) or not at all."""
    e = ">" if big else "<"
    h, w, n = samples.shape
    data, offsets, counts = bytearray(), [], []

    def encode(part):
        part = part.astype(np.int64)
        if predictor == 2:
            part = np.concatenate([part[:, :1], np.diff(part, axis=1)], 1) % (1 << bits)
        raw = b""
        for row in part:
            if bits == 16:
                raw += row.astype(e + "u2").tobytes()
            else:
                raw += pack([row], bits)[1:]
        if fill == 2 and compression == 1:
            raw = bytes(int(format(b, "08b")[::-1], 2) for b in raw)
        if compression == 8:
            raw = zlib.compress(raw)
        if compression == 32773:
            raw = b"".join(bytes([0, b]) for b in raw)
        offsets.append(8 + len(data))
        counts.append(len(raw))
        data.extend(raw)

    for plane in ([samples[..., k:k + 1] for k in range(n)] if planar else [samples]):
        if tile:
            for y in range(0, h, tile[1]):
                for x in range(0, w, tile[0]):
                    part = np.zeros((tile[1], tile[0], plane.shape[2]), plane.dtype)
                    cut = plane[y:y + tile[1], x:x + tile[0]]
                    part[:cut.shape[0], :cut.shape[1]] = cut
                    encode(part)
        else:
            for y in range(0, h, rows or h):
                encode(plane[y:y + (rows or h)])
    if len(data) % 2:
        data.append(0)
    t = {256: ("H", [w]), 257: ("H", [h]), 258: ("H", [bits] * n), 259: ("H", [compression]), 262: ("H", [photometric]), 277: ("H", [n])}
    if tile:
        t.update({322: ("H", [tile[0]]), 323: ("H", [tile[1]]), 324: ("I", offsets), 325: ("I", counts)})
    else:
        t.update({273: ("I", offsets), 278: ("H", [rows or h]), 279: ("I", counts)})
    if planar:
        t[284] = ("H", [2])
    if predictor != 1:
        t[317] = ("H", [predictor])
    if extra:
        t[338] = ("H", list(extra))
    if fill != 1:
        t[266] = ("H", [fill])
    if formats:
        t[339] = ("H", formats)
    t.update(dict(tags))
    at = 8 + len(data)
    ifd, after, over = struct.pack(e + "H", len(t)), b"", at + 2 + 12 * len(t) + 4
    for tag in sorted(t):
        kind, values = t[tag]
        v = struct.pack(e + "%d%s" % (len(values), kind), *values)
        if len(v) > 4:
            after, v = after + v + b"\0" * (len(v) % 2), struct.pack(e + "I", over + len(after))
        ifd += struct.pack(e + "HHI", tag, TYPES[kind], len(values)) + v.ljust(4, b"\0")
    return (b"MM\0\x2a" if big else b"II\x2a\0") + struct.pack(e + "I", at) + bytes(data) + ifd + b"\0\0\0\0" + after


def table16(bits):
    return {320: ("H", [int(v) for v in rng.integers(0, 65536, 3 << bits)])}.items()


KINDS = [("gray-%d" % b, 1, b, 1, ()) for b in (1, 2, 4, 8, 16)] + [("inverted-%d" % b, 0, b, 1, ()) for b in (1, 2, 4, 8, 16)]
KINDS += [("palette-%d" % b, 3, b, 1, ()) for b in (1, 2, 4, 8)]
KINDS += [("rgb-8", 2, 8, 3, ()), ("rgb-16", 2, 16, 3, ()), ("cmyk-8", 5, 8, 4, ()), ("cmyk-16", 5, 16, 4, ())]
KINDS += [("rgb-%d-extra-%d" % (b, x), 2, b, 4, (x,)) for b in (8, 16) for x in (0, 1, 2)]
KINDS += [("rgb-8-no-extra", 2, 8, 4, ()), ("gray-extra-0", 1, 8, 2, (0,)), ("gray-extra-1", 1, 8, 2, (1,)), ("gray-extra-2", 1, 8, 2, (2,)),
          ("palette-extra-2", 3, 8, 2, (2,)), ("rgb-five", 2, 8, 5, (2, 0)), ("cmyk-five", 5, 8, 5, (0,))]
for name, photometric, bits, n, extra in KINDS:
    s = samples(7, 19, n, bits)
    if bits == 16:
        s[0, :3] = [[0] * n, [255] * n, [256] * n]
    tags = table16(bits) if photometric == 3 else ()
    for big in (False, True):
        add("tiff-%s%s" % (name, "-big" * big), tiff(s, photometric, bits, big, extra=extra, tags=tags, rows=3))
    add("tiff-%s-deflate" % name, tiff(s, photometric, bits, compression=8, extra=extra, tags=tags, rows=3))
    if n > 1:
        add("tiff-%s-planar" % name, tiff(s, photometric, bits, extra=extra, tags=tags, planar=True))
        add("tiff-%s-planar-deflate" % name, tiff(s, photometric, bits, extra=extra, tags=tags, planar=True, rows=4, compression=8))
    if bits >= 8:
        for big in (False, True):
            add("tiff-%s-predictor%s" % (name, "-big" * big), tiff(s, photometric, bits, big, compression=8, predictor=2, extra=extra, tags=tags, rows=4))
for name, photometric, bits, n, extra in KINDS[:1] + [KINDS[3], ("rgb-8", 2, 8, 3, ())]:
    s = samples(37, 41, n, bits)
    add("tiff-%s-tiles" % name, tiff(s, photometric, bits, tile=(16, 32)))
    add("tiff-%s-tiles-deflate" % name, tiff(s, photometric, bits, tile=(32, 16), compression=8))
    add("tiff-%s-tiles-one" % name, tiff(s, photometric, bits, tile=(48, 48), compression=8))
    add("tiff-%s-packbits" % name, tiff(s[:9], photometric, bits, compression=32773, rows=4))
    add("tiff-%s-reversed" % name, tiff(s[:9], photometric, bits, fill=2))
add("tiff-tile-larger", tiff(samples(3, 5, 1, 8), 1, 8, tile=(512, 256), compression=8))
s = samples(5, 8, 3, 8)
for o in range(0, 10):
    add("tiff-orientation-%d" % o, tiff(s, 2, 8, tags={274: ("H", [o])}.items()))
for name, photometric, bits, n, extra in KINDS:
    planar = n > 1 and (name == "rgb-8" or bits == 8 and "extra" not in name)
    for compression in (1, 8):
        add("tiff-%s-reversed-%d" % (name, compression), tiff(np.arange(4 * 8 * n).reshape(4, 8, n) * 5 % (1 << bits), photometric, bits, fill=2, extra=extra, compression=compression,
                                                           tags={320: ("H", [v * 85 for v in range(3 << bits)])}.items() if photometric == 3 else ()))
    if n == 1:
        add("tiff-%s-one-plane" % name, tiff(np.arange(32).reshape(4, 8, 1) * 5 % (1 << bits), photometric, bits, planar=True,
                                             tags={320: ("H", [v * 85 for v in range(3 << bits)])}.items() if photometric == 3 else ()))
add("tiff-rgb-8-reversed-planar", tiff(np.arange(96).reshape(4, 8, 3), 2, 8, fill=2, planar=True))
for name, photometric, bits, n, extra in (("gray-extra-999", 1, 8, 2, (999,)), ("rgb-extra-999", 2, 8, 4, (999,)), ("rgb-16-extra-999", 2, 16, 4, (999,)), ("rgb-extra-3", 2, 8, 4, (3,)),
                                          ("rgb-extra-0-2", 2, 8, 5, (0, 2)), ("rgb-six", 2, 8, 6, (1, 0, 0)), ("rgb-seven", 2, 8, 7, (0, 0, 0, 0)), ("cmyk-extra-1", 5, 8, 5, (1,))):
    add("tiff-" + name, tiff(np.arange(32 * n).reshape(4, 8, n), photometric, bits, extra=extra))
for extra in (0, 2):
    add("tiff-one-bits-value-planar-extra-%d" % extra, tiff(np.arange(128).reshape(4, 8, 4), 2, 8, compression=8, planar=True, extra=(extra,), tags={258: ("H", [8])}.items()))
add("tiff-more-bits-values", tiff(np.arange(96).reshape(4, 8, 3), 2, 8, tags={258: ("H", [8, 8, 8, 16])}.items()))
for mode in ("L", "RGB", "P", "1"):
    for kind in ("raw", "tiff_lzw", "tiff_adobe_deflate"):
        add("tiff-big-%s-%s" % (mode, kind), saved(Image.fromarray(smooth(33, 30)).convert(mode), "TIFF", compression=kind, big_tiff=True))
add("tiff-big-cut", saved(Image.fromarray(smooth(33, 30)), "TIFF", big_tiff=True)[:100])
add("tiff-big-big-endian", b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\0\0\x10" + bytes(40))
add("tiff-orientation-6-deflate", tiff(s, 2, 8, compression=8, tags={274: ("H", [6])}.items()))
add("tiff-orientation-6-gray", tiff(s[..., :1], 1, 8, tags={274: ("H", [6])}.items()))
add("tiff-lab", tiff(s, 8, 8))
add("tiff-ycbcr", tiff(s, 6, 8))
add("tiff-float", tiff(s[..., :1], 1, 8, formats=[3]))
add("tiff-signed", tiff(s[..., :1], 1, 8, formats=[2]))
add("tiff-formats", tiff(s, 2, 8, formats=[1, 1, 1]))
add("tiff-all-rows", tiff(s, 2, 8, tags={278: ("I", [2**32 - 1])}.items()))
add("tiff-one-bits-value", tiff(s, 2, 8, tags={258: ("H", [8])}.items()))
add("tiff-no-counts", tiff(s, 2, 8, tags={279: ("I", [0])}.items()))
add("tiff-565", tiff(s, 2, 8, tags={258: ("H", [5, 6, 5])}.items()))
add("tiff-cut", tiff(s, 2, 8)[:60])
add("tiff-cut-strip", tiff(s, 2, 8, tags={279: ("I", [10])}.items(), compression=8))
for kind in ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "group3", "group4", "tiff_ccitt", "jpeg", "lzma", "zstd"):
    modes = ("RGB", "L", "P", "CMYK", "LA", "RGBA", "I;16", "1")
    if kind in ("group3", "group4", "tiff_ccitt"):
        modes = ("1",)
    elif kind in ("jpeg", "lzma", "zstd"):
        modes = ("RGB",)
    for mode in modes:
        im = Image.fromarray(smooth(33, 30))
        im = Image.fromarray((smooth(33, 30)[..., 0].astype(np.uint16) * 257)) if mode == "I;16" else im.convert(mode)
        add("tiff-saved-%s-%s" % (kind, mode), saved(im, "TIFF", compression=kind))
add("tiff-saved-lzw-predictor", saved(Image.fromarray(smooth(33, 30)), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}))
add("tiff-saved-lzw-long", saved(Image.fromarray(smooth(90, 90) ^ 85), "TIFF", compression="tiff_lzw"))
add("tiff-saved-two", saved(Image.fromarray(smooth(9, 8)), "TIFF", save_all=True, append_images=[Image.fromarray(noise(9, 8))]))
add("tiff-saved-group4-inverted", saved(Image.fromarray(smooth(33, 30)).convert("1"), "TIFF", compression="group4", tiffinfo={262: 0}))
for kind in ("group3", "group4"):
    for f in (1, 2):
        add("tiff-saved-%s-fill-%d" % (kind, f), saved(Image.fromarray(smooth(33, 30)).convert("1"), "TIFF", compression=kind, tiffinfo={266: f}))
    add("tiff-saved-%s-wide" % kind, saved(Image.fromarray(noise(9, 2600)).convert("L").point(lambda v: 255 * (v > 250)).convert("1"), "TIFF", compression=kind))

# WebP -----------------------------------------------------------------------


def riff(*chunks):
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(d)) + d + b"\0" * (len(d) % 2) for k, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunks(data):
    out, at = [], 12
    while at + 8 <= len(data):
        n = struct.unpack("<I", data[at + 4:at + 8])[0]
        out.append((data[at:at + 4], data[at + 8:at + 8 + n]))
        at += 8 + n + n % 2
    return out


def vp8x(flags, w, h):
    return (b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", w - 1)[:3] + struct.pack("<I", h - 1)[:3])


def anmf(x, y, w, h, flags, *inner):
    u = lambda v: struct.pack("<I", v)[:3]
    return (b"ANMF", u(x // 2) + u(y // 2) + u(w - 1) + u(h - 1) + u(100) + bytes([flags]) + riff(*inner)[12:])


for h, w in ((1, 1), (1, 2), (2, 1), (2, 2), (1, 17), (16, 1), (3, 3), (17, 16), (15, 18), (33, 31)):
    for name, make in (("smooth", smooth), ("noise", noise)):
        add("webp-%s-%dx%d" % (name, h, w), saved(Image.fromarray(make(h, w)), "WEBP", quality=70))
for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (250, 5, 130)):
    add("webp-colour-%d-%d-%d" % colour, saved(Image.new("RGB", (5, 5), colour), "WEBP", quality=80))
for q in (0, 5, 30, 60, 90, 100):
    for m in (0, 3, 6):
        add("webp-quality-%d-%d" % (q, m), saved(Image.fromarray(np.concatenate([smooth(40, 25), noise(40, 23)], 1)), "WEBP", quality=q, method=m))
add("webp-large", saved(Image.fromarray(np.concatenate([smooth(60, 80), noise(60, 20)], 1)), "WEBP", quality=20))
for name, make in (("smooth", smooth), ("noise", noise)):
    clear = make(9, 11, 4)
    clear[2:7, 3:8, 3] = 0
    for exact in (False, True):
        add("webp-alpha-%s%s" % (name, "-exact" * exact), saved(Image.fromarray(clear), "WEBP", quality=80, exact=exact))
        add("webp-alpha-lossless-%s%s" % (name, "-exact" * exact), saved(Image.fromarray(clear), "WEBP", lossless=True, exact=exact))
    add("webp-alpha-quality-%s" % name, saved(Image.fromarray(clear), "WEBP", quality=80, alpha_quality=20))
    for m in (0, 4, 6):
        add("webp-lossless-%s-%d" % (name, m), saved(Image.fromarray(make(19, 23)), "WEBP", lossless=True, method=m))
few = Image.fromarray(noise(20, 21)).quantize(16).convert("RGB")
for n in (2, 3, 4, 5, 16, 17):
    add("webp-lossless-colours-%d" % n, saved(Image.fromarray(noise(20, 21)).quantize(n).convert("RGB"), "WEBP", lossless=True))
add("webp-lossless-1x1", saved(Image.new("RGB", (1, 1), (1, 2, 3)), "WEBP", lossless=True))
two = [Image.fromarray(smooth(12, 14)), Image.fromarray(noise(12, 14))]
add("webp-animated", saved(two[0], "WEBP", save_all=True, append_images=two[1:], duration=50))
add("webp-animated-lossless", saved(two[0], "WEBP", save_all=True, append_images=two[1:], duration=50, lossless=True))
add("webp-animated-background", saved(two[0], "WEBP", save_all=True, append_images=two[1:], background=(255, 0, 0, 255)))
lossy, lossless = chunks(saved(Image.fromarray(smooth(6, 8)), "WEBP"))[0], chunks(saved(Image.fromarray(smooth(6, 8)), "WEBP", lossless=True))[0]
alpha = chunks(saved(Image.fromarray(smooth(6, 8, 4)), "WEBP"))
anim = (b"ANIM", bytes([10, 20, 30, 255, 0, 0]))
for name, inner in (("lossy", [lossy]), ("lossless", [lossless]), ("alpha", alpha[1:])):
    for flags in (0, 1, 2, 3):
        add("webp-frame-%s-%d" % (name, flags), riff(vp8x(18, 20, 16), anim, anmf(4, 6, 8, 6, flags, *inner), anmf(0, 0, 8, 6, 0, lossy)))
add("webp-frame-outside", riff(vp8x(2, 10, 10), anim, anmf(4, 6, 8, 6, 0, lossy)))
add("webp-frame-size", riff(vp8x(2, 20, 20), anim, anmf(4, 6, 9, 6, 0, lossy)))
add("webp-frame-before-anim", riff(vp8x(2, 20, 20), anmf(4, 6, 8, 6, 0, lossy), anim))
add("webp-still-in-animation", riff(vp8x(2, 8, 6), anim, lossy))
add("webp-frame-in-still", riff(vp8x(0, 8, 6), anim, anmf(0, 0, 8, 6, 0, lossy)))
add("webp-profile", riff(vp8x(0x20, 8, 6), (b"ICCP", b"abc"), lossy, (b"EXIF", b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")))
add("webp-unknown-chunks", riff(vp8x(0, 8, 6), (b"JUNK", b"abc"), (b"XMP ", b""), lossy, (b"MORE", b"x")))
add("webp-alpha-flag-alone", riff(vp8x(0x10, 8, 6), lossy))
add("webp-alpha-without-flag", riff(vp8x(0, 8, 6), *alpha[1:]))
add("webp-canvas-size", riff(vp8x(0, 9, 6), lossy))
add("webp-two-pictures", riff(lossy, lossless))
add("webp-extended-lossless", riff(vp8x(0, 8, 6), lossless))
add("webp-trailing-bytes", riff(lossy) + b"more")
add("webp-junk-first", riff((b"JUNK", b"abc"), lossy))
add("webp-no-picture", riff(vp8x(0, 8, 6)))
add("webp-extended-cut-behind", riff(vp8x(8, 8, 6), lossy, (b"EXIF", b"a" * 20))[:-4])
for name, inner in (("lossy", [vp8x(4, 8, 6), lossy]), ("animated", [vp8x(2, 20, 16), anim, anmf(4, 6, 8, 6, 0, lossy)])):
    add("webp-lying-chunk-behind-" + name, riff(*inner, (b"XMP ", b"abcd")).replace(b"XMP \x04", b"XMP \x44"))
    whole = riff(*inner)
    add("webp-bytes-behind-" + name, whole[:4] + struct.pack("<I", len(whole) - 4) + whole[8:] + b"abcd")
for name, w, h in (("narrower", 7, 6), ("higher", 8, 7)):
    add("webp-frame-" + name, riff(vp8x(2, 20, 16), anim, anmf(4, 6, w, h, 0, lossy)))
add("webp-size-lies", riff((lossy[0], lossy[1][:6] + struct.pack("<HH", 9000, 9000) + lossy[1][10:])))
add("webp-cut", saved(Image.fromarray(noise(30, 30)), "WEBP")[:400])
add("webp-cut-inside", riff((lossy[0], lossy[1][:len(lossy[1]) // 2])))
add("webp-cut-lossless", riff((lossless[0], lossless[1][:len(lossless[1]) // 2])))

# what is none ---------------------------------------------------------------
add("empty", b"")
add("page", b"\n<!DOCTYPE html><title>not here</title>")
add("text", b"not here")

out = []
for name, data in files.items():
    case = {"name": name, "file": base64.b64encode(data).decode()}
    try:
        im = Image.open(io.BytesIO(data)).convert("RGB")
        case.update(width=im.width, height=im.height, rgb=base64.b64encode(zlib.compress(im.tobytes(), 9)).decode())
    except Exception as e:
        case["refused"] = type(e).__name__
    out.append(case)
with open("pil.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in out) + "\n]\n")
print(len(out), "files,", sum("refused" in c for c in out), "refused")
