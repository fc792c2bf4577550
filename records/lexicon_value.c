/* Values against schemas that rk_lexicon_check has passed; see lexicon.h. A type is a row with its check. */
#include "records/lexicon.h"

#include <stdio.h>
#include <string.h>

#include "atproto/cid.h"
#include "atproto/syntax.h"
#include "records/lexicon_inside.h"

/* Formats */

static bool is_did(struct rk_slice text)
{
	struct rk_did did;

	return rk_did_parse(&did, text);
}

static bool is_handle(struct rk_slice text)
{
	struct rk_handle handle;

	return rk_handle_parse(&handle, text);
}

static bool is_identifier(struct rk_slice text)
{
	struct rk_at_identifier identifier;

	return rk_at_identifier_parse(&identifier, text);
}

static bool is_nsid(struct rk_slice text)
{
	struct rk_nsid nsid;

	return rk_nsid_parse(&nsid, text);
}

static bool is_at_uri(struct rk_slice text)
{
	struct rk_at_uri uri;

	return rk_at_uri_parse(&uri, text);
}

static bool is_cid(struct rk_slice text)
{
	struct rk_cid cid;

	return rk_cid_from_text(&cid, text);
}

static bool is_datetime(struct rk_slice text)
{
	int64_t unix_ms;

	return rk_datetime_parse(&unix_ms, text);
}

static bool is_tid(struct rk_slice text)
{
	uint64_t tid;

	return rk_tid_parse(&tid, text);
}

static bool is_rkey(struct rk_slice text)
{
	struct rk_rkey rkey;

	return rk_rkey_parse(&rkey, text);
}

static const struct {
	const char *name;
	bool (*fits)(struct rk_slice text);
} formats[] = {
	{"at-identifier", is_identifier},
	{"at-uri", is_at_uri},
	{"cid", is_cid},
	{"datetime", is_datetime},
	{"did", is_did},
	{"handle", is_handle},
	{"language", rk_language_valid},
	{"nsid", is_nsid},
	{"record-key", is_rkey},
	{"tid", is_tid},
	{"uri", rk_uri_valid},
};

enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

bool rk_lexicon_format_known(const char *format)
{
	for (size_t i = 0; i < FORMATS; i++) {
		if (strcmp(formats[i].name, format) == 0)
			return true;
	}
	return false;
}

bool rk_lexicon_format_fits(const char *format, struct rk_slice text)
{
	for (size_t i = 0; i < FORMATS; i++) {
		if (strcmp(formats[i].name, format) == 0)
			return formats[i].fits(text);
	}
	return true;
}

/* Values */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* Bounds that a schema may set, by the names of them. */
static void bounds_check(struct rk_lexicon_walk *walk, const json_t *schema, const char *least,
	const char *most, json_int_t value, const char *unit)
{
	const json_t *low = json_object_get(schema, least), *high = json_object_get(schema, most);

	if (low && value < json_integer_value(low))
		rk_lexicon_find(walk, "is %lld%s, at least %lld is wanted", (long long)value, unit,
			(long long)json_integer_value(low));
	if (high && value > json_integer_value(high))
		rk_lexicon_find(walk, "is %lld%s, at most %lld is allowed", (long long)value, unit,
			(long long)json_integer_value(high));
}

static void choices_check(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const json_t *constant = json_object_get(schema, "const"), *item;
	const json_t *list = json_object_get(schema, "enum");
	bool found = !list;
	size_t i;

	if (constant && !json_equal(constant, value))
		rk_lexicon_find(walk, "is not what const says");
	json_array_foreach(list, i, item) found = found || json_equal(item, value);
	if (!found)
		rk_lexicon_find(walk, "is none of enum");
}

typedef void checker(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value);

static checker value_check;

static void is_boolean(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	if (!json_is_boolean(value))
		rk_lexicon_find(walk, "is not true or false");
	else
		choices_check(walk, schema, value);
}

static void is_integer(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	if (!json_is_integer(value)) {
		rk_lexicon_find(walk, "is not an integer");
		return;
	}
	choices_check(walk, schema, value);
	bounds_check(walk, schema, "minimum", "maximum", json_integer_value(value), "");
}

/* The next character of valid UTF-8. */
static uint32_t character_next(const uint8_t **at)
{
	uint32_t c = *(*at)++;
	int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

	if (more)
		c &= 0x3fu >> more;
	for (; more > 0; more--)
		c = c << 6 | (*(*at)++ & 0x3f);
	return c;
}

/* Characters that belong to the one before them. */
static bool is_extending(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {{0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd}, {0x610, 0x61a},
		{0x64b, 0x65f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200c, 0x200d},
		{0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff},
		{0xe0020, 0xe007f}, {0xe0100, 0xe01ef}};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	}
	return false;
}

static json_int_t graphemes(const char *text, size_t len)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + len;
	bool half_flag = false;
	uint32_t before = 0;
	json_int_t count = 0;

	while (at < end) {
		uint32_t c = character_next(&at);
		bool flag = c >= 0x1f1e6 && c <= 0x1f1ff;
		bool joined =
			before == 0x200d || (before == '\r' && c == '\n') || (flag && half_flag);

		if (count == 0 || !(joined || is_extending(c)))
			count++;
		half_flag = flag && !(flag && half_flag);
		before = c;
	}
	return count;
}

static void is_string(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const char *text = json_string_value(value), *format = text_of(schema, "format");
	size_t len = json_string_length(value);

	if (!text) {
		rk_lexicon_find(walk, "is not a string");
		return;
	}
	choices_check(walk, schema, value);
	bounds_check(walk, schema, "minLength", "maxLength", (json_int_t)len, " bytes");
	if (json_object_get(schema, "minGraphemes") || json_object_get(schema, "maxGraphemes"))
		bounds_check(walk, schema, "minGraphemes", "maxGraphemes", graphemes(text, len),
			" graphemes");
	if (!rk_lexicon_format_fits(format, rk_slice_make(text, len)))
		rk_lexicon_find(walk, "is no %s", format);
}

/* {"$bytes": base64} and {"$link": CID}: nothing else in them. */
static const char *wrapped(const json_t *value, const char *name)
{
	return json_object_size(value) == 1 ? json_string_value(json_object_get(value, name))
					    : NULL;
}

/* How many bytes a base64 text stands for; -1: it is none. What its last letter says beyond them is let
 * pass. */
static json_int_t base64_length(const char *text)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strspn(text, letters), padding = strspn(text + len, "=");

	if (text[len + padding] || len % 4 == 1 || (padding && (len + padding) % 4 != 0) ||
		padding > 2)
		return -1;
	return (json_int_t)(len * 3 / 4);
}

static void is_bytes(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const char *text = wrapped(value, "$bytes");
	json_int_t len = text ? base64_length(text) : -1;

	if (len < 0)
		rk_lexicon_find(walk, "is no bytes: {\"$bytes\": base64}");
	else
		bounds_check(walk, schema, "minLength", "maxLength", len, " bytes");
}

static void is_link(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const char *text = wrapped(value, "$link");

	if (!text || !is_cid(rk_slice_str(text)))
		rk_lexicon_find(walk, "is no link: {\"$link\": CID}");
}

/* What ends in an asterisk takes all that begins so. */
static bool is_accepted(const json_t *accept, const char *type)
{
	const json_t *item;
	size_t i;

	json_array_foreach(accept, i, item)
	{
		const char *pattern = json_string_value(item);
		size_t len = strcspn(pattern, "*");

		if (pattern[len] ? strncmp(pattern, type, len) == 0 : strcmp(pattern, type) == 0)
			return true;
	}
	return false;
}

static bool is_blob_object(const json_t *value)
{
	return strcmp(text_of(value, "$type"), "blob") == 0;
}

static void is_blob(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const char *type = json_string_value(json_object_get(value, "mimeType"));
	const char *link = wrapped(json_object_get(value, "ref"), "$link");
	const json_t *size = json_object_get(value, "size");
	const json_t *accept = json_object_get(schema, "accept");

	if (!is_blob_object(value) || !type || !json_is_integer(size) || !link ||
		!is_cid(rk_slice_str(link))) {
		rk_lexicon_find(walk, "is no blob with ref, mimeType and size");
		return;
	}
	bounds_check(walk, schema, "", "maxSize", json_integer_value(size), " bytes");
	if (accept && !is_accepted(accept, type))
		rk_lexicon_find(walk, "is of a type that is not accepted");
}

static void is_array(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const json_t *items = json_object_get(schema, "items"), *item;
	char name[24];
	size_t i;

	if (!json_is_array(value)) {
		rk_lexicon_find(walk, "is not an array");
		return;
	}
	bounds_check(walk, schema, "minLength", "maxLength", (json_int_t)json_array_size(value),
		" items");
	json_array_foreach(value, i, item)
	{
		size_t at;

		snprintf(name, sizeof(name), "%zu", i);
		at = rk_lexicon_enter(walk, name);
		value_check(walk, items, item);
		rk_lexicon_leave(walk, at);
	}
}

static bool is_named(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (strcmp(json_string_value(item), name) == 0)
			return true;
	}
	return false;
}

static void is_object(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const json_t *properties = json_object_get(schema, "properties"), *property, *name;
	const json_t *nullable = json_object_get(schema, "nullable");
	const char *key;
	size_t i;

	if (!json_is_object(value)) {
		rk_lexicon_find(walk, "is not an object");
		return;
	}
	json_array_foreach(json_object_get(schema, "required"), i, name)
	{
		if (!json_object_get(value, json_string_value(name)))
			rk_lexicon_find(walk, "has no %s", json_string_value(name));
	}
	json_object_foreach((json_t *)properties, key, property)
	{
		const json_t *item = json_object_get(value, key);
		size_t at;

		if (!item || (json_is_null(item) && is_named(nullable, key)))
			continue;
		at = rk_lexicon_enter(walk, key);
		value_check(walk, property, item);
		rk_lexicon_leave(walk, at);
	}
}

/* An object of the data model that is neither bytes, a link nor a blob. */
static void is_unknown(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	if (!json_is_object(value) || json_object_get(value, "$bytes") ||
		json_object_get(value, "$link") || is_blob_object(value))
		rk_lexicon_find(walk, "is not an object");
}

/* A token has no value of its own: it is named by a string. */
static void is_token(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	rk_lexicon_find(walk, "is a value where a token stands");
}

static void is_referred(struct rk_lexicon_walk *walk, const char *ref, const json_t *value)
{
	const char *id, *outer = walk->id;
	bool foreign;
	const json_t *schema = rk_lexicon_resolve(walk, ref, &id, &foreign);

	if (!schema)
		return; /* of others: believed */
	walk->id = id;
	/* A record's definition wraps its object. */
	if (json_object_get(schema, "record"))
		schema = json_object_get(schema, "record");
	value_check(walk, schema, value);
	walk->id = outer;
}

static void is_ref(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	is_referred(walk, text_of(schema, "ref"), value);
}

/* "#name" of this lexicon and "nsid#name" are one; "#main" may be left out. */
static bool is_same(const struct rk_lexicon_walk *walk, const char *ref, const char *type)
{
	char texts[2][640];
	const char *all[] = {ref, type};

	for (int i = 0; i < 2; i++) {
		size_t len;

		snprintf(texts[i], sizeof(texts[i]), "%s%s", all[i][0] == '#' ? walk->id : "",
			all[i]);
		len = strlen(texts[i]);
		if (len > 5 && strcmp(texts[i] + len - 5, "#main") == 0)
			texts[i][len - 5] = '\0';
	}
	return strcmp(texts[0], texts[1]) == 0;
}

static void is_union(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	const char *type = json_string_value(json_object_get(value, "$type"));
	const json_t *ref;
	size_t i;

	if (!type) {
		rk_lexicon_find(walk, "is not an object with a $type");
		return;
	}
	json_array_foreach(json_object_get(schema, "refs"), i, ref)
	{
		if (is_same(walk, json_string_value(ref), type)) {
			is_referred(walk, json_string_value(ref), value);
			return;
		}
	}
	if (json_is_true(json_object_get(schema, "closed")))
		rk_lexicon_find(walk, "is a %s, which the union has not", type);
}

static void value_check(struct rk_lexicon_walk *walk, const json_t *schema, const json_t *value)
{
	static const struct {
		const char *type;
		checker *check;
	} types[] = {
		{"array", is_array},
		{"blob", is_blob},
		{"boolean", is_boolean},
		{"bytes", is_bytes},
		{"cid-link", is_link},
		{"integer", is_integer},
		{"object", is_object},
		{"ref", is_ref},
		{"string", is_string},
		{"token", is_token},
		{"union", is_union},
		{"unknown", is_unknown},
	};
	const char *type = text_of(schema, "type");

	if (walk->depth >= RK_LEXICON_DEPTH_MOST) {
		rk_lexicon_find(walk, "lies too deep");
		return;
	}
	/* References to references go round without the value going deeper. */
	walk->depth++;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].type, type) == 0)
			types[i].check(walk, schema, value);
	}
	walk->depth--;
}

static bool key_fits(const char *kind, struct rk_slice rkey)
{
	if (strncmp(kind, "literal:", 8) == 0)
		return rk_slice_equal_str(rkey, kind + 8);
	if (strcmp(kind, "any") == 0)
		return is_rkey(rkey);
	return rk_lexicon_format_fits(kind, rkey); /* tid, nsid */
}

size_t rk_lexicon_check_record(const struct rk_lexicons *set, const char *collection,
	struct rk_slice rkey, const json_t *record, rk_lexicon_tell *tell, void *context)
{
	struct rk_lexicon_walk walk = {
		.set = set, .id = collection, .tell = tell, .context = context};
	const json_t *main =
		json_object_get(json_object_get(rk_lexicons_find(set, collection), "defs"), "main");
	const char *type = text_of(record, "$type");

	if (!json_object_get(main, "record")) {
		rk_lexicon_find(&walk, "%s is no lexicon of records that is known", collection);
		return walk.findings;
	}
	if (!key_fits(text_of(main, "key"), rkey))
		rk_lexicon_find(&walk, "its key is no %s", text_of(main, "key"));
	if (strcmp(type, collection) != 0)
		rk_lexicon_find(&walk, "its $type is not %s", collection);
	value_check(&walk, json_object_get(main, "record"), record);
	return walk.findings;
}
