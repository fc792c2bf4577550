/* Rules of image/scaler: the program for thumbnails does its work, and nothing it does wrong does harm. */
#include "tests/unit/image/make.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "image/scaler.h"

static const struct rk_image_request usual = {.side = 512, .bytes_most = 1000000};

static int thumbnail(struct rk_scaler *scaler, struct rk_buf *out, char *reason, int fd,
	const atomic_bool *cancel)
{
	enum rk_image_kind kind;
	int r = rk_scaler_thumbnail(scaler, out, &kind, reason, fd, &usual, cancel);

	assert_true((r == 0) == (kind != RK_IMAGE_OTHER));
	return r;
}

static void makes_one_after_the_other(void **state)
{
	struct made made = png_of(stripes(700, 350, 4, VIPS_FORMAT_UCHAR), false);
	int good = file_of(made.bytes, made.len), bad = file_of("<!doctype html>", 15);
	char reason[RK_IMAGE_REASON_MOST];
	struct rk_scaler scaler;
	struct rk_buf out = {0};
	pid_t pid = 0;

	rk_scaler_init(&scaler, getenv("REFKEY_TEST_THUMBNAIL"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(thumbnail(&scaler, &out, reason, good, NULL), 0);
		assert_int_equal(thumbnail(&scaler, &out, reason, bad, NULL), RK_SCALER_REFUSED);
		assert_string_equal(reason, "neither PNG nor JPEG");
		assert_true(pid == 0 || scaler.pid == pid);
		pid = scaler.pid;
	}
	/* It may go at any time. */
	for (int i = 0; i < 2; i++) {
		kill(scaler.pid, SIGKILL);
		assert_int_equal(
			waitid(P_PID, (id_t)scaler.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
		rk_buf_clear(&out);
		assert_int_equal(thumbnail(&scaler, &out, reason, good, NULL), 0);
		assert_int_not_equal(scaler.pid, pid);
		pid = scaler.pid;
	}
	rk_scaler_finish(&scaler);
	assert_int_equal(kill(pid, 0), -1);
	rk_buf_finish(&out);
	g_free(made.bytes);
	close(good);
	close(bad);
}

static void a_program_that_is_none(void **state)
{
	char reason[RK_IMAGE_REASON_MOST];
	struct rk_scaler scaler;
	struct rk_buf out = {0};
	int fd = file_of("x", 1);

	rk_scaler_init(&scaler, "/nowhere/refkey-thumbnail");
	assert_int_equal(thumbnail(&scaler, &out, reason, fd, NULL), -ENOENT);
	rk_scaler_init(&scaler, "/bin/false");
	assert_int_equal(thumbnail(&scaler, &out, reason, fd, NULL), -ENOEXEC);
	assert_int_equal(scaler.pid, 0);
	rk_scaler_finish(&scaler);
	close(fd);
}

#define FAILED "decoding the image failed"

/* What a program that was taken over could say. */
static void answers_that_are_none(void **state)
{
	static const struct {
		const char *says, *reason;
	} answers[] = {
		{":", FAILED},
		{"printf '\\1\\0\\0\\0\\10\\0\\0\\0notapng!'", FAILED}, /* a PNG that is none */
		{"printf '\\1\\0\\0\\0\\377\\377\\377\\377'; sleep 60", FAILED}, /* 4 GB of one */
		{"printf '\\7\\0\\0\\0\\10\\0\\0\\0\\211PNG\\r\\n\\32\\n'",
			FAILED}, /* of no kind */
		{"printf '\\0\\0\\0\\0\\377\\0\\0\\0'; sleep 60",
			FAILED}, /* a reason without end */
		{"printf '\\1\\0\\0\\0\\11\\0\\0\\0\\211PNG\\r\\n\\32\\n'",
			FAILED}, /* one byte short */
		{"kill -SEGV $$", FAILED},
		{"kill -PROF $$", "more than 20 s of the processor"},
	};
	char dir[] = "/tmp/refkey-scaler-XXXXXX", path[64], reason[RK_IMAGE_REASON_MOST];
	int fd = file_of("\x89PNG\r\n\x1a\n", 8);

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/program", dir);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		FILE *file = fopen(path, "w");
		struct rk_scaler scaler;
		struct rk_buf out = {0};

		assert_non_null(file);
		fprintf(file, "#!/bin/sh\nhead -c 8 >/dev/null\n{ %s\n} >&0\n", answers[i].says);
		fclose(file);
		chmod(path, 0700);
		rk_scaler_init(&scaler, path);
		assert_int_equal(thumbnail(&scaler, &out, reason, fd, NULL), RK_SCALER_REFUSED);
		assert_non_null(strstr(reason, answers[i].reason));
		assert_int_equal(out.len, 0);
		assert_int_equal(scaler.pid, 0);
		rk_scaler_finish(&scaler);
		rk_buf_finish(&out);
	}
	unlink(path);
	rmdir(dir);
	close(fd);
}

static void a_cancelled_one_is_not_waited_for(void **state)
{
	const atomic_bool cancel = true;
	struct made made = png_of(stripes(64, 64, 4, VIPS_FORMAT_UCHAR), false);
	char reason[RK_IMAGE_REASON_MOST];
	int fd = file_of(made.bytes, made.len);
	struct rk_scaler scaler;
	struct rk_buf out = {0};

	rk_scaler_init(&scaler, getenv("REFKEY_TEST_THUMBNAIL"));
	assert_int_equal(thumbnail(&scaler, &out, reason, fd, &cancel), -ECANCELED);
	assert_int_equal(scaler.pid, 0);
	assert_int_equal(thumbnail(&scaler, &out, reason, fd, NULL), 0);
	rk_scaler_finish(&scaler);
	rk_buf_finish(&out);
	g_free(made.bytes);
	close(fd);
}

static int begin(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	return getenv("REFKEY_TEST_THUMBNAIL") ? VIPS_INIT("test_scaler") : -1;
}

static int end(void **state)
{
	vips_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_one_after_the_other),
		cmocka_unit_test(a_program_that_is_none),
		cmocka_unit_test(answers_that_are_none),
		cmocka_unit_test(a_cancelled_one_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
