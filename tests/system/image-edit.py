# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes a checkpoint image that is whole and wrong: what a hostile or a newer writer could hand in.
#
#       image-edit.py IMAGE drop KIND            without the records of that number
#       image-edit.py IMAGE cpu FEATURE          with one more CPU feature in its header
#       image-edit.py IMAGE feature NAME         with a feature of the format that nobody knows
#       image-edit.py IMAGE kind NUMBER FLAGS    with a record of a kind that nobody knows, before the end
#       image-edit.py IMAGE format NUMBER        of another format
#       image-edit.py IMAGE fixed64 KIND FIELD V with that value of a fixed64 field in all records of a kind
#
# Frames, checksums, counts and the SHA-256 of the last record are made again by docs/FORMAT.md, not by the engine's code.
import hashlib
import struct
import sys

TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = TABLE[(c ^ b) & 0xFF] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def fields(p):  # (number, bytes as they stand)
    at = 0

    def take():
        nonlocal at
        v = shift = 0
        while True:
            v |= (p[at] & 127) << shift
            shift += 7
            at += 1
            if p[at - 1] < 128:
                return v

    while at < len(p):
        start = at
        tag = take()
        if tag & 7 == 1:
            at += 8
        elif tag & 7 == 2:
            n = take()
            at += n
        else:
            take()
        yield tag >> 3, p[start:at]


path, what, args = sys.argv[1] + "/records", sys.argv[2], sys.argv[3:]
data = open(path, "rb").read()
head, at, frames = data[:16], 16, []
while at < len(data):
    length, kind, flags, ident = struct.unpack_from("<IHHQ", data, at)
    frames.append([kind, flags, ident, data[at + 16:at + 16 + length]])
    at += 16 + length + 4
end = frames.pop()

if what == "drop":
    frames = [f for f in frames if f[0] != int(args[0])]
elif what in ("cpu", "feature"):
    number = {"feature": 3, "cpu": 4}[what]
    have = list(fields(frames[0][3]))
    have.append((number, varint(number << 3 | 2) + varint(len(args[0])) + args[0].encode()))
    frames[0][3] = b"".join(text for _, text in sorted(have, key=lambda f: f[0]))
elif what == "kind":
    frames.append([int(args[0]), int(args[1]), 1, b""])
elif what == "fixed64":
    kind, field, value = (int(a, 0) for a in args)
    for f in frames:
        if f[0] == kind:
            f[3] = b"".join(varint(n << 3 | 1) + struct.pack("<Q", value) if n == field else text for n, text in fields(f[3]))
elif what == "format":
    head = head[:8] + struct.pack("<I", int(args[0])) + head[12:]

out = head
for kind, flags, ident, payload in frames:
    f = struct.pack("<IHHQ", len(payload), kind, flags, ident) + payload
    out += f + struct.pack("<I", crc32c(f))
counts = {}
for f in frames:
    counts[f[0]] = counts.get(f[0], 0) + 1
payload = b""
for kind in sorted(counts):
    one = b"\x08" + varint(kind) + b"\x10" + varint(counts[kind])
    payload += b"\x0a" + varint(len(one)) + one
payload += b"".join(text for number, text in fields(end[3]) if number in (2, 3))
payload += b"\x22\x20" + hashlib.sha256(out).digest()
f = struct.pack("<IHHQ", len(payload), end[0], end[1], end[2]) + payload
open(path, "wb").write(out + f + struct.pack("<I", crc32c(f)))
