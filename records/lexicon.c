/*
 * Is a lexicon one? See lexicon.h. Each type is a row: where it may stand, and its fields, each of a
 * kind; each kind is a function.
 */
#include "records/lexicon.h"

#include <stdio.h>
#include <string.h>

#include "atproto/syntax.h"
#include "records/lexicon_inside.h"

/* Kinds of fields */

enum {
	AT_MAIN = 1,  /* as "main", and nowhere else */
	AT_DEF = 2,   /* as a definition with a name, "main" too */
	AT_FIELD = 4, /* within objects, arrays and parameters */
	AT_PARAM = 8, /* as a parameter, or an array of it */
	AT_INNER = 16 /* where a row asks for it by name */
};

struct field;
typedef void checker(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field);

struct field {
	const char *name;
	checker *check;
	const char *wanted; /* for the check: a type, or names */
	bool required;
};

static void schema_check(struct rk_lexicon_walk *walk, const json_t *schema, unsigned places);

static void is_text(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	if (!json_is_string(value))
		rk_lexicon_find(walk, "is not a string");
}

static void is_name(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	const char *text = json_string_value(value);

	if (!text || !*text || strpbrk(text, " \t\n\r"))
		rk_lexicon_find(walk, "is not a name");
}

static void is_bool(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	if (!json_is_boolean(value))
		rk_lexicon_find(walk, "is not true or false");
}

static void is_integer(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	if (!json_is_integer(value))
		rk_lexicon_find(walk, "is not an integer");
}

static void is_size(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		rk_lexicon_find(walk, "is not an integer of 0 or more");
}

/* One of the words in field->wanted. */
static void is_word(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	const char *text = json_string_value(value), *at = field->wanted;
	size_t len = text ? strlen(text) : 0;

	for (; text && *at; at += strcspn(at, " ")) {
		at += strspn(at, " ");
		if (len == strcspn(at, " ") && strncmp(at, text, len) == 0)
			return;
	}
	rk_lexicon_find(walk, "is not one of: %s", field->wanted);
}

static void is_format(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	if (!json_is_string(value) || !rk_lexicon_format_known(json_string_value(value)))
		rk_lexicon_find(walk, "is not a format that there is");
}

static void is_record_key(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	const char *text = json_string_value(value);
	struct rk_rkey rkey;

	if (!text ||
		(strcmp(text, "tid") != 0 && strcmp(text, "nsid") != 0 &&
			strcmp(text, "any") != 0 &&
			(strncmp(text, "literal:", 8) != 0 ||
				!rk_rkey_parse(&rkey, rk_slice_str(text + 8)))))
		rk_lexicon_find(walk, "is not tid, nsid, any or literal:KEY");
}

static void each(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field,
	checker *check)
{
	const json_t *item;
	char name[24];
	size_t i;

	if (!json_is_array(value)) {
		rk_lexicon_find(walk, "is not an array");
		return;
	}
	json_array_foreach(value, i, item)
	{
		size_t at;

		snprintf(name, sizeof(name), "%zu", i);
		at = rk_lexicon_enter(walk, name);
		check(walk, item, field);
		rk_lexicon_leave(walk, at);
	}
}

static void are_texts(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	each(walk, value, field, is_text);
}

static void are_integers(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	each(walk, value, field, is_integer);
}

static void is_ref(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	const char *text = json_string_value(value), *hash = text ? strchr(text, '#') : NULL, *id;
	struct rk_nsid nsid;
	bool foreign;

	if (!text || (hash && !hash[1]) ||
		(hash != text &&
			!rk_nsid_parse(&nsid,
				rk_slice_make(text, hash ? (size_t)(hash - text) : strlen(text)))))
		rk_lexicon_find(walk, "is not a reference");
	else if (!rk_lexicon_resolve(walk, text, &id, &foreign) && !foreign)
		rk_lexicon_find(walk, "refers to %s, which is not there", text);
}

static void are_refs(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	each(walk, value, field, is_ref);
}

/* A schema of the types in field->wanted. */
static void is_schema(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	const size_t before = walk->findings;

	is_word(walk, json_object_get(value, "type"), field);
	if (walk->findings == before)
		schema_check(walk, value, AT_FIELD | AT_INNER);
}

static void is_item(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	schema_check(walk, value, AT_FIELD);
}

static void are_named(struct rk_lexicon_walk *walk, const json_t *value, unsigned places)
{
	const json_t *item;
	const char *name;

	if (!json_is_object(value)) {
		rk_lexicon_find(walk, "is not an object");
		return;
	}
	json_object_foreach((json_t *)value, name, item)
	{
		size_t at = rk_lexicon_enter(walk, name);

		if (!*name)
			rk_lexicon_find(walk, "has no name");
		schema_check(walk, item, places);
		rk_lexicon_leave(walk, at);
	}
}

static void are_properties(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	are_named(walk, value, AT_FIELD);
}

static void are_parameters(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	are_named(walk, value, AT_PARAM);
}

static void fields_check(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *fields);

static const struct field body_fields[] = {
	{"description", is_text},
	{"encoding", is_name, .required = true},
	{"schema", is_schema, "object ref union"},
	{0},
};
static const struct field message_fields[] = {
	{"description", is_text},
	{"schema", is_schema, "union ref object", .required = true},
	{0},
};
static const struct field error_fields[] = {
	{"name", is_name, .required = true},
	{"description", is_text},
	{0},
};

static void is_body(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	fields_check(walk, value, body_fields);
}

static void is_message(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	fields_check(walk, value, message_fields);
}

static void is_error(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	fields_check(walk, value, error_fields);
}

static void are_errors(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	each(walk, value, field, is_error);
}

/* What a permission allows is for those who grant it. */
static void is_permission(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	const char *type = json_string_value(json_object_get(value, "type"));

	if (!type || strcmp(type, "permission") != 0 ||
		!json_is_string(json_object_get(value, "resource")))
		rk_lexicon_find(walk, "is not a permission with a resource");
}

static void are_permissions(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	each(walk, value, field, is_permission);
}

static void is_object(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	if (!json_is_object(value))
		rk_lexicon_find(walk, "is not an object");
}

/* Types */

#define FIELDS(...) ((const struct field[]){__VA_ARGS__, {0}})
#define ERRORS                                                                                     \
	{                                                                                          \
		"errors", are_errors                                                               \
	}
#define PARAMETERS                                                                                 \
	{                                                                                          \
		"parameters", is_schema, "params"                                                  \
	}

static const struct type {
	const char *name;
	unsigned places;
	const struct field *fields; /* besides type and description */
} types[] = {
	{"record", AT_MAIN,
		FIELDS({"key", is_record_key, .required = true},
			{"record", is_schema, "object", .required = true})},
	{"query", AT_MAIN, FIELDS(PARAMETERS, {"output", is_body}, ERRORS)},
	{"procedure", AT_MAIN, FIELDS(PARAMETERS, {"input", is_body}, {"output", is_body}, ERRORS)},
	{"subscription", AT_MAIN, FIELDS(PARAMETERS, {"message", is_message}, ERRORS)},
	{"permission-set", AT_MAIN,
		FIELDS({"title", is_text}, {"title:lang", is_object}, {"detail", is_text},
			{"detail:lang", is_object},
			{"permissions", are_permissions, .required = true})},
	{"object", AT_DEF | AT_FIELD,
		FIELDS({"properties", are_properties, .required = true}, {"required", are_texts},
			{"nullable", are_texts})},
	{"params", AT_INNER,
		FIELDS({"properties", are_parameters, .required = true}, {"required", are_texts})},
	{"array", AT_DEF | AT_FIELD | AT_PARAM,
		FIELDS({"items", is_item, .required = true}, {"minLength", is_size},
			{"maxLength", is_size})},
	{"boolean", AT_DEF | AT_FIELD | AT_PARAM, FIELDS({"default", is_bool}, {"const", is_bool})},
	{"integer", AT_DEF | AT_FIELD | AT_PARAM,
		FIELDS({"minimum", is_integer}, {"maximum", is_integer}, {"enum", are_integers},
			{"default", is_integer}, {"const", is_integer})},
	{"string", AT_DEF | AT_FIELD | AT_PARAM,
		FIELDS({"format", is_format}, {"minLength", is_size}, {"maxLength", is_size},
			{"minGraphemes", is_size}, {"maxGraphemes", is_size},
			{"knownValues", are_texts}, {"enum", are_texts}, {"default", is_text},
			{"const", is_text})},
	{"bytes", AT_DEF | AT_FIELD, FIELDS({"minLength", is_size}, {"maxLength", is_size})},
	{"cid-link", AT_DEF | AT_FIELD, FIELDS({0})},
	{"blob", AT_DEF | AT_FIELD, FIELDS({"accept", are_texts}, {"maxSize", is_size})},
	{"token", AT_DEF, FIELDS({0})},
	{"ref", AT_FIELD, FIELDS({"ref", is_ref, .required = true})},
	{"union", AT_FIELD, FIELDS({"refs", are_refs, .required = true}, {"closed", is_bool})},
	{"unknown", AT_FIELD | AT_PARAM, FIELDS({0})},
};

static const struct field *field_find(const struct field *fields, const char *name)
{
	for (; fields->name; fields++) {
		if (strcmp(fields->name, name) == 0)
			return fields;
	}
	return NULL;
}

static void fields_check(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *fields)
{
	const json_t *item;
	const char *name;

	if (!json_is_object(value)) {
		rk_lexicon_find(walk, "is not an object");
		return;
	}
	json_object_foreach((json_t *)value, name, item)
	{
		const struct field *field = field_find(fields, name);
		size_t at = rk_lexicon_enter(walk, name);

		if (!field)
			rk_lexicon_find(walk, "is not a field that there is");
		else
			field->check(walk, item, field);
		rk_lexicon_leave(walk, at);
	}
	for (; fields->name; fields++) {
		if (fields->required && !json_object_get(value, fields->name))
			rk_lexicon_find(walk, "has no %s", fields->name);
	}
}

/* What holds between fields. */
static void rules_check(struct rk_lexicon_walk *walk, const json_t *schema)
{
	static const char *const pairs[][2] = {{"minimum", "maximum"}, {"minLength", "maxLength"},
		{"minGraphemes", "maxGraphemes"}};
	static const char *const lists[] = {"required", "nullable"};
	const json_t *properties = json_object_get(schema, "properties"), *name;
	size_t i;

	for (size_t k = 0; k < sizeof(pairs) / sizeof(pairs[0]); k++) {
		const json_t *least = json_object_get(schema, pairs[k][0]);
		const json_t *most = json_object_get(schema, pairs[k][1]);

		if (json_is_integer(least) && json_is_integer(most) &&
			json_integer_value(least) > json_integer_value(most))
			rk_lexicon_find(walk, "%s is more than %s", pairs[k][0], pairs[k][1]);
	}
	if (json_object_get(schema, "default") && json_object_get(schema, "const"))
		rk_lexicon_find(walk, "has both default and const");
	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
		json_array_foreach(json_object_get(schema, lists[k]), i, name)
		{
			if (json_is_string(name) &&
				!json_object_get(properties, json_string_value(name)))
				rk_lexicon_find(walk, "%s names %s, which is not there", lists[k],
					json_string_value(name));
		}
	}
}

static void schema_check(struct rk_lexicon_walk *walk, const json_t *schema, unsigned places)
{
	const char *name = json_string_value(json_object_get(schema, "type"));
	const struct type *type = NULL;
	const json_t *item;
	const char *key;

	for (size_t i = 0; name && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].name, name) == 0)
			type = &types[i];
	}
	if (!type) {
		rk_lexicon_find(walk, "has no type that there is");
		return;
	}
	if (!(type->places & places)) {
		rk_lexicon_find(walk, "is a %s, which may not stand here", name);
		return;
	}
	if (walk->depth >= RK_LEXICON_DEPTH_MOST) {
		rk_lexicon_find(walk, "lies too deep");
		return;
	}
	json_object_foreach((json_t *)schema, key, item)
	{
		const struct field *field = field_find(type->fields, key);
		size_t at = rk_lexicon_enter(walk, key);

		if (strcmp(key, "description") == 0)
			is_text(walk, item, NULL);
		else if (field && field->check == is_item && places == AT_PARAM)
			schema_check(walk, item, AT_PARAM);
		else if (field)
			field->check(walk, item, field);
		else if (strcmp(key, "type") != 0)
			rk_lexicon_find(walk, "is not a field of %s", name);
		rk_lexicon_leave(walk, at);
	}
	for (const struct field *field = type->fields; field->name; field++) {
		if (field->required && !json_object_get(schema, field->name))
			rk_lexicon_find(walk, "has no %s", field->name);
	}
	rules_check(walk, schema);
}

static bool is_definition_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t first = strspn(name, letters);

	return first > 0 &&
		name[first +
			strspn(name + first,
				"0123456789_"
				"abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static void are_definitions(
	struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	const json_t *item;
	const char *name;

	if (json_object_size(value) == 0) {
		rk_lexicon_find(walk, "is no object with definitions");
		return;
	}
	json_object_foreach((json_t *)value, name, item)
	{
		size_t at = rk_lexicon_enter(walk, name);

		if (!is_definition_name(name))
			rk_lexicon_find(walk, "is not a name of letters, digits and _");
		schema_check(walk, item, strcmp(name, "main") == 0 ? AT_MAIN | AT_DEF : AT_DEF);
		rk_lexicon_leave(walk, at);
	}
}

static void is_one(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	if (!json_is_integer(value) || json_integer_value(value) != 1)
		rk_lexicon_find(walk, "is not 1");
}

static void is_id(struct rk_lexicon_walk *walk, const json_t *value, const struct field *field)
{
	struct rk_nsid nsid;

	if (!json_is_string(value) || !rk_nsid_parse(&nsid, rk_slice_str(json_string_value(value))))
		rk_lexicon_find(walk, "is not an NSID");
}

static const struct field file_fields[] = {
	{"lexicon", is_one, .required = true},
	{"id", is_id, .required = true},
	{"description", is_text},
	{"revision", is_size},
	{"$type", is_word, "com.atproto.lexicon.schema"},
	{"defs", are_definitions, .required = true},
	{0},
};

size_t rk_lexicon_check(
	const struct rk_lexicons *set, const json_t *lexicon, rk_lexicon_tell *tell, void *context)
{
	const char *id = json_string_value(json_object_get(lexicon, "id"));
	struct rk_lexicons own = {0};
	struct rk_lexicon_walk walk = {
		.set = set, .id = id ? id : "", .tell = tell, .context = context};

	/* One that is not in the set sees itself, and the set. */
	if (id && rk_lexicons_find(set, id) != lexicon) {
		own.by_id = json_copy(set->by_id);
		if (!own.by_id)
			own.by_id = json_object();
		json_object_set(own.by_id, id, (json_t *)lexicon);
		walk.set = &own;
	}
	fields_check(&walk, lexicon, file_fields);
	rk_lexicons_finish(&own);
	return walk.findings;
}
