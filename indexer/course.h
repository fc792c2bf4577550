/*
 * How far the stream has come. The source numbers its events, upwards, with gaps; nothing proves a number,
 * so one that lies far from those before it moves nothing until the next one is beyond it, too. A single
 * lie is then forgotten, and a cursor that several lies took away is led back by the numbers that follow.
 * Nothing is lost either way: at worst, more is sent again than has to be.
 */
#ifndef RK_INDEXER_COURSE_H
#define RK_INDEXER_COURSE_H

#include "store/write.h"

#define RK_COURSE_AHEAD                                                                            \
	(INT64_C(1) << 40)        /* what a number may leap by itself: some count microseconds */
enum { RK_COURSE_BEHIND = 1000 }; /* how far back a number is taken as sent again */

struct rk_course {
	int64_t seq;  /* the cursor; 0: none */
	int64_t leap; /* the last number, if it was far off and is not confirmed; 0: it was not */
	int64_t disk; /* the cursor that the index was seen to have */
};

/* Pure. */
void rk_course_take(struct rk_course *course, int64_t seq);
/* Whether the number lies shortly behind, or at, the cursor: an event sent again. */
bool rk_course_is_old(const struct rk_course *course, int64_t seq);

/* The source's cursor from and to the index. Another one there than was seen begins the course anew; an
 * unchanged one is not written. 0 or negative. */
int rk_course_read(struct rk_course *course, struct rk_snapshot *snapshot, struct rk_slice source)
	__attribute__((warn_unused_result));
int rk_course_write(struct rk_course *course, struct rk_write *w, struct rk_slice source)
	__attribute__((warn_unused_result));

#endif
