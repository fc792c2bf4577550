/*
 * What operations send back (operation.h), as the commands that print it need it: reading an event's
 * values, and the words that all of them have in common.
 */
#ifndef RK_CLI_EVENT_H
#define RK_CLI_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/slice.h"
#include "cli/progress.h"

/* What the event, or a list of parts, is for people: texts as base/shown.h has them, bounded. A new reference, of the same
 * where that is the same. */
json_t *rk_event_shown(json_t *event);
/* Prints one text so: of a file, or of another's answer. */
void rk_event_print_shown(FILE *to, const char *text);
/* "refkey: TEXT" so, a line on standard error. */
void rk_event_print_failure(const char *text);
/* The same with the message of an "error" or "note" that is shown already. */
void rk_event_print_error(const json_t *event);
/* From what was given: the event as it came, borrowed; a new object of it, without what is only of its way here
 * ("event", "exit"). */
const json_t *rk_event_exact(const json_t *event);
json_t *rk_event_copy(const json_t *event);

const char *rk_event_text(
	const json_t *event, const char *name); /* borrowed; "" where it is none */
json_int_t rk_event_number(const json_t *event, const char *name); /* 0 where it is none */

/* A text from MongoDB or a repo: null where it is empty; what is not UTF-8 in it stands as "?". */
json_t *rk_event_text_json(struct rk_slice text);
/* The same, but "" where it is empty. Also for what is said to people: a bound may have cut it. */
json_t *rk_event_said_json(struct rk_slice text);

/* A user without an ATProto account, or without one that will do: of the report users-without-atproto.json, which
 * has a reason only where it is another than there being none. */
const char *rk_event_without_reason(const json_t *without);
json_t *rk_event_without(struct rk_slice handle, struct rk_slice id, const char *email,
	const char *reason, uint64_t documents);

/* What to say where MongoDB has no users at all: what was to be found with them was not, however well it went. */
enum { RK_EVENT_NOBODY = 256 };
void rk_event_nobody(char text[RK_EVENT_NOBODY], const char *database);

/* An "error" for people. */
json_t *rk_event_error(const char *message);

/* Whether a "result" tells of work: an operation that ended before it began any has nothing to sum up. */
bool rk_event_has_summary(const json_t *result);

/* Prints a "progress", "waiting" or "error" on standard error. False: it is something else. */
bool rk_event_print_usual(struct rk_progress *progress, const json_t *event);
/* Why a result is not the whole: what is "putOff", and whether it was "stopped" or "limited". */
void rk_event_print_put_off(const json_t *result);
void rk_event_print_ended(const json_t *result);
/* done: there is less to do for the next run. */
void rk_event_print_limited(bool done);

/* With --json one object is printed as it comes: {"NAME":[item, …],"summary":{…}}. */
struct rk_event_list {
	const char *name;
	bool begun; /* an item was printed */
};
void rk_event_list_add(struct rk_event_list *list, const json_t *item);
void rk_event_list_end(const struct rk_event_list *list, const json_t *summary);

/* How an operation ends: 0 and whether there were findings or it was stopped before its end, -ENOENT (a name is
 * nobody's), -EHOSTUNREACH, or another failure. */
int rk_event_exit(int result, bool findings, bool stopped);

#endif
