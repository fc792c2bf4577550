/*
 * Files that tests read: vectors made by others (the interop suites, kept outside this repository)
 * and our own fixtures under tests/fixtures.
 *
 * Vectors are looked for in REFKEY_TEST_VECTORS, or else in ../shared/vectors beside the sources.
 * Where neither is a folder the test is skipped by name; with CI=true in the environment it fails.
 */
#ifndef RK_TESTS_UNIT_VECTORS_H
#define RK_TESTS_UNIT_VECTORS_H

#include "base/slice.h"

enum { RK_VECTORS_PATH_SIZE = 4096 };

/* The path of a file of the vectors, such as "mst/key_heights.json"; NULL without vectors. A file
 * missing from vectors that are there is the caller's failure to report. */
const char *rk_vectors_path(char *buf, size_t size, const char *relative);
/* The same for a test that cannot go on without: returns only with a path, else skips or fails. */
void rk_vectors_require(char *buf, size_t size, const char *relative);
/* What main returns: failed as it is, or 77 (skipped, for meson) if a test was skipped. */
int rk_vectors_exit(int failed);

/* A whole file, followed by a NUL that is not counted; the caller frees data. Fails the test if it
 * cannot be read. */
struct rk_slice rk_test_read(const char *path);
/* The same, by a path from the root of the sources ("tests/fixtures/…"). */
struct rk_slice rk_test_read_source(const char *relative);

#endif
