/*
 * Feeds files to a fuzz target without libFuzzer: the named ones and all in the named folders. So
 * every finding that was kept is tried again by each build that is tested.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static size_t fed;

static void feed(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *bytes;

	fuzz_must(file && fstat(fileno(file), &st) == 0);
	/* Exactly as large as the input, so that a byte beyond is noticed. */
	bytes = malloc(st.st_size ? (size_t)st.st_size : 1);
	fuzz_must(bytes && fread(bytes, 1, (size_t)st.st_size, file) == (size_t)st.st_size);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, (size_t)st.st_size);
	free(bytes);
	fed++;
}

static void feed_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[4096];

	fuzz_must(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		fuzz_must(snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) <
			(int)sizeof(file));
		feed(file);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	/* As the unit tests say it, so that it is counted as one case. */
	puts("[ RUN      ] corpus");
	fflush(stdout);
	for (int i = 1; i < argc; i++) {
		struct stat st;

		fuzz_must(stat(argv[i], &st) == 0);
		if (S_ISDIR(st.st_mode))
			feed_folder(argv[i]);
		else
			feed(argv[i]);
	}
	printf("[ %s ] corpus\n%zu inputs\n", fed ? "      OK" : " FAILED ", fed);
	return fed ? 0 : 1;
}
