/* Rules of store/store: who may open what; copies; what survives being killed. */
#include "tests/unit/store/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/writer.h"

static int folder_setup(void **state)
{
	static char dir[64];

	kit_folder_make(dir);
	*state = dir;
	return 0;
}

static int folder_teardown(void **state)
{
	kit_folder_remove(*state);
	return 0;
}

static int open_try(struct rk_store **out, const char *dir, char error[256])
{
	const struct rk_store_options options = {.dir = dir};

	*out = NULL;
	return rk_store_open(out, &options, error);
}

static void makes_a_private_folder(void **state)
{
	const char *dir = *state;
	struct rk_store *store;
	struct stat st;
	char error[256];

	rmdir(dir);
	assert_int_equal(open_try(&store, dir, error), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_string_equal(error, "");
	rk_store_close(store);
	rk_store_close(NULL);
}

static void folder_that_cannot_be_made_is_named(void **state)
{
	char dir[128], error[256];
	struct rk_store *store;

	snprintf(dir, sizeof(dir), "%s/no/such", (const char *)*state);
	assert_int_equal(open_try(&store, dir, error), -ENOENT);
	assert_non_null(strstr(error, dir));
}

/* By another process, and by this one. */
static void second_open_is_locked(void **state)
{
	const char *dir = *state;
	struct rk_store *store, *second;
	char error[256];
	pid_t child;
	int status;

	assert_int_equal(open_try(&store, dir, error), 0);
	assert_int_equal(open_try(&second, dir, error), RK_STORE_LOCKED);
	assert_non_null(strstr(error, "in use"));
	child = fork();
	if (child == 0)
		_exit(open_try(&second, dir, error) == RK_STORE_LOCKED && error[0] ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	rk_store_close(store);
	assert_int_equal(open_try(&store, dir, error), 0);
	rk_store_close(store);
}

static void *close_soon(void *store)
{
	rk_clock_pause(100);
	rk_store_close(store);
	return NULL;
}

/* As long as it is told to: somebody may only be looking. */
static void open_waits_for_the_lock(void **state)
{
	const struct rk_store_options options = {.dir = *state, .wait_ms = 60 * 1000};
	struct rk_store *first, *second;
	char error[256];
	pthread_t thread;

	assert_int_equal(open_try(&first, *state, error), 0);
	assert_int_equal(pthread_create(&thread, NULL, close_soon, first), 0);
	assert_int_equal(rk_store_open(&second, &options, error), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	rk_store_close(second);
}

static void schema_set(struct rk_store *store, struct rk_slice value)
{
	struct rk_write w = {0};

	assert_int_equal(rk_write_begin(&w, store), 0);
	assert_int_equal(rk_table_put(&w, RK_TABLE_META, rk_slice_str("schema"), value), 0);
	assert_int_equal(rk_write_commit(&w), 0);
	rk_write_finish(&w);
}

static void newer_schema_is_refused_and_left_alone(void **state)
{
	const uint8_t newer[] = {0, 0, 0, RK_SCHEMA + 1};
	const char *dir = *state;
	struct rk_store *store;
	char error[256];

	assert_int_equal(open_try(&store, dir, error), 0);
	schema_set(store, rk_slice_make(newer, 4));
	rk_store_close(store);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_try(&store, dir, error), RK_STORE_NEWER);
		assert_non_null(strstr(error, "newer"));
	}
}

/* Its layout was in no release: what it held is asked for again. */
static void schema_is_emptied(void **state, uint8_t number)
{
	const uint8_t older[] = {0, 0, 0, number};
	const char *dir = *state;
	struct rk_check_summary summary;
	struct rk_snapshot *s;
	struct rk_store *store;
	struct rk_cursor cursor = {.seq = 7};
	struct rk_write w = {0};
	struct rk_repo repo;
	char error[256];

	assert_int_equal(open_try(&store, dir, error), 0);
	assert_int_equal(rk_write_begin(&w, store), 0);
	assert_int_equal(rk_write_repo_make(&w, &repo, rk_slice_str("did:plc:a")), 0);
	assert_int_equal(rk_write_cursor(&w, rk_slice_str("x"), &cursor), 0);
	/* As that schema had it: the value under the record's own key. */
	assert_int_equal(rk_table_put(&w, RK_TABLE_RECORD, rk_slice_make("\0\0\0\1\1k", 6),
				 rk_slice_str("\1old")),
		0);
	assert_int_equal(rk_write_commit(&w), 0);
	rk_write_finish(&w);
	schema_set(store, rk_slice_make(older, 4));
	rk_store_close(store);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_try(&store, dir, error), 0);
		assert_int_equal(rk_store_check(store, &summary, NULL, NULL), 0);
		assert_true(summary.counts.repos == (uint64_t)i);
		assert_int_equal(rk_snapshot_create(&s, store), 0);
		assert_int_equal(rk_snapshot_begin(s), 0);
		assert_int_equal(rk_read_cursor(s, &cursor, rk_slice_str("x")), RK_STORE_ABSENT);
		assert_int_equal(rk_table_entries(s, RK_TABLE_RECORD), 0);
		rk_snapshot_destroy(s);
		/* What comes in now is there the next time: it is emptied once. */
		assert_int_equal(rk_write_begin(&w, store), 0);
		assert_int_equal(rk_write_repo_make(&w, &repo, rk_slice_str("did:plc:a")), 0);
		assert_int_equal(repo.id, 1);
		assert_int_equal(rk_write_commit(&w), 0);
		rk_write_finish(&w);
		rk_store_close(store);
	}
}

static void schema_1_is_emptied(void **state)
{
	schema_is_emptied(state, 1);
}

static void schema_2_is_emptied(void **state)
{
	schema_is_emptied(state, 2);
}

static void schema_3_is_emptied(void **state)
{
	schema_is_emptied(state, 3);
}

static void broken_schema_is_refused(void **state)
{
	static const struct rk_slice values[] = {
		RK_SLICE_LIT("\0\0\0\0"), RK_SLICE_LIT("x"), RK_SLICE_LIT("\0\0\0\0\1")};
	const char *dir = *state;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct rk_store *store;
		char error[256], path[128];

		assert_int_equal(open_try(&store, dir, error), 0);
		schema_set(store, values[i]);
		rk_store_close(store);
		assert_int_equal(open_try(&store, dir, error), RK_STORE_CORRUPT);
		assert_true(error[0]);
		snprintf(path, sizeof(path), "%s/data.mdb", dir);
		assert_int_equal(unlink(path), 0);
	}
}

/* Somebody else's LMDB environment: plain entries, or a table, one of them of a name we use too. */
static void foreign_make(const char *dir, const char *table, const char *key)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = {.mv_data = (void *)key, .mv_size = strlen(key)};

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, table, MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &k, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void what_is_no_index_is_refused_untouched(void **state)
{
	static const struct {
		const char *table, *key;
	} cases[] = {{NULL, "key"}, {NULL, "meta"}, {"other", "key"}, {"meta", "key"}};
	const char *dir = *state;
	char path[128], error[256];
	struct rk_store *store;
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stat before, after;

		foreign_make(dir, cases[i].table, cases[i].key);
		assert_int_equal(stat(path, &before), 0);
		assert_int_equal(open_try(&store, dir, error), RK_STORE_CORRUPT);
		assert_non_null(strstr(error, "not an index"));
		assert_int_equal(stat(path, &after), 0);
		assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
			before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
		assert_int_equal(unlink(path), 0);
	}
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "nothing of the sort", 19), 19);
	close(fd);
	assert_int_equal(open_try(&store, dir, error), RK_STORE_CORRUPT);
	assert_true(error[0]);
}

static void backup_is_whole_and_never_overwrites(void **state)
{
	struct kit *k = *state;
	struct rk_buf ours = {0}, theirs = {0};
	char dir[80], path[256];
	struct kit copy = {0};
	struct stat st;

	kit_write(k);
	for (unsigned i = 0; i < 100; i++) {
		const struct kit_record record = {
			.rkey = kit_rkey(i), .ref = "ab", .when_ms = i + 1};
		kit_put(k, kit_repo(k, "did:plc:a"), &record, i);
	}
	kit_commit(k);
	snprintf(dir, sizeof(dir), "%s/backup", k->dir);
	assert_int_equal(rk_store_backup(k->store, dir), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(rk_store_backup(k->store, dir), -ENOTEMPTY);
	assert_int_equal(rk_store_backup(k->store, "/no/such/folder"), -ENOENT);

	memcpy(copy.dir, dir, strlen(dir) + 1);
	assert_int_equal(
		rk_store_open(&copy.store, &(struct rk_store_options){.dir = dir}, path), 0);
	assert_int_equal(rk_snapshot_create(&copy.s, copy.store), 0);
	kit_check(&copy);
	kit_dump(k, &ours, true);
	kit_dump(&copy, &theirs, true);
	assert_true(rk_slice_equal(rk_buf_slice(&ours), rk_buf_slice(&theirs)));
	rk_buf_finish(&ours);
	rk_buf_finish(&theirs);
	rk_snapshot_destroy(copy.s);
	rk_store_close(copy.store);
	kit_folder_remove(dir);
}

static void space_is_told(void **state)
{
	struct kit *k = *state;
	struct rk_store_space before, after;

	rk_store_space(k->store, &before);
	kit_write(k);
	for (unsigned i = 0; i < 2000; i++) {
		const struct kit_record record = {
			.rkey = kit_rkey(i), .ref = "ab", .when_ms = i + 1};
		kit_put(k, kit_repo(k, "did:plc:a"), &record, i);
	}
	kit_commit(k);
	rk_store_space(k->store, &after);
	assert_true(after.used_bytes > before.used_bytes + 2000 * 200);
	assert_true(after.file_bytes >= after.used_bytes);
}

/* Killed at any point: what was reported done is there, and the index agrees with itself. */

struct kill_job {
	struct rk_writer_job job;
	unsigned number;
	int report;
};

static int kill_run(struct rk_writer_job *job, struct rk_write *w)
{
	const struct kill_job *one = (const struct kill_job *)job;
	const struct kit_record record = {.rkey = kit_rkey(one->number),
		.ref = one->number % 3 ? "ab" : "cd",
		.when_ms = one->number + 1};
	const struct kit_record gone = {.rkey = kit_rkey(one->number / 2), .gone = true};
	const struct rk_change_record records[] = {kit_make(&record), kit_make(&gone)};
	struct rk_change change = {
		.records = records, .count = one->number % 5 ? 1 : 2, .now_us = one->number};
	struct rk_repo repo;
	int r = rk_write_repo_make(w, &repo, rk_slice_str("did:plc:a"));

	change.repo = repo.id;
	if (r == 0)
		r = rk_write_change(w, &change);
	if (r == 0)
		r = rk_write_cursor(
			w, rk_slice_str("source"), &(struct rk_cursor){.seq = one->number});
	return r;
}

static void kill_done(struct rk_writer_job *job, bool ok)
{
	struct kill_job *one = (struct kill_job *)job;

	if (ok && write(one->report, &one->number, sizeof(one->number)) != sizeof(one->number))
		_exit(3);
	free(one);
}

static void kill_child(const char *dir, unsigned first, int report)
{
	struct rk_store *store;
	struct rk_writer *writer;
	char error[256];

	if (open_try(&store, dir, error) != 0 || rk_writer_create(&writer, store) != 0)
		_exit(2);
	for (unsigned number = first;; number++) {
		struct kill_job *job = calloc(1, sizeof(*job));

		if (!job)
			_exit(2);
		job->job = (struct rk_writer_job){.run = kill_run, .done = kill_done};
		job->number = number;
		job->report = report;
		rk_writer_submit(writer, &job->job);
	}
}

static void survives_kill_at_any_point(void **state)
{
	struct kit k = {0};
	unsigned done = 0, number;

	snprintf(k.dir, sizeof(k.dir), "%s", (const char *)*state);
	for (unsigned round = 0; round < 20; round++) {
		struct rk_cursor cursor = {0};
		char error[256];
		int report[2], status;
		pid_t child;
		int r;

		assert_int_equal(pipe(report), 0);
		child = fork();
		if (child == 0) {
			close(report[0]);
			kill_child(k.dir, done + 1, report[1]);
		}
		close(report[1]);
		/* Let it report a few, another number each round, then kill it wherever it is. */
		for (unsigned i = 0;
			i < 1 + round * 7 && read(report[0], &number, sizeof(number)) > 0; i++)
			done = number;
		usleep(round * 131 % 1000);
		kill(child, SIGKILL);
		while (read(report[0], &number, sizeof(number)) == sizeof(number))
			done = number;
		close(report[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));

		if (open_try(&k.store, k.dir, error) != 0)
			fail_msg("round %u: %s", round, error);
		assert_int_equal(rk_snapshot_create(&k.s, k.store), 0);
		kit_check(&k);
		kit_read(&k);
		r = rk_read_cursor(k.s, &cursor, rk_slice_str("source"));
		assert_int_equal(r, 0);
		assert_true(cursor.seq >= done);
		kit_record(&k, 1, RK_COLLECTION_MOOD, kit_rkey((unsigned)cursor.seq));
		done = (unsigned)cursor.seq;
		kit_stop(&k);
		rk_snapshot_destroy(k.s);
		rk_store_close(k.store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			makes_a_private_folder, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			folder_that_cannot_be_made_is_named, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			second_open_is_locked, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			open_waits_for_the_lock, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			newer_schema_is_refused_and_left_alone, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(schema_1_is_emptied, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(schema_2_is_emptied, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(schema_3_is_emptied, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			broken_schema_is_refused, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			what_is_no_index_is_refused_untouched, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			backup_is_whole_and_never_overwrites, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(space_is_told, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
			survives_kill_at_any_point, folder_setup, folder_teardown),
	};
	return cmocka_run_group_tests_name("store/open", tests, NULL, NULL);
}
