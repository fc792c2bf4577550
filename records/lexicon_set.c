/* Sets of lexicons, and walks through one of them: where they are, what they find, where a reference leads. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "atproto/syntax.h"
#include "records/lexicon_files.h"
#include "records/lexicon_inside.h"

void rk_lexicons_finish(struct rk_lexicons *set)
{
	json_decref(set->by_id);
	*set = (struct rk_lexicons){0};
}

bool rk_lexicons_add(struct rk_lexicons *set, json_t *lexicon)
{
	const char *id = json_string_value(json_object_get(lexicon, "id"));
	struct rk_nsid nsid;

	if (!set->by_id)
		set->by_id = json_object();
	return id && rk_nsid_parse(&nsid, rk_slice_str(id)) && !json_object_get(set->by_id, id) &&
		json_object_set(set->by_id, id, lexicon) == 0;
}

bool rk_lexicons_add_own(struct rk_lexicons *set)
{
	bool ok = true;

	for (size_t i = 0; i < rk_lexicon_file_count; i++) {
		json_t *lexicon = json_loadb(rk_lexicon_files[i].text, rk_lexicon_files[i].len,
			JSON_REJECT_DUPLICATES, NULL);

		ok = rk_lexicons_add(set, lexicon) && ok;
		json_decref(lexicon);
	}
	return ok;
}

const json_t *rk_lexicons_find(const struct rk_lexicons *set, const char *id)
{
	return json_object_get(set->by_id, id);
}

void rk_lexicon_find(struct rk_lexicon_walk *walk, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	walk->findings++;
	walk->tell(walk->context, walk->path, text);
}

size_t rk_lexicon_enter(struct rk_lexicon_walk *walk, const char *name)
{
	size_t at = strlen(walk->path);

	snprintf(walk->path + at, sizeof(walk->path) - at, "%s%s", at ? "." : "", name);
	walk->depth++;
	return at;
}

void rk_lexicon_leave(struct rk_lexicon_walk *walk, size_t at)
{
	walk->path[at] = '\0';
	walk->depth--;
}

const json_t *rk_lexicon_resolve(
	const struct rk_lexicon_walk *walk, const char *ref, const char **id, bool *foreign)
{
	const char *hash = strchr(ref, '#');
	const json_t *lexicon;
	char text[RK_NSID_MOST + 1];

	*foreign = false;
	*id = walk->id;
	if (hash != ref) {
		snprintf(text, sizeof(text), "%.*s", hash ? (int)(hash - ref) : RK_NSID_MOST, ref);
		*id = NULL;
		lexicon = rk_lexicons_find(walk->set, text);
		*foreign = !lexicon;
		if (lexicon)
			*id = json_string_value(json_object_get(lexicon, "id"));
	} else {
		lexicon = rk_lexicons_find(walk->set, walk->id);
	}
	return json_object_get(json_object_get(lexicon, "defs"), hash ? hash + 1 : "main");
}
