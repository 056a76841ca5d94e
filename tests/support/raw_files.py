"""Camera raw made up for tests: the smallest DNG that LibRaw opens."""

import io
import struct

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}
CODES = {1: "<B", 3: "<H", 4: "<I", 5: "<II", 10: "<ii"}
IDENTITY = [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]


def save_dng(path, preview=None, orientation=1):
    """Writes 64 x 48 grey sensor values, and a PIL image as JPEG preview; returns the path."""
    out = bytearray(b"II*\0\0\0\0\0")

    def put(data):
        offset = len(out)
        out.extend(data + b"\0" * (len(data) % 2))
        return offset

    def directory(tags):
        entries = []
        for tag, (kind, values) in sorted(tags.items()):
            if not isinstance(values, bytes):
                rows = [value if isinstance(value, tuple) else (value,) for value in values]
                values = b"".join(struct.pack(CODES[kind], *row) for row in rows)
            short = len(values) <= 4
            field = values.ljust(4, b"\0") if short else struct.pack("<I", put(values))
            entries.append(struct.pack("<HHI", tag, kind, len(values) // SIZES[kind]) + field)
        return put(struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0")

    width, height = 64, 48
    sensor = put(struct.pack("<H", 1000) * (width * height))
    # TIFF 6.0's tags, and those of DNG from 50706 on; 32803 is a colour filter array.
    sub = {254: (4, [0]), 256: (4, [width]), 257: (4, [height]), 258: (3, [16]), 259: (3, [1])}
    sub |= {262: (3, [32803]), 273: (4, [sensor]), 277: (3, [1]), 278: (4, [height])}
    sub |= {279: (4, [2 * width * height]), 284: (3, [1]), 33421: (3, [2, 2])}
    sub |= {33422: (1, [0, 1, 1, 2]), 50717: (4, [4095])}
    main = {254: (4, [1]), 271: (2, b"Maker\0"), 272: (2, b"Model\0"), 274: (3, [orientation])}
    main |= {330: (4, [directory(sub)]), 50706: (1, [1, 4, 0, 0]), 50707: (1, [1, 1, 0, 0])}
    main |= {50708: (2, b"Maker Model\0"), 50721: (10, IDENTITY), 50728: (5, [(1, 1)] * 3)}
    main |= {50778: (3, [21])}
    if preview is not None:
        jpeg = io.BytesIO()
        preview.save(jpeg, "JPEG", quality=95)
        content = jpeg.getvalue()
        main |= {256: (4, [preview.width]), 257: (4, [preview.height]), 258: (3, [8, 8, 8])}
        main |= {259: (3, [7]), 262: (3, [6]), 273: (4, [put(content)]), 277: (3, [3])}
        main |= {278: (4, [preview.height]), 279: (4, [len(content)]), 284: (3, [1])}
    out[4:8] = struct.pack("<I", directory(main))
    path.write_bytes(out)
    return path
