"""Writes torchvision.json: what torchvision's transforms make of a picture of
random pixels on PIL. Python 3, torchvision 0.29, Pillow 13."""
import base64
import json

import numpy as np
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F

rng = np.random.default_rng(1)


def picture(h, w, mode):
    shape = (h, w, 3) if mode == "RGB" else (h, w)
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode)


def dump(im):
    return {"h": im.height, "w": im.width, "c": len(im.getbands()), "pix": base64.b64encode(im.tobytes()).decode()}


inputs = {"rgb": picture(23, 17, "RGB"), "gray": picture(19, 31, "L"), "large": picture(48, 64, "RGB")}
inputs |= {"wide": picture(1, 40, "RGB"), "high": picture(40, 1, "L"), "dot": picture(1, 1, "RGB"), "gray wide": picture(2, 300, "L")}
cases = []


def case(op, args, name, f):
    cases.append({"op": op, "args": args, "input": name, "want": dump(f(inputs[name]))})


for name in ["rgb", "gray"]:
    for h, w in [(7, 9), (40, 31), (23, 5), (5, 17), (1, 1), (46, 34), (11, 8), (19, 62), (17, 14), (17, 15)]:
        case("ResizeHW", [h, w], name, T.Resize([h, w]))
    for n in [1, 8, 12, 17, 19, 33]:
        case("Resize", [n], name, T.Resize(n))
    for n in [4, 5, 17, 18, 20, 24, 32]:
        case("CenterCrop", [n], name, T.CenterCrop(n))
    case("HorizontalFlip", [], name, F.hflip)
    case("VerticalFlip", [], name, F.vflip)
    for n in [1, 3]:
        case("Grayscale", [n], name, T.Grayscale(n))
    for f in [0, 0.3, 1, 1.7]:
        case("Brightness", [f], name, lambda im: F.adjust_brightness(im, f))
        case("Contrast", [f], name, lambda im: F.adjust_contrast(im, f))
        case("Saturation", [f], name, lambda im: F.adjust_saturation(im, f))
    case("Hue", [0.2], name, lambda im: F.adjust_hue(im, 0.2))
for f in [-0.5, -0.13, 0, 0.31]:
    case("Hue", [f], "large", lambda im: F.adjust_hue(im, f))
case("ResizeHW", [32, 32], "large", T.Resize([32, 32]))

for name in ["wide", "high", "dot", "gray wide"]:
    for n in [1, 2, 7]:
        case("Resize", [n], name, T.Resize(n))
    for h, w in [(1, 1), (1, 50), (50, 1), (3, 4), (1, 40), (40, 1)]:
        case("ResizeHW", [h, w], name, T.Resize([h, w]))
    for n in [1, 2, 3, 39, 41, 64]:
        case("CenterCrop", [n], name, T.CenterCrop(n))

x = T.ToTensor()(inputs["rgb"])
normal = T.Normalize([0.49, 0.48, 0.45], [0.25, 0.24, 0.26])(x)
with open("torchvision.json", "w") as f:
    json.dump({"inputs": {k: dump(v) for k, v in inputs.items()}, "cases": cases,
               "normalize": base64.b64encode(normal.numpy().astype("<f4").tobytes()).decode()}, f, indent=0)
