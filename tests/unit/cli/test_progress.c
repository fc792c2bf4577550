/* Rules of cli/progress: what is waited for is in the bar, and counts down; elsewhere it is a line. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"

enum { DEADLINE_MS = 60000 };

/* Standard error, put aside; what is written to it meanwhile can be read. */
struct aside {
	int kept, from;
	char text[65536];
	size_t len;
};

static void aside_begin(struct aside *a, int from, int to)
{
	*a = (struct aside){.kept = dup(STDERR_FILENO), .from = from};
	assert_true(a->kept >= 0 && from >= 0 && to >= 0);
	assert_int_equal(dup2(to, STDERR_FILENO), STDERR_FILENO);
	close(to);
}

static void aside_terminal(struct aside *a)
{
	int from = posix_openpt(O_RDWR | O_NOCTTY);

	assert_int_equal(grantpt(from), 0);
	assert_int_equal(unlockpt(from), 0);
	aside_begin(a, from, open(ptsname(from), O_RDWR | O_NOCTTY));
}

static void aside_pipe(struct aside *a)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	aside_begin(a, ends[0], ends[1]);
}

static void aside_end(struct aside *a)
{
	dup2(a->kept, STDERR_FILENO);
	close(a->kept);
	close(a->from);
}

/* More of it; false: nothing came for too long. */
static bool aside_read(struct aside *a)
{
	struct pollfd ready = {.fd = a->from, .events = POLLIN};
	ssize_t n;

	if (poll(&ready, 1, DEADLINE_MS) <= 0)
		return false;
	n = read(a->from, a->text + a->len, sizeof(a->text) - 1 - a->len);
	a->len += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static bool aside_until(struct aside *a, const char *text)
{
	while (!strstr(a->text, text)) {
		if (!aside_read(a))
			return false;
	}
	return true;
}

/* Whether the bar came to say another time than the first. */
static bool counts_down(struct aside *a)
{
	static const char first[] = "waiting 59:59 for @writer0", some[] = "waiting 59:";

	for (;;) {
		for (const char *at = a->text; (at = strstr(at, some)); at += sizeof(some) - 1) {
			if (strlen(at) >= sizeof(first) - 1 &&
				strncmp(at, first, sizeof(first) - 1) != 0)
				return true;
		}
		if (!aside_read(a))
			return false;
	}
}

static void a_wait_is_in_the_bar_and_counts_down(void **state)
{
	struct rk_progress progress;
	struct aside a;
	bool said, counted;

	aside_terminal(&a);
	rk_progress_init(&progress);
	rk_progress_show(&progress, 40, 300);
	rk_progress_wait(&progress, 3599000, "@writer0");
	said = aside_until(&a, "waiting 59:59 for @writer0");
	counted = counts_down(&a);
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(said);
	assert_non_null(strstr(a.text, "[####.........................."));
	assert_non_null(strstr(a.text, "] 40/300  "));
	assert_null(strstr(a.text, " left"));
	assert_true(counted);
}

static void the_longest_wait_is_shown(void **state)
{
	struct rk_progress progress;
	struct aside a;
	bool said;

	aside_terminal(&a);
	rk_progress_init(&progress);
	rk_progress_wait(&progress, 7200000, "@ada");
	rk_progress_wait(&progress, 1000, "@grace");
	rk_progress_clear(&progress);
	rk_progress_wait(&progress, 9000000, "");
	said = aside_until(&a, "waiting 150:00");
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(said);
	assert_non_null(strstr(a.text, " for @ada"));
	assert_null(strstr(a.text, "@grace"));
}

static void elsewhere_a_wait_is_a_line(void **state)
{
	struct rk_progress progress;
	struct aside a;
	bool said;

	aside_pipe(&a);
	rk_progress_init(&progress);
	rk_progress_wait(&progress, 1500, "@ada");
	said = aside_until(&a, "refkey: the PDS's limits: waiting 2 s for @ada\n");
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(said);
	assert_null(strchr(a.text, '\r'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_is_in_the_bar_and_counts_down),
		cmocka_unit_test(the_longest_wait_is_shown),
		cmocka_unit_test(elsewhere_a_wait_is_a_line),
	};

	return cmocka_run_group_tests_name("cli/progress", tests, NULL, NULL);
}
