"""JPEG: what is to be known of one before it is believed (ITU T.81, annex B)."""


def size(data: bytes) -> tuple[int, ...]:
    """Height and width as a JPEG's frame header says, so that nothing is decoded that claims to be larger;
    nothing where it has none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + length
    return ()
