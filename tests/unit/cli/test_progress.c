/* Rules of cli/progress: what is waited for is in the bar, and counts down; lines stand above it; elsewhere it is a line. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/event.h"
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
	rk_progress_wait(&progress, 3599000, "@writer0");
	rk_progress_show(&progress, 40, 300);
	said = aside_until(&a, "waiting 59:59 for @writer0");
	counted = aside_until(&a, "] 40/300  ") && counts_down(&a);
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(said);
	assert_non_null(strstr(a.text, "[####.........................."));
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

static void after_a_wait_the_bar_goes_on_by_itself(void **state)
{
	struct rk_progress progress;
	struct aside a;
	const char *waited;
	bool goes_on;

	aside_terminal(&a);
	rk_progress_init(&progress);
	rk_progress_show(&progress, 40, 300);
	rk_progress_wait(&progress, 1000, "@ada");
	goes_on = aside_until(&a, "waiting 0:01 for @ada");
	waited = strstr(a.text, "waiting");
	while (goes_on && !strstr(waited, " left"))
		goes_on = aside_read(&a);
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(goes_on);
}

static void what_takes_long_shows_that_it_goes_on(void **state)
{
	struct rk_progress progress;
	struct aside a;
	bool so_far, left;

	aside_terminal(&a);
	rk_progress_init(&progress);
	rk_progress_show(&progress, 0, 0);
	so_far = aside_until(&a, " so far");
	rk_progress_clear(&progress);
	rk_progress_show(&progress, 3, 10);
	left = aside_until(&a, "] 3/10  ") && aside_until(&a, " left");
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(so_far);
	assert_true(left);
}

static void who_is_told_of_nothing_draws_nothing(void **state)
{
	struct rk_progress progress;
	struct aside a;
	bool said;

	aside_terminal(&a);
	rk_progress_init(&progress);
	rk_progress_wait(&progress, 1, "");
	said = aside_until(&a, "\r\033[Kwaiting 0:01") && aside_until(&a, "01\r\033[K");
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(said);
	assert_null(strstr(a.text, "so far"));
}

static void a_bar_is_no_longer_than_a_line(void **state)
{
	const struct winsize narrow = {.ws_row = 24, .ws_col = 60};
	struct rk_progress progress;
	struct aside a;
	bool said;

	aside_terminal(&a);
	assert_int_equal(ioctl(a.from, TIOCSWINSZ, &narrow), 0);
	rk_progress_init(&progress);
	rk_progress_show(&progress, 40, 300);
	rk_progress_wait(&progress, 3599000, "@somebody-with-a-long-name-ööööööööööööö");
	said = aside_until(&a, "  waiting 59:");
	rk_progress_finish(&progress);
	while (said && !strstr(strstr(a.text, "waiting"), "\r\033[K"))
		said = aside_read(&a);
	aside_end(&a);
	assert_true(said);
	for (const char *at = a.text; (at = strstr(at, "\r\033[K")); at += 4) {
		const char *next = strchr(at + 1, '\r');

		assert_true((next ? next : at + strlen(at)) - (at + 4) < narrow.ws_col);
	}
}

static void lines_stand_above_the_bar(void **state)
{
	json_t *event = rk_event_error("the error");
	struct rk_progress progress;
	struct aside a;
	bool said;

	aside_terminal(&a);
	rk_progress_init(&progress);
	rk_progress_wait(&progress, 3599000, "@ada");
	rk_log(RK_LOG_WARN, "test", "the warning");
	rk_event_print_failure("the failure");
	rk_event_print_error(event);
	rk_progress_finish(&progress);
	rk_log(RK_LOG_WARN, "test", "behind it");
	said = aside_until(&a, "behind it\r\n");
	aside_end(&a);
	json_decref(event);
	assert_true(said);
	/* What a terminal has of it in the end: a bar that is taken away is nowhere. */
	for (const char *at = a.text, *end; *at; at = end) {
		const char *last;

		end = strstr(at, "\r\n");
		end = end ? end + 2 : at + strlen(at);
		last = at;
		for (const char *wiped = at; (wiped = strstr(wiped, "\r\033[K")) && wiped < end;)
			last = wiped += 4;
		assert_null(memmem(last, (size_t)(end - last), "waiting", 7));
	}
	/* And drawn again behind each. */
	for (const char *const *line = (const char *const[]){"the warning\r\n", "the failure\r\n",
		     "the error\r\n", NULL};
		*line; line++) {
		const char *at = strstr(a.text, *line);

		assert_non_null(at);
		at = strchr(at, '\n') + 1;
		assert_memory_equal(at, "\r\033[Kwaiting 59:", 15);
	}
}

static void elsewhere_work_is_a_line_every_few_seconds(void **state)
{
	struct rk_progress progress;
	struct aside a;
	bool said;

	aside_pipe(&a);
	rk_progress_init(&progress);
	rk_progress_show(&progress, 3, 10);
	said = aside_until(&a, "3 of 10, ") && aside_until(&a, "\n");
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(said);
	assert_null(strchr(a.text, '\r'));
}

static void elsewhere_too_what_takes_long_shows_that_it_goes_on(void **state)
{
	struct rk_progress progress;
	struct aside a;
	bool said;

	aside_pipe(&a);
	rk_progress_init(&progress);
	rk_progress_show(&progress, 0, 0);
	said = aside_until(&a, " s so far\n");
	rk_progress_finish(&progress);
	aside_end(&a);
	assert_true(said);
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
		cmocka_unit_test(after_a_wait_the_bar_goes_on_by_itself),
		cmocka_unit_test(what_takes_long_shows_that_it_goes_on),
		cmocka_unit_test(who_is_told_of_nothing_draws_nothing),
		cmocka_unit_test(a_bar_is_no_longer_than_a_line),
		cmocka_unit_test(lines_stand_above_the_bar),
		cmocka_unit_test(elsewhere_work_is_a_line_every_few_seconds),
		cmocka_unit_test(elsewhere_too_what_takes_long_shows_that_it_goes_on),
		cmocka_unit_test(elsewhere_a_wait_is_a_line),
	};

	return cmocka_run_group_tests_name("cli/progress", tests, NULL, NULL);
}
