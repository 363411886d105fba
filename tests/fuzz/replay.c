/* replay.c - main() of a fuzz target when libFuzzer is not there: feeds it the files
 * named, and those of the folders named. What of the build knows only gcc runs the corpus
 * so.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_BYTES = 16 << 20
};

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_BYTES);
	size_t n;

	if (f == NULL || data == NULL) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, INPUT_BYTES, f);
	fclose(f);
	/* An allocation of just this size: a byte read behind it is seen by valgrind. */
	data = realloc(data, n > 0 ? n : 1);
	if (data != NULL)
		(void)LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 1;
}

static int
replay_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (d == NULL) {
		perror(path);
		exit(1);
	}
	while ((entry = readdir(d)) != NULL) {
		char file[4096];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		count += replay_file(file);
	}
	closedir(d);
	return count;
}

int
main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			count += replay_folder(argv[i]);
		else
			count += replay_file(argv[i]);
	}
	printf("%s: %d inputs\n", argv[0], count);
	return count > 0 ? 0 : 1;
}
