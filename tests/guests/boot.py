# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""A guest of one sector: it reads 64 sectors of its disk, writes them back, and halts. It has done
so a second after its start."""

import re

SECTORS = 64
BYTES = SECTORS * 512

CODE = bytes.fromhex(
    "fa 31c0 8ed8 8ed0 bc007c"     # cli; ds = ss = 0; sp = 0x7c00
    "be207c b442 b280 cd13"        # read, by the packet at 0x7c20, from the first disk
    "be207c b80043 b280 cd13"      # write
    "f4 ebfd")                     # halt for ever
# Its size, 64 sectors, to 1000:0000, from sector 64 on.
PACKET = bytes.fromhex("1000") + SECTORS.to_bytes(2, "little") + bytes.fromhex("00000010") \
    + (64).to_bytes(8, "little")


def sector():
    return (CODE.ljust(0x20, b"\0") + PACKET).ljust(510, b"\0") + b"\x55\xaa"


def from_disk(xml):
    """A guest's XML, without its kernel."""
    return re.sub(r"<kernel>.*</cmdline>", "<boot dev='hd'/>", xml, flags=re.DOTALL)
