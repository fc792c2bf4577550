/*
 * One frame for `refkey tail`: judged, and made into a line of JSON. docs/tail.md says what a line has.
 * Each event is judged for itself; what needs the state of a repo (gaps, order) is serve's.
 */
#ifndef RK_CLI_TAIL_EVENT_H
#define RK_CLI_TAIL_EVENT_H

#include "atproto/verify.h"
#include "cli/command.h"
#include "cli/tail_signers.h"

struct rk_tail_judge {
	const struct rk_command_options *options; /* filters, unverified */
	struct rk_tail_signers *signers;
	struct rk_key_checker *checker; /* may be NULL */
	struct rk_arena arena;          /* of one frame */
};

struct rk_tail_judged {
	enum rk_verdict verdict;
	bool wanted; /* passes the filters; a frame that does not is not judged to the end */
	struct rk_event event; /* borrowed from the frame and the arena; what could be read of it */
};

/*
 * Judges the frame; the line with its line break is appended to line if it is to be printed. 0,
 * -ECANCELED or -ENOMEM.
 */
int rk_tail_judge(struct rk_tail_judge *judge, struct rk_tail_judged *out, struct rk_buf *line,
	struct rk_slice frame) __attribute__((warn_unused_result));
/* The same for a message that is no frame: FRAME_TEXT or FRAME_TOO_LARGE. */
void rk_tail_judge_other(struct rk_tail_judge *judge, struct rk_tail_judged *out,
	struct rk_buf *line, enum rk_verdict verdict, size_t len);

#endif
