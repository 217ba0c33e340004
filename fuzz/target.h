/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a fuzz target defines. libFuzzer calls it with inputs that it makes up; replay.c with those
 * of the corpus. A target returns 0 and ends the program where something is wrong. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
