/*
 * Language tags of Lexicon strings: BCP 47 (RFC 5646 section 2.1), of which
 *
 * - the language is 2 or 3 lower-case letters: longer ones are in the grammar but registered
 *   nowhere, and the protocol's own lists refuse them and capitals;
 * - no variant and no extension letter comes twice (section 2.2.9);
 * - a tag may be private use as a whole ("x-..."); the tags from before the grammar are a list.
 */
#include "atproto/syntax.h"

#include "atproto/ascii.h"

enum {
	LANGUAGE_MOST = 128, /* bytes */
	SUBTAG_MOST = 8,
	/* A variant has 4 letters or more, so a tag has no room for more than this. */
	VARIANTS_MOST = LANGUAGE_MOST / 5,
};

/* Those of RFC 5646's "grandfathered" tags that its grammar does not cover. */
static const char *const irregular[] = {
	"en-gb-oed",
	"i-ami",
	"i-bnn",
	"i-default",
	"i-enochian",
	"i-hak",
	"i-klingon",
	"i-lux",
	"i-mingo",
	"i-navajo",
	"i-pwn",
	"i-tao",
	"i-tay",
	"i-tsu",
	"sgn-be-fr",
	"sgn-be-nl",
	"sgn-ch-de",
};

/* Folded to lower case, subtag by subtag. */
struct tag {
	const uint8_t *at, *end; /* what follows the current subtag */
	struct rk_slice sub;     /* the current one; empty at the end */
	unsigned letters;        /* in it; the rest are digits */
};

static bool tag_next(struct tag *tag)
{
	tag->sub = rk_slice_make(tag->at, 0);
	tag->letters = 0;
	for (; tag->at < tag->end && *tag->at != '-'; tag->at++) {
		tag->letters += rk_ascii_is_letter(*tag->at);
		tag->sub.len++;
	}
	if (tag->at < tag->end)
		tag->at++;
	return tag->sub.len > 0;
}

static bool all_letters(const struct tag *tag, size_t len)
{
	return tag->sub.len == len && tag->letters == len;
}

static bool is_variant(const struct tag *tag)
{
	return tag->sub.len >= 5 || (tag->sub.len == 4 && rk_ascii_is_digit(tag->sub.data[0]));
}

/* Subtags of from to 8 letters or digits, one at least. */
static bool take_run(struct tag *tag, size_t from)
{
	size_t count = 0;

	while (tag_next(tag) && tag->sub.len >= from)
		count++;
	return count > 0;
}

static bool take_variants(struct tag *tag)
{
	struct rk_slice seen[VARIANTS_MOST];
	size_t count = 0;

	for (; is_variant(tag); tag_next(tag)) {
		for (size_t i = 0; i < count; i++) {
			if (rk_slice_equal(seen[i], tag->sub))
				return false;
		}
		if (count == VARIANTS_MOST)
			return false;
		seen[count++] = tag->sub;
	}
	return true;
}

static bool take_extensions(struct tag *tag)
{
	bool seen[128] = {false};

	while (tag->sub.len == 1 && tag->sub.data[0] != 'x') {
		uint8_t singleton = tag->sub.data[0];

		if (seen[singleton])
			return false;
		seen[singleton] = true;
		if (!take_run(tag, 2))
			return false;
	}
	return true;
}

static bool tag_valid(struct tag *tag)
{
	tag_next(tag);
	if (rk_slice_equal_str(tag->sub, "x"))
		return take_run(tag, 1) && tag->sub.len == 0;
	if (!all_letters(tag, 2) && !all_letters(tag, 3))
		return false;
	tag_next(tag);
	for (int extended = 0; extended < 3 && all_letters(tag, 3); extended++)
		tag_next(tag);
	if (all_letters(tag, 4)) /* script */
		tag_next(tag);
	if (all_letters(tag, 2) || (tag->sub.len == 3 && tag->letters == 0)) /* region */
		tag_next(tag);
	if (!take_variants(tag) || !take_extensions(tag))
		return false;
	if (rk_slice_equal_str(tag->sub, "x") && !take_run(tag, 1))
		return false;
	return tag->sub.len == 0;
}

bool rk_language_valid(struct rk_slice in)
{
	uint8_t folded[LANGUAGE_MOST];
	struct tag tag = {.at = folded};
	size_t len = 0; /* of the subtag so far */
	bool private = in.len > 1 && in.data[1] == '-' && (in.data[0] | 0x20) == 'x';

	if (in.len == 0 || in.len > LANGUAGE_MOST)
		return false;
	/* Letters, digits and single hyphens between them; the language itself in lower case. */
	for (size_t i = 0, subtag = 0; i < in.len; i++) {
		folded[i] = rk_ascii_to_lower(in.data[i]);
		if (in.data[i] == '-') {
			if (len == 0)
				return false;
			len = 0;
			subtag++;
			continue;
		}
		if (!rk_ascii_is_alnum(in.data[i]) || ++len > SUBTAG_MOST ||
			(subtag == 0 && !private && folded[i] != in.data[i]))
			return false;
	}
	if (len == 0)
		return false;
	tag.end = folded + in.len;
	for (size_t i = 0; i < sizeof(irregular) / sizeof(irregular[0]); i++) {
		if (rk_slice_equal_str(rk_slice_make(folded, in.len), irregular[i]))
			return true;
	}
	return tag_valid(&tag);
}
