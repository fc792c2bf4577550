/* What checking lexicons (lexicon.c) and values (lexicon_value.c) share: a walk through a schema. */
#ifndef RK_RECORDS_LEXICON_INSIDE_H
#define RK_RECORDS_LEXICON_INSIDE_H

#include "records/lexicon.h"

struct rk_lexicon_walk {
	const struct rk_lexicons *set;
	const char *id; /* of the lexicon that the schema at hand stands in */
	rk_lexicon_tell *tell;
	void *context;
	size_t findings;
	char path[512];
	size_t depth;
};
enum { RK_LEXICON_DEPTH_MOST = 64 };
void rk_lexicon_find(struct rk_lexicon_walk *walk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Appends ".name" to the path; give back what it returns to leave. */
size_t rk_lexicon_enter(struct rk_lexicon_walk *walk, const char *name);
void rk_lexicon_leave(struct rk_lexicon_walk *walk, size_t at);
/* The definition of "#name", "nsid" or "nsid#name" as seen from walk->id; *id gets whose it is. NULL: not
 * in the set (*foreign) or not in its lexicon. */
const json_t *rk_lexicon_resolve(
	const struct rk_lexicon_walk *walk, const char *ref, const char **id, bool *foreign);
/* Whether the set knows a string format, and what it says of a text. */
bool rk_lexicon_format_known(const char *format);
bool rk_lexicon_format_fits(const char *format, struct rk_slice text);

#endif
