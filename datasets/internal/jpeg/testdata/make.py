"""Writes pil.json.gz: JPEGs of all kinds and damaged ones, and what Pillow makes of them.

It takes cjpeg of libjpeg-turbo too, for samplings and scans that Pillow does not write.
"""
import gzip, hashlib, io, json, random, struct, subprocess, tempfile, warnings
import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
rng = np.random.default_rng(1)
cases, damaged = [], []


def picture(w, h, kind):
    y, x = np.mgrid[0:h, 0:w]
    if kind == "noise":
        return Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))
    u, v = x / w, y / h
    waves = [127.5 + 127 * np.sin(9 * u + 5 * v) * np.cos(15 * u - 3 * v), 127.5 + 127 * np.sin(21 * u + 2 * v), 255 * ((x // 5 + y // 3) % 2)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8))


def pil(data):
    """Returns the size and the first digits of the hash of the pixels, or no size where Pillow refuses."""
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception:
        return 0, 0, ""
    return image.width, image.height, hashlib.sha256(image.tobytes()).hexdigest()[:16]


def add(name, data, error=""):
    """error is in the decoder's, where it has no pixels and Pillow has."""
    w, h, pixels = pil(data)
    cases.append({"name": name, "jpeg": data.hex(), "w": w, "h": h, "pixels": pixels, "error": error})


def encode(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def cjpeg(image, *options, scans=""):
    ppm = io.BytesIO()
    image.save(ppm, "PPM")
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(scans)
        f.flush()
        more = ["-scans", f.name] if scans else []
        return subprocess.run(["cjpeg", *options, *more], input=ppm.getvalue(), capture_output=True, check=True).stdout


def segments(data):
    """Yields the place, the marker and the size of the segments, the first scan's data with the last."""
    at = 2
    while data[at + 1] != 0xda:
        n = 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
        yield at, data[at + 1], n
        at += n
    yield at, 0xda, len(data) - at


def find(data, marker):
    return next((at, n) for at, m, n in segments(data) if m == marker)


def without(data, *markers):
    return data[:2] + b"".join(data[at:at + n] for at, m, n in segments(data) if m not in markers)


def insert(data, before, what):
    at, _ = find(data, before)
    return data[:at] + what + data[at:]


def put(data, at, what):
    return data[:at] + what + data[at + len(what):]


def frame(data, offset, what, marker=0xc0):
    """Overwrites bytes of the frame's segment: 1 the marker, 4 the precision, 5 the height, 7 the width, 10 the components."""
    return put(data, find(data, marker)[0] + offset, bytes(what))


def segment(marker, what):
    return struct.pack(">BBH", 255, marker, 2 + len(what)) + what


def wide(data):
    """Writes the quantization tables with 16 bits."""
    out = data[:2]
    for at, m, n in segments(data):
        s = data[at:at + n]
        if m == 0xdb:
            s = b"".join(segment(0xdb, bytes([16 | s[k]]) + b"".join(struct.pack(">H", v) for v in s[k + 1:k + 65])) for k in range(4, n, 65))
        out += s
    return out


JFIF = segment(0xe0, b"JFIF\0\1\1\0\0\1\0\1\0\0")


def adobe(transform):
    return segment(0xee, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


# Sizes, qualities and the usual samplings.
for w, h in [(1, 1), (3, 2), (4, 9), (5, 4), (8, 8), (17, 15), (33, 31)]:
    for kind in ("noise", "waves") if w < 18 else ("waves",):
        image = picture(w, h, kind)
        for quality, restart in (40, 0), (90, 3), (100, 0):
            for sub in "4:4:4", "4:2:2", "4:2:0", "4:4:0":
                if kind == "waves" and quality == 90 or w == 17:
                    add(f"{kind} {sub} {quality} {w}x{h}", cjpeg(image, "-quality", str(quality), "-sample", {"4:4:4": "1x1", "4:2:2": "2x1", "4:2:0": "2x2", "4:4:0": "1x2"}[sub], *(["-restart", "3B"] if restart else [])))
        add(f"{kind} progressive {w}x{h}", encode(image, quality=80, progressive=True))
        add(f"{kind} gray {w}x{h}", encode(image.convert("L"), quality=80))
        add(f"{kind} optimized {w}x{h}", encode(image, quality=80, optimize=True))

# Samplings that few write, sequential and progressive.
image, small = picture(35, 21, "waves"), picture(9, 9, "noise")
odd = ["4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "3x2", "2x1,2x1,1x1", "2x1,1x1,2x1", "1x1,2x1,1x1", "1x1,2x2,2x2", "2x2,1x2,1x1", "2x2,2x1,1x2", "1x2,1x1,2x1",
       "4x1,2x1,1x1", "1x4,1x2,1x1", "1x1,4x1,1x1", "1x1,1x1,2x2", "1x4,1x1,1x2", "2x2,2x2,1x1"]
for s in odd:
    add(f"sampling {s}", cjpeg(image, "-sample", s))
    add(f"sampling {s} progressive", cjpeg(small, "-sample", s, "-progressive", "-restart", "2B"))
for s in "2x1,3x1,1x1", "3x1,2x1,1x1":
    add(f"sampling {s}", frame(cjpeg(small, "-sample", "2x1,1x1,1x1"), 11, [int(s[0]) << 4 | 1, 0, 2, int(s[4]) << 4 | 1]))
add("sampling 4x4", frame(cjpeg(small, "-sample", "4x2"), 11, [0x44]))
add("sampling 0x1", frame(cjpeg(small, "-sample", "1x1"), 11, [0x01]))
add("sampling 5x1", frame(cjpeg(small, "-sample", "1x1"), 11, [0x51]))
add("gray 2x2", cjpeg(image.convert("L"), "-sample", "2x2"))
add("gray 4x3 progressive", cjpeg(image.convert("L"), "-sample", "4x3", "-progressive"))

# Scans.
one, two, three = "0;\n1;\n2;\n", "0;\n1,2;\n", "1,2;\n0;\n"
fine = "0,1,2: 0-0, 0, 1;\n0: 1-5, 0, 2;\n2: 1-63, 0, 1;\n1: 1-63, 0, 1;\n0: 6-63, 0, 2;\n0: 1-63, 2, 1;\n0,1,2: 0-0, 1, 0;\n2: 1-63, 1, 0;\n1: 1-63, 1, 0;\n0: 1-63, 1, 0;\n"
for s in "1x1", "2x1", "1x2", "2x2", "4x1":
    for name, scans in ("one by one", one), ("two", two), ("backwards", three), ("fine", fine):
        for restart in ([], ["-restart", "2B"]):
            if s in ("1x1", "2x2") or not restart:
                add(f"scans {name} {s} {restart}", cjpeg(image if s == "2x2" else small, "-sample", s, *restart, scans=scans))
cut = fine[:fine.index("1: 1-63")]
add("progressive without its last scans", cjpeg(image, scans=cut))
for s in "1x1", "2x2", "1x2,1x1,2x1", "4x1", "1x4":
    for of, p in ("", image), (" small", small), (" large", picture(70, 50, "waves")):
        if s == "2x2" or not of:
            add(f"progressive without its last scans {s}{of}", cjpeg(p, "-sample", s, scans=cut))
            add(f"progressive of DC alone {s}{of}", cjpeg(p, "-sample", s, scans="0,1,2: 0-0, 0, 0;\n"))
            add(f"progressive of two bits less {s}{of}", cjpeg(p, "-sample", s, scans="0,1,2: 0-0, 0, 0;\n0: 1-63,0,2;\n1: 1-63,0,2;\n2: 1-63,0,2;\n"))
add("progressive of DC alone", cjpeg(image, scans="0,1,2: 0-0, 0, 0;\n"))

# Colours.
for name, data in ("RGB", encode(image, keep_rgb=True)), ("RGB of cjpeg", cjpeg(image, "-rgb")), ("YCbCr", encode(image)):
    bare = without(data, 0xe0, 0xee)
    for ids in "\1\2\3", "RGB", "rgb", "\0\1\2", "\1\1\1":
        own = frame(bare, 10, [ids.encode()[0]])
        own = frame(frame(own, 13, [ids.encode()[1]]), 16, [ids.encode()[2]])
        at = find(own, 0xda)[0]
        own = put(put(put(own, at + 5, ids[0].encode()), at + 7, ids[1].encode()), at + 9, ids[2].encode())
        if name == "YCbCr":
            for what, head in ("", b""), (" JFIF", JFIF), (" Adobe 0", adobe(0)), (" Adobe 1", adobe(1)), (" Adobe 2", adobe(2)), (" JFIF Adobe 0", JFIF + adobe(0)), (" short JFIF", segment(0xe0, JFIF[4:14])):
                if ids in ("\1\2\3", "RGB") or what in ("", " JFIF"):
                    add(f"{name} with the components {ids!r}{what}", frame(own[:2] + head + own[2:], 11, [own[find(own, 0xc0)[0] + 11]]))
    add(name, data)
four = Image.fromarray(rng.integers(0, 256, (11, 18, 4), dtype=np.uint8), "CMYK")
for name, options in ("", {}), (" progressive", dict(progressive=True)), (" with restarts", dict(restart_marker_blocks=1)):
    data = without(encode(four, **options), 0xee)
    for what, head in ("", b""), (" Adobe 0", adobe(0)), (" Adobe 1", adobe(1)), (" Adobe 2", adobe(2)), (" JFIF", JFIF):
        if what or not name:
            add(f"CMYK{what}{name}", data[:2] + head + data[2:])
data = encode(four)
add("CMYK 2x2", frame(data, 11, [0x22]))
add("CMYK of other samplings", frame(frame(data, 11, [0x21]), 20, [0x21]))

# What may stand in a file and not matter, or is not given.
data, progressive = encode(image, quality=70, subsampling="4:2:0"), encode(small, progressive=True)
for name, base in ("", data), (" progressive", progressive):
    f = 0xc2 if name else 0xc0
    add("bytes before EOI" + name, base[:-2] + b"\0\0\0\xff\xd9")
    add("restart before EOI" + name, base[:-2] + b"\xff\xd0\xff\xd9")
    add("restarts and fill bytes before EOI" + name, base[:-2] + b"\xff\xff\xff\xd7\xff\xff\xd0\x12\xff\xff\xff\xd9")
    add("bytes behind EOI" + name, base + bytes(range(200)))
    add("another picture behind EOI" + name, base + encode(small))
    add("bytes between segments" + name, insert(insert(base, 0xc4, b"junk"), f, b"\0\1\2\xff\0abc"))
    add("fill bytes" + name, insert(insert(base, 0xda, b"\xff"), f, b"\xff\xff\xff"))
    add("tables of 16 bits" + name, wide(base))
    add("all else" + name, insert(base, f, segment(0xfe, b"a comment") + segment(0xe5, b"\xff\xd8\xff\xd9") + segment(0xfe, b"") + segment(0xdc, b"\0\5") + b"\xff\xd3"))
    add("comment of length 0" + name, insert(base, f, b"\xff\xfe\0\0"))
    add("JFIF twice" + name, insert(base, f, JFIF))
    add("tables before the picture" + name, b"\xff\xd8" + segment(0xfe, b"tables") + b"\xff\xd9" + base)
    add("EOI before the picture" + name, insert(base, f, b"\xff\xd9"))
    add("SOI twice" + name, insert(base, f, b"\xff\xd8"))
    add("frame twice" + name, insert(base, f, base[find(base, f)[0]:][:19]))
    add("without the tables" + name, without(base, 0xdb))
    add("without the codes" + name, without(base, 0xc4))
    add("without a frame" + name, without(base, f))
    add("height 0 and DNL" + name, frame(base, 5, b"\0\0", f) + segment(0xdc, b"\0\x15"))
    add("12 bits" + name, frame(base, 4, [12], f))
    add("2 components" + name, frame(base, 9, [2], f))
    add("marker TEM" + name, insert(base, f, b"\xff\x01"))
    add("marker JPG0" + name, insert(base, f, b"\xff\xf0\0\2"))
    add("empty table segment" + name, insert(base, f, b"\xff\xdb\0\2\xff\xc4\0\2"))
    add("table segment of length 0" + name, insert(base, f, b"\xff\xc4\0\0"))
    add("restart interval of 3 bytes" + name, insert(base, f, segment(0xdd, b"\0\0\0")))
    for m in 1, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15:
        add(f"SOF{m}{name}", frame(base, 1, [0xc0 + m], f), "arithmetic" if m in (9, 10) else "")
add("second scan of what is complete", data[:-2] + data[find(data, 0xda)[0]:])
add("codes between scan and EOI", data[:-2] + data[find(data, 0xc4)[0]:][:find(data, 0xc4)[1]] + b"\xff\xd9")
add("frame between scan and EOI", data[:-2] + b"\xff\xc0\xff\xff\xff\xd9")
at = find(data, 0xda)[0]
add("sequential scan of coefficient 0", put(data, at + 11, b"\0\0\0"))
add("scan's components backwards", put(data, at + 5, data[at + 9:at + 11] + data[at + 7:at + 9] + data[at + 5:at + 7]))
add("scan of a component twice", put(data, at + 7, data[at + 5:at + 7]))
add("Huffman table 4", put(data, at + 6, b"\x44"))
add("without EOI", data[:-2], "cut off")
add("zeros for EOI", data[:-2] + bytes(20))
add("cut", data[:len(data) * 2 // 3])
add("cut, with EOI", data[:len(data) * 2 // 3] + b"\xff\xd9")
add("cut progressive", progressive[:len(progressive) * 2 // 3])
add("fill bytes in the data", data[:at + 100] + b"\xff\xff\0" + data[at + 100:], "ff ff 00")
add("EXIF with orientation and thumbnail", encode(image, exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0" + encode(small)))
tall, long = encode(Image.new("L", (1, 300), 77)), encode(Image.new("RGB", (300, 1), (200, 30, 90)), subsampling="4:2:0")
add("1x300", tall)
add("300x1", long)
for w, h in (65500, 1), (65501, 1), (1, 65500), (1, 65535):
    out = encode(Image.new("L", (min(w, 65500), min(h, 65500)), 99), optimize=True)
    add(f"{w}x{h}", frame(out, 5, struct.pack(">HH", h, w)))
add("more size than data", frame(encode(small), 5, struct.pack(">HH", 30000, 30000)))
for q in 1, 3, 30:
    add(f"quality {q}", cjpeg(image, "-quality", str(q)))
big = wide(encode(small, quality=50))
at = find(big, 0xdb)[0]
for v in 255, 3000, 65535:
    add(f"quantization by {v}", put(big, at + 5, struct.pack(">H", v) * 64))
add("quantization by 0", put(big, at + 5, bytes(128)))
add("arithmetic", cjpeg(small, "-arithmetic"), "arithmetic")
add("arithmetic progressive", cjpeg(small, "-arithmetic", "-progressive"), "arithmetic")

add("lossless", bytes.fromhex("ffd8ffc3000b080002000301011100ffc4001c0000000009000000000000000000000000000102030405060708ffda0008010100010000712545e0823c7fffd9"), "lossless JPEG (SOF3)")

# Damage: the base's number, where, how many bytes go, what comes instead, and the
# pixels' hash, or none where Pillow refuses.
dice = random.Random(2)
bases = [cjpeg(p, "-quality", q, *o, scans=s) for p, q in ((picture(40, 24, "noise"), "60"), (picture(48, 32, "waves"), "95")) for o, s in (
    ([], ""), (["-sample", "1x1"], ""), (["-sample", "2x2,1x2,1x1", "-restart", "1B"], ""), (["-progressive"], ""), (["-progressive", "-sample", "2x1", "-restart", "2B"], ""), (["-restart", "2B"], two))]
bases.append(encode(four))
for i in range(900):
    n = dice.randrange(len(bases))
    base = bases[n]
    first = base.index(b"\xff\xda")
    at = dice.randrange(first + 10, len(base)) if i % 4 else dice.randrange(2, first + 14)
    gone, new = dice.choice([(1, 1), (1, 1), (0, 1), (1, 0), (20, 20), (2, 2), (5, 0), (0, 5), (10**6, 0), (10**6, 2)])
    new = {2: bytes([255, dice.choice([0, 255, 0xd9, 0xd0 + dice.randrange(8), dice.randrange(256)])]), 20: b"\xfe" * 20}.get(new, bytes(dice.randrange(256) for _ in range(new)))
    if gone == 10**6:
        gone, new = len(base) - at, b"\xff\xd9" if new else b""
    damaged.append({"base": n, "at": at, "gone": gone, "with": new.hex(), "pixels": pil(base[:at] + new + base[at + gone:])[2]})
with open("pil.json.gz", "wb") as f:
    f.write(gzip.compress(json.dumps({"cases": cases, "bases": [b.hex() for b in bases], "damaged": damaged}, separators=(",", ":")).encode(), 9, mtime=0))
print(len(cases), "cases,", sum(not c["w"] for c in cases), "refused;", len(damaged), "damaged,", sum(not d["pixels"] for d in damaged), "refused")
