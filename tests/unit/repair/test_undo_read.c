/* Rules of repair/undo_read: what a line must be, and how a file may end. */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "atproto/data.h"
#include "records/collections.h"
#include "repair/undo_read.h"

#define ADA "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
#define RECORD                                                                                     \
	"{\"$type\":\"computer.aesthetic.mood\",\"mood\":\"calm \\u0000 \xf0\x9f\x8c\x8a\",\"ref\":\"65e1c0ffee65e1c0ffee65ea\"}"
#define OTHER                                                                                      \
	"{\"$type\":\"computer.aesthetic.mood\",\"mood\":\"calmer\",\"ref\":\"65e1c0ffee65e1c0ffee65ea\"}"

static char path[] = "/tmp/refkey-test-XXXXXX";

static const char *cid_of(const char *json)
{
	static char text[2][RK_CID_BYTES * 2];
	static int turn;
	char *out = text[turn++ & 1];
	json_t *record = json_loads(json, JSON_ALLOW_NUL, NULL);
	struct rk_buf cbor = {0}, formatted = {0};
	struct rk_cid cid;

	assert_non_null(record);
	assert_true(rk_data_json_to_cbor(&cbor, record));
	rk_cid_compute(&cid, RK_CODEC_DAG_CBOR, rk_buf_slice(&cbor));
	rk_cid_format(&formatted, &cid);
	snprintf(out, sizeof(text[0]), "%s", rk_buf_cstr(&formatted));
	json_decref(record);
	rk_buf_finish(&cbor);
	rk_buf_finish(&formatted);
	return out;
}

static void line_make(char out[1024], const char *did, const char *collection, const char *rkey,
	const char *cid, const char *record)
{
	snprintf(out, 1024,
		"{\"did\":\"%s\",\"collection\":\"computer.aesthetic.%s\",\"rkey\":\"%s\",\"cid\":\"%s\",\"ref\":\"65e1c0ffee65e1c0ffee65eb\",\"kind\":\"orphans\",\"record\":%s}",
		did, collection, rkey, cid, record);
}

static int read_text(struct rk_undo_file *out, char error[256], const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
	return rk_undo_read(out, path, error);
}

static void a_line_is_what_was_deleted_or_nothing(void **state)
{
	const struct {
		const char *did, *collection, *rkey, *cid, *record, *wrong;
	} rows[] = {
		{ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), RECORD, NULL},
		{ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), OTHER, "the one of its cid"},
		{ADA, "mood", "3kaaaaaaaaa2a", "", RECORD, "its cid"},
		{ADA, "mood", "3kaaaaaaaaa2a", "bafyrei", RECORD, "its cid"},
		{ADA, "mood", "a/b", cid_of(RECORD), RECORD, "its rkey"},
		{ADA, "mood", "a\\u0000b", cid_of(RECORD), RECORD, "its rkey"},
		{ADA, "mood", "", cid_of(RECORD), RECORD, "its rkey"},
		{ADA, "post", "3kaaaaaaaaa2a", cid_of(RECORD), RECORD, "its collection"},
		{"did:plc:", "mood", "3kaaaaaaaaa2a", cid_of(RECORD), RECORD, "its did"},
		{ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), "[]", "no entry"},
		{ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), "{\"a\":1,\"a\":1}", "no entry"},
		{ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), "{\"a\":1.5}", "the one of its cid"},
	};
	struct rk_undo_file file;
	char line[1024], text[2048], error[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r;

		line_make(line, ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), RECORD);
		snprintf(text, sizeof(text), "%s\n", line);
		line_make(line, rows[i].did, rows[i].collection, rows[i].rkey, rows[i].cid,
			rows[i].record);
		strcat(strcat(text, line), "\n");
		r = read_text(&file, error, text);
		if (r != (rows[i].wrong ? -EINVAL : 0))
			fail_msg("row %zu: %d %s", i, r, error);
		if (rows[i].wrong && (!strstr(error, rows[i].wrong) || !strstr(error, "line 2:")))
			fail_msg("row %zu: %s", i, error);
		rk_undo_file_finish(&file);
	}
}

static void an_entry_has_all_that_is_needed(void **state)
{
	struct rk_undo_file file;
	char line[1024], error[256];
	struct rk_buf cbor = {0};
	json_t *record;

	line_make(line, ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), RECORD);
	assert_int_equal(read_text(&file, error, line), 0);
	assert_int_equal(file.count, 1);
	assert_int_equal(file.entries[0].line, 1);
	assert_true(rk_slice_equal_str(file.entries[0].did, ADA));
	assert_int_equal(file.entries[0].collection, RK_COLLECTION_MOOD);
	assert_string_equal((const char *)file.entries[0].rkey.data, "3kaaaaaaaaa2a");
	assert_string_equal(file.entries[0].kind, "orphans");
	assert_true(file.entries[0].has_id);
	assert_int_equal(file.entries[0].id.bytes[11], 0xeb);
	assert_int_equal(file.entries[0].target.bytes[11], 0xea);
	record = json_loadb((const char *)file.entries[0].record.data, file.entries[0].record.len,
		JSON_ALLOW_NUL, NULL);
	assert_true(rk_undo_encode(&cbor, record, &file.entries[0].cid));
	json_decref(record);
	rk_buf_finish(&cbor);
	rk_undo_file_finish(&file);
}

static void a_last_line_counts_whole_and_is_named_torn(void **state)
{
	char line[1024], text[4096], error[256];
	struct rk_undo_file file;
	size_t len;

	line_make(line, ADA, "mood", "3kaaaaaaaaa2a", cid_of(RECORD), RECORD);
	len = strlen(line);
	for (size_t cut = 1; cut <= len; cut++) {
		snprintf(text, sizeof(text), "%s\n%.*s", line, (int)cut, line);
		assert_int_equal(read_text(&file, error, text), 0);
		assert_int_equal(file.count, cut == len ? 2 : 1);
		assert_int_equal(file.torn, cut == len ? 0 : 2);
		rk_undo_file_finish(&file);
	}
	assert_int_equal(read_text(&file, error, ""), -EINVAL);
	assert_non_null(strstr(error, "empty"));
	rk_undo_file_finish(&file);
	/* What is cut off in the middle of a file is no file that was killed. */
	snprintf(text, sizeof(text), "%.*s\n%s\n", 40, line, line);
	assert_int_equal(read_text(&file, error, text), -EINVAL);
	assert_non_null(strstr(error, "line 1:"));
	rk_undo_file_finish(&file);
}

static void what_is_no_file_is_refused(void **state)
{
	static const struct {
		const char *path;
		int r;
	} rows[] = {{"/dev/zero", -EINVAL}, {"/tmp", -EISDIR}, {"/none/such", -ENOENT}};
	struct rk_undo_file file;
	char error[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(rk_undo_read(&file, rows[i].path, error), rows[i].r);
		assert_true(error[0] != '\0');
		rk_undo_file_finish(&file);
	}
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_what_was_deleted_or_nothing),
		cmocka_unit_test(an_entry_has_all_that_is_needed),
		cmocka_unit_test(a_last_line_counts_whole_and_is_named_torn),
		cmocka_unit_test(what_is_no_file_is_refused),
	};
	return cmocka_run_group_tests_name("repair/undo_read", tests, setup, teardown);
}
