/* The files under lexicons/, as they were when refkey was built. */
#ifndef RK_RECORDS_LEXICON_FILES_H
#define RK_RECORDS_LEXICON_FILES_H

#include <stddef.h>

struct rk_lexicon_file {
	const char *name; /* "computer/aesthetic/mood.json" */
	const char *text;
	size_t len;
};

extern const struct rk_lexicon_file rk_lexicon_files[];
extern const size_t rk_lexicon_file_count;

#endif
