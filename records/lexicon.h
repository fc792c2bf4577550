/*
 * Lexicons, and values against them. A finding is a place and what is wrong there; all of them are told,
 * not the first. Pure. Source: atproto.com/specs/lexicon.
 *
 * Stricter than the specification in one thing: a field that it does not know is a finding, since it is
 * nearly always a misspelt rule. Graphemes are counted by a short rule (combining marks, joiners,
 * variation selectors, skin tones, pairs of flags), not by all of Unicode's.
 */
#ifndef RK_RECORDS_LEXICON_H
#define RK_RECORDS_LEXICON_H

#include <jansson.h>

#include "base/slice.h"

/* path: "defs.main.record.properties.mood"; text: for people. Borrowed for the call. */
typedef void rk_lexicon_tell(void *context, const char *path, const char *text);

struct rk_lexicons {
	json_t *by_id;
};

/* A zeroed struct is an empty set. */
void rk_lexicons_finish(struct rk_lexicons *set);
/* Takes a reference. False: its id is no NSID, or is there already; or no memory. */
bool rk_lexicons_add(struct rk_lexicons *set, json_t *lexicon);
/* Those that refkey was built with (lexicon_files.h). False: one of them was not added. */
bool rk_lexicons_add_own(struct rk_lexicons *set);
/* NULL: not in the set. */
const json_t *rk_lexicons_find(const struct rk_lexicons *set, const char *id);

/* Is it a lexicon? References into the set must lead somewhere, those to others are believed. Returns the
 * number of findings. */
size_t rk_lexicon_check(
	const struct rk_lexicons *set, const json_t *lexicon, rk_lexicon_tell *tell, void *context);

/* A record of a collection, its key too, against the set. Its lexicon must be in it. */
size_t rk_lexicon_check_record(const struct rk_lexicons *set, const char *collection,
	struct rk_slice rkey, const json_t *record, rk_lexicon_tell *tell, void *context);

#endif
