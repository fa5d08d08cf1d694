# An independent reader of memory images, for the tests: counts what is in an ELF core, a LiME or a kdump-compressed dump (zlib or
# plain), sharing nothing with pagefold. Prints one JSON object: pages, absent, and contents: how many different ones there are, and
# a digest of them all in the order of their addresses.
#
# usage: read_memory.py FILE

import hashlib
import json
import struct
import sys
import zlib

PAGE = 4096


def elf(data):
    """Yields (address, bytes in the file, bytes in memory) of each PT_LOAD."""
    table, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    if count == 0xFFFF:
        count = struct.unpack_from("<I", data, struct.unpack_from("<Q", data, 40)[0] + 44)[0]
    loads = []
    for i in range(count):
        kind, _, offset, virtual, physical, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", data, table + i * size)
        if kind == 1 and memsz > 0:
            loads.append((virtual, physical, data[offset : offset + filesz], memsz))
    by_physical = any(physical for _, physical, _, _ in loads)
    for virtual, physical, content, memsz in loads:
        yield (physical if by_physical else virtual), content, memsz


def lime(data):
    at = 0
    while at < len(data):
        magic, version, first, last = struct.unpack_from("<4sIQQ", data, at)
        assert magic == b"EMiL" and version == 1
        length = last - first + 1
        yield first, data[at + 32 : at + 32 + length], length
        at += 32 + length


def unflatten(data):
    out, at = bytearray(), 4096
    while True:
        offset, length = struct.unpack_from(">qq", data, at)
        if offset == -1:
            return bytes(out)
        at += 16
        if len(out) < offset + length:
            out.extend(bytes(offset + length - len(out)))
        out[offset : offset + length] = data[at : at + length]
        at += length


def kdump(data):
    block, sub_blocks, bitmap_blocks = struct.unpack_from("<III", data, 428)
    last = struct.unpack_from("<Q", data, block + 96)[0]
    bitmaps = (1 + sub_blocks) * block
    half = bitmap_blocks * block // 2
    table = bitmaps + 2 * half

    def is_set(bitmap, pfn):
        return data[bitmap + pfn // 8] >> (pfn % 8) & 1

    index = 0
    for pfn in range(last):
        if is_set(bitmaps + half, pfn):
            offset, size, flags = struct.unpack_from("<QII", data, table + 24 * index)
            packed = data[offset : offset + size]
            assert flags & 0x26 == 0, "packed by what Python has not got"
            yield pfn * block, zlib.decompress(packed) if flags & 1 else packed, block
            index += 1
        elif is_set(bitmaps, pfn):
            yield pfn * block, b"", block


def ranges(data):
    if data[:12] == b"makedumpfile":
        data = unflatten(data)
    if data[:4] == b"\x7fELF":
        return elf(data)
    if data[:4] == b"EMiL":
        return lime(data)
    assert data[:8] == b"KDUMP   "
    return kdump(data)


def main(path):
    with open(path, "rb") as file:
        data = file.read()
    pages, memory = {}, 0
    seen_end = 0
    for address, content, length in sorted(ranges(data), key=lambda one: one[0]):
        first, end = address // PAGE, (address + length - 1) // PAGE + 1
        memory += max(0, end - max(first, seen_end))
        seen_end = max(seen_end, end)
        for at in range(address // PAGE * PAGE, address + len(content), PAGE):
            page = pages.setdefault(at, bytearray(PAGE))
            low, high = max(at, address), min(at + PAGE, address + len(content))
            page[low - at : high - at] = content[low - address : high - address]
    whole = hashlib.sha256()
    for at in sorted(pages):
        whole.update(pages[at])
    different = len({bytes(page) for page in pages.values()})
    print(json.dumps({"pages": len(pages), "absent": memory - len(pages), "different": different, "digest": whole.hexdigest()}))


main(sys.argv[1])
