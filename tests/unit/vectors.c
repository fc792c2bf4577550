/* See vectors.h. */
#include "tests/unit/vectors.h"

#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { EXIT_SKIPPED = 77 };

static int skipped;

static const char *source_root(void)
{
	const char *root = getenv("REFKEY_SOURCE_ROOT");

	return root ? root : ".";
}

const char *rk_vectors_path(char *buf, size_t size, const char *relative)
{
	const char *named = getenv("REFKEY_TEST_VECTORS");
	char folder[RK_VECTORS_PATH_SIZE];
	struct stat st;
	int len;

	if (named && *named)
		len = snprintf(folder, sizeof(folder), "%s", named);
	else
		len = snprintf(folder, sizeof(folder), "%s/../shared/vectors", source_root());
	if (len < 0 || (size_t)len >= sizeof(folder) || stat(folder, &st) || !S_ISDIR(st.st_mode))
		return NULL;
	len = snprintf(buf, size, "%s/%s", folder, relative);
	return len < 0 || (size_t)len >= size ? NULL : buf;
}

void rk_vectors_require(char *buf, size_t size, const char *relative)
{
	const char *ci = getenv("CI");

	if (rk_vectors_path(buf, size, relative))
		return;
	if (ci && strcmp(ci, "true") == 0)
		fail_msg("no vectors for %s: set REFKEY_TEST_VECTORS", relative);
	print_message("skipped: no vectors for %s, set REFKEY_TEST_VECTORS\n", relative);
	skipped++;
	skip();
}

int rk_vectors_exit(int failed)
{
	return failed ? failed : skipped ? EXIT_SKIPPED : 0;
}

struct rk_slice rk_test_read(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long len;

	if (!file || fseek(file, 0, SEEK_END) || (len = ftell(file)) < 0 ||
		fseek(file, 0, SEEK_SET)) {
		fail_msg("cannot read %s", path);
		abort(); /* not reached; fail_msg is not marked so */
	}
	data = malloc((size_t)len + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, (size_t)len, file), len);
	data[len] = '\0';
	fclose(file);
	return rk_slice_make(data, (size_t)len);
}

struct rk_slice rk_test_read_source(const char *relative)
{
	char path[RK_VECTORS_PATH_SIZE];
	int len = snprintf(path, sizeof(path), "%s/%s", source_root(), relative);

	assert_true(len > 0 && (size_t)len < sizeof(path));
	return rk_test_read(path);
}
