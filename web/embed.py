#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
"""Makes the C table of src/api/http/page.h of the files that are named.

usage: embed.py OUTPUT FILE..."""
import pathlib
import re
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def read(path):
    # The map of a minified library is not served: nobody shall look for it.
    return re.sub(rb"\n//# sourceMappingURL=\S+\s*$", b"\n", path.read_bytes())


output, *names = sys.argv[1:]
files = [pathlib.Path(name) for name in names]
lines = ['#include "api/http/page.h"']
for i, path in enumerate(files):
    lines.append(f"static const unsigned char file_{i}[] = {{")
    data = read(path)
    lines += [",".join(map(str, data[at:at + 32])) + "," for at in range(0, len(data), 32)]
    lines.append("};")
lines.append("const struct page_file page_files[] = {")
lines += [f'{{ "{path.name}", "{TYPES[path.suffix]}", file_{i}, sizeof(file_{i}) }},'
          for i, path in enumerate(files)]
lines.append(f"}};\nconst size_t page_file_count = {len(files)};")
pathlib.Path(output).write_text("\n".join(lines) + "\n", encoding="ascii")
