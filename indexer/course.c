/* See course.h. */
#include "indexer/course.h"

#include <errno.h>

static bool is_near(int64_t from, int64_t seq)
{
	return seq > from && seq - from <= RK_COURSE_AHEAD;
}

void rk_course_take(struct rk_course *course, int64_t seq)
{
	if (rk_course_is_old(course, seq)) {
		course->leap = 0;
		return;
	}
	/* Two in a row that do not fit, the second beyond the first: the first was none. */
	if (!is_near(course->seq, seq) && course->leap && seq > course->leap)
		course->seq = course->leap;
	course->leap = 0;
	if (course->seq == 0 || is_near(course->seq, seq))
		course->seq = seq;
	else
		course->leap = seq;
}

bool rk_course_is_old(const struct rk_course *course, int64_t seq)
{
	return seq <= course->seq && seq > course->seq - RK_COURSE_BEHIND;
}

static int cursor_read(
	struct rk_cursor *cursor, struct rk_snapshot *snapshot, struct rk_slice source)
{
	int r = rk_read_cursor(snapshot, cursor, source);

	if (r == RK_STORE_ABSENT)
		*cursor = (struct rk_cursor){0};
	return rk_read_ended(r);
}

int rk_course_read(struct rk_course *course, struct rk_snapshot *snapshot, struct rk_slice source)
{
	struct rk_cursor cursor;
	int r = cursor_read(&cursor, snapshot, source);

	if (r == 0 && cursor.seq != course->disk)
		*course = (struct rk_course){.seq = cursor.seq, .disk = cursor.seq};
	return r;
}

int rk_course_write(struct rk_course *course, struct rk_write *w, struct rk_slice source)
{
	struct rk_cursor cursor;
	int r = cursor_read(&cursor, rk_write_view(w), source);

	if (r)
		return r;
	course->disk = course->seq;
	if (cursor.seq == course->seq)
		return 0;
	cursor.seq = course->seq;
	return rk_write_cursor(w, source, &cursor);
}
