/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Plays the files of a directory to a fuzz target: each as it is, cut off at every length, and with
 * each of its bytes changed, so that any compiler's build goes a little beyond the corpus. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "fuzz/target.h"

enum { INPUT_MAX = 64 * 1024, PATH_SIZE_MAX = 4096 };

/* A copy of exactly that size, so that a sanitizer sees a read beyond its end. */
static void play(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return;
	memcpy(copy, bytes, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void play_variants(uint8_t *bytes, size_t size)
{
	static const uint8_t changes[] = { 0x01, 0x20, 0x80, 0xff };

	for (size_t length = 0; length <= size; length++)
		play(bytes, length);
	for (size_t i = 0; i < size; i++)
		for (size_t j = 0; j < ARRAY_SIZE(changes); j++) {
			bytes[i] ^= changes[j];
			play(bytes, size);
			bytes[i] ^= changes[j];
		}
}

static int play_file(const char *directory, const char *name)
{
	static uint8_t bytes[INPUT_MAX];
	char path[PATH_SIZE_MAX];
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	play_variants(bytes, size);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	int files = 0, failed = 0;

	if (!directory) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.') {
			failed += play_file(argv[1], entry->d_name) != 0;
			files++;
		}
	closedir(directory);
	printf("%d files played, %d could not be read\n", files, failed);
	return failed || files == 0;
}
