"""Writes batch.p0 … batch.p4: one small batch in each pickle protocol that
Python 3 writes it in, and batch.py2: the instructions that Python 2 wrote for
the published batches (protocol 2, str as SHORT_BINSTRING)."""
import pickle
import struct

import numpy as np

data = np.array([[0, 1, 10, 127, 128, 255], [92, 39, 34, 13, 9, 200]], dtype=np.uint8)
batch = {
    "batch_label": "training batch 1 of 5",
    "labels": [6, 9],
    "data": data,
    "filenames": ["a_s_000001.png", "b\\é\n€.png"],
    "more": (True, False, None, -1, 70000, 2**40, 1.5, [], (), {}, b"\x00\xff\n"),
}
for p in range(5):
    with open(f"batch.p{p}", "wb") as f:
        pickle.dump(batch, f, protocol=p)


def s(x):
    return b"U" + bytes([len(x)]) + x


w = b"\x80\x02}q\x01("
w += s(b"labels") + b"q\x02]q\x03(K\x06K\x09e"
w += s(b"data") + b"q\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06"
w += b"K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x06\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09"
w += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", 12) + data.tobytes() + b"q\x0atb"
w += b"u."
with open("batch.py2", "wb") as f:
    f.write(w)
assert (pickle.loads(w, encoding="latin1")["data"] == data).all()
