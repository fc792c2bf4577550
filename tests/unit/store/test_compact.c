/* Rules of store/compact: what was removed is in no file any more, what is there stays, readers do not mind. */
#include "tests/unit/store/kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/writer.h"

#define SECRET "c0ffee0fbeef"

enum { MANY = 400, READERS = 3, TURNS = 20 };

/* Whether a text is in any file of the folder. */
static bool is_on_disk(const char *dir, const char *text)
{
	DIR *folder = opendir(dir);
	const struct dirent *entry;
	bool found = false;

	assert_non_null(folder);
	while (!found && (entry = readdir(folder))) {
		struct stat status;
		char path[512], *bytes;
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
			continue;
		bytes = malloc((size_t)status.st_size);
		fd = open(path, O_RDONLY);
		assert_non_null(bytes);
		assert_int_equal(read(fd, bytes, (size_t)status.st_size), status.st_size);
		close(fd);
		found = memmem(bytes, (size_t)status.st_size, text, strlen(text)) != NULL;
		free(bytes);
	}
	closedir(folder);
	return found;
}

static void put_many(struct kit *k, const char *did, const char *code, unsigned version)
{
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, did);
	kit_commit(k);
	/* In small pieces, so that pages are freed and used again. */
	for (unsigned i = 0; i < MANY; i += 20) {
		kit_write(k);
		for (unsigned j = i; j < i + 20; j++) {
			const struct kit_record record = {.collection = 1,
				.rkey = kit_rkey(j + 1),
				.code = code,
				.when_ms = j + 1,
				.version = version};

			kit_put(k, id, &record, 1);
		}
		kit_commit(k);
	}
}

static void forget(struct kit *k, const char *did)
{
	bool more = true;

	while (more) {
		kit_write(k);
		assert_int_equal(rk_write_forget(&k->w, rk_slice_str(did), 50, &more), 0);
		kit_commit(k);
	}
}

static void what_was_removed_is_on_disk_until_then_and_never_after(void **state)
{
	struct kit *k = *state;
	struct rk_buf before = {0}, after = {0};

	put_many(k, "did:plc:b", "kept", 0);
	put_many(k, "did:plc:a", SECRET, 0);
	put_many(k, "did:plc:b", "kept", 1);
	forget(k, "did:plc:a");
	assert_true(is_on_disk(k->dir, SECRET));
	kit_dump(k, &before, true);
	kit_stop(k);
	assert_int_equal(rk_store_compact(k->store), 0);
	assert_false(is_on_disk(k->dir, SECRET));
	assert_true(is_on_disk(k->dir, "kept"));
	kit_dump(k, &after, true);
	assert_slice_equal(rk_buf_slice(&before), rk_buf_slice(&after));
	kit_check(k);
	/* Nor does what the process still holds get back there. */
	put_many(k, "did:plc:c", "kept", 2);
	put_many(k, "did:plc:b", "kept", 3);
	assert_false(is_on_disk(k->dir, SECRET));
	kit_reopen(k, 0);
	kit_check(k);
	rk_buf_finish(&before);
	rk_buf_finish(&after);
}

static void what_a_killed_one_left_goes_at_the_next_opening(void **state)
{
	static const char *const names[] = {"compact.mdb", "compact.mdb-lock"};
	struct kit *k = *state;
	char path[512];

	for (int i = 0; i < 2; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", k->dir, names[i]);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_int_equal(write(fd, SECRET, strlen(SECRET)), (int)strlen(SECRET));
		close(fd);
	}
	assert_true(is_on_disk(k->dir, SECRET));
	kit_reopen(k, 0);
	assert_false(is_on_disk(k->dir, SECRET));
	assert_int_equal(access(path, F_OK), -1);
}

struct reading {
	struct rk_store *store;
	atomic_bool stop;
	atomic_int reads;
};

static void *read_on(void *context)
{
	struct reading *reading = context;
	struct rk_snapshot *s = NULL;

	for (int i = 0; !atomic_load(&reading->stop); i++) {
		struct rk_store_space space;
		struct rk_counts counts;

		if (i % 50 == 0) {
			rk_snapshot_destroy(s);
			assert_int_equal(rk_snapshot_create(&s, reading->store), 0);
			rk_store_space(reading->store, &space);
			assert_true(space.file_bytes > 0 && space.used_bytes > 0);
		}
		assert_int_equal(rk_snapshot_begin(s), 0);
		assert_int_equal(rk_read_counts(s, &counts), 0);
		assert_int_equal(counts.records[1], MANY);
		rk_snapshot_end(s);
		atomic_fetch_add(&reading->reads, 1);
	}
	rk_snapshot_destroy(s);
	return NULL;
}

static int cursor_move(void *context, struct rk_write *w)
{
	return rk_write_cursor(w, rk_slice_str("source"), context);
}

static void readers_and_writers_go_on_through_it(void **state)
{
	struct kit *k = *state;
	struct reading reading = {.store = k->store};
	struct rk_cursor cursor = {0};
	struct rk_writer *writer;
	pthread_t threads[READERS];

	put_many(k, "did:plc:a", "kept", 0);
	kit_stop(k);
	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reading), 0);
	for (int i = 0; i < TURNS; i++) {
		int seen = atomic_load(&reading.reads);

		assert_int_equal(rk_writer_compact(writer), 0);
		cursor.seq++;
		assert_int_equal(rk_writer_call(writer, cursor_move, &cursor), 0);
		while (atomic_load(&reading.reads) == seen)
			usleep(500);
	}
	atomic_store(&reading.stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	rk_writer_destroy(writer);
	kit_read(k);
	assert_int_equal(rk_read_cursor(k->s, &cursor, rk_slice_str("source")), 0);
	assert_int_equal(cursor.seq, TURNS);
	kit_check(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(what_was_removed_is_on_disk_until_then_and_never_after),
		TEST(what_a_killed_one_left_goes_at_the_next_opening),
		TEST(readers_and_writers_go_on_through_it),
	};
	return cmocka_run_group_tests_name("store/compact", tests, NULL, NULL);
}
