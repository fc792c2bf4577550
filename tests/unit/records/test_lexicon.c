/* Rules of records/lexicon: what a finding is, and where. One field of a good lexicon, or of a good
 * record, is another: then there is one finding, at that place. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "records/lexicon.h"
#include "records/lexicon_files.h"

static const char good[] =
	"{'lexicon':1,'id':'com.example.note','defs':{"
	"'main':{'type':'record','key':'tid','record':{'type':'object','required':['text'],"
	"'nullable':['maybe'],'properties':{"
	"'text':{'type':'string','minLength':2,'maxLength':5},"
	"'maybe':{'type':'integer','minimum':1,'maximum':3},"
	"'flag':{'type':'boolean','const':true},"
	"'letters':{'type':'string','maxGraphemes':2},"
	"'one':{'type':'string','enum':['a','b']},"
	"'other':{'type':'ref','ref':'#thing'},"
	"'list':{'type':'array','maxLength':2,'items':{'type':'ref','ref':'#thing'}},"
	"'any':{'type':'unknown'},"
	"'foreign':{'type':'ref','ref':'com.example.elsewhere#thing'},"
	"'loop':{'type':'ref','ref':'#loop'},"
	"'choice':{'type':'union','refs':['#thing'],'closed':true},"
	"'open':{'type':'union','refs':['com.example.note#thing']}"
	"}}},"
	"'loop':{'type':'array','items':{'type':'ref','ref':'#loop'}},"
	"'thing':{'type':'object','required':['n'],'properties':{'n':{'type':'integer'}}}}}";

static const char record[] = "{'$type':'com.example.note','text':'four'}";

/* JSON with ' for ". */
static json_t *parse(const char *text)
{
	json_error_t error;
	char *copy = strdup(text);
	json_t *root;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	root = json_loads(copy, JSON_DECODE_ANY, &error);
	if (!root)
		fail_msg("%s: %s", text, error.text);
	free(copy);
	return root;
}

struct found {
	size_t count;
	char path[256], text[256]; /* of the last */
};

static void keep(void *context, const char *path, const char *text)
{
	struct found *found = context;

	found->count++;
	snprintf(found->path, sizeof(found->path), "%s", path);
	snprintf(found->text, sizeof(found->text), "%s", text);
}

/* Sets what stands at "a.b.c" in root; value NULL: takes it away. */
static void change(json_t *root, const char *path, const char *value)
{
	char part[64];
	size_t len;

	for (; strchr(path, '.'); path += len + 1) {
		len = strcspn(path, ".");
		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		root = json_object_get(root, part);
		assert_true(json_is_object(root));
	}
	if (value)
		json_object_set_new(root, path, parse(value));
	else
		json_object_del(root, path);
}

static void lexicons_are_checked_field_by_field(void **state)
{
	static const struct {
		const char *at, *value, *path, *text;
	} cases[] = {
		{"lexicon", "2", "lexicon", "is not 1"},
		{"lexicon", NULL, "", "has no lexicon"},
		{"id", "'x'", "id", "is not an NSID"},
		{"defs", NULL, "", "has no defs"},
		{"more", "1", "more", "is not a field that there is"},
		{"revision", "-1", "revision", "is not an integer of 0 or more"},
		{"defs.main.key", "'literal'", "defs.main.key",
			"is not tid, nsid, any or literal:KEY"},
		{"defs.main.key", "'literal:a b'", "defs.main.key",
			"is not tid, nsid, any or literal:KEY"},
		{"defs.main.key", NULL, "defs.main", "has no key"},
		{"defs.main.record.type", "'ref'", "defs.main.record", "is not one of: object"},
		{"defs.main.record.required", "['text','gone']", "defs.main.record",
			"required names gone, which is not there"},
		{"defs.main.record.nullable", "['gone']", "defs.main.record",
			"nullable names gone, which is not there"},
		{"defs.main.record.properties.text.type", "'text'",
			"defs.main.record.properties.text", "has no type that there is"},
		{"defs.main.record.properties.text.type", "'token'",
			"defs.main.record.properties.text", "is a token, which may not stand here"},
		{"defs.main.record.properties.text.type", "'query'",
			"defs.main.record.properties.text", "is a query, which may not stand here"},
		{"defs.main.record.properties.text.maxlength", "3",
			"defs.main.record.properties.text.maxlength", "is not a field of string"},
		{"defs.main.record.properties.text.maxLength", "1",
			"defs.main.record.properties.text", "minLength is more than maxLength"},
		{"defs.main.record.properties.text.maxLength", "1.5",
			"defs.main.record.properties.text.maxLength",
			"is not an integer of 0 or more"},
		{"defs.main.record.properties.text.format", "'date'",
			"defs.main.record.properties.text.format", "is not a format that there is"},
		{"defs.main.record.properties.text.enum", "['a',1]",
			"defs.main.record.properties.text.enum.1", "is not a string"},
		{"defs.main.record.properties.flag.default", "false",
			"defs.main.record.properties.flag", "has both default and const"},
		{"defs.main.record.properties.other.ref", "'#gone'",
			"defs.main.record.properties.other.ref",
			"refers to #gone, which is not there"},
		{"defs.main.record.properties.other.ref", "'com.example.note#gone'",
			"defs.main.record.properties.other.ref",
			"refers to com.example.note#gone, which is not there"},
		{"defs.main.record.properties.other.ref", "'nothing'",
			"defs.main.record.properties.other.ref", "is not a reference"},
		{"defs.main.record.properties.other.ref", "'#'",
			"defs.main.record.properties.other.ref", "is not a reference"},
		{"defs.main.record.properties.list.items", NULL, "defs.main.record.properties.list",
			"has no items"},
		{"defs.main.record.properties.choice.refs", "'#thing'",
			"defs.main.record.properties.choice.refs", "is not an array"},
		{"defs.thing",
			"{'type':'record','key':'any','record':{'type':'object','properties':{}}}",
			"defs.thing", "is a record, which may not stand here"},
		{"defs.thing", "{'type':'object'}", "defs.thing", "has no properties"},
		{"defs.thing.description", "5", "defs.thing.description", "is not a string"},
		{"defs.1a", "{'type':'token'}", "defs.1a",
			"is not a name of letters, digits and _"},
		{"defs.union", "{'type':'union','refs':[]}", "defs.union",
			"is a union, which may not stand here"},
	};
	struct rk_lexicons set = {0};
	json_t *lexicon = parse(good);
	struct found found = {0};

	assert_int_equal(rk_lexicon_check(&set, lexicon, keep, &found), 0);
	json_decref(lexicon);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lexicon = parse(good);
		change(lexicon, cases[i].at, cases[i].value);
		found = (struct found){0};
		if (rk_lexicon_check(&set, lexicon, keep, &found) != 1 || found.count != 1)
			fail_msg("%s: %zu findings, the last: %s %s", cases[i].at, found.count,
				found.path, found.text);
		assert_string_equal(found.path, cases[i].path);
		assert_string_equal(found.text, cases[i].text);
		json_decref(lexicon);
	}
}

static void records_are_checked_field_by_field(void **state)
{
	static const struct {
		const char *at, *value, *path, *text; /* text NULL: nothing is found */
	} cases[] = {
		{"text", "'ab'", NULL, NULL},
		{"text", "'a'", "text", "is 1 bytes, at least 2 is wanted"},
		{"text", "'abcde'", NULL, NULL},
		{"text", "'abcdef'", "text", "is 6 bytes, at most 5 is allowed"},
		{"text", "'\xc3\xa9\xc3\xa9\xc3\xa9'", "text", "is 6 bytes, at most 5 is allowed"},
		{"text", "5", "text", "is not a string"},
		{"text", "null", "text", "is not a string"},
		{"text", NULL, "", "has no text"},
		{"$type", "'com.example.other'", "", "its $type is not com.example.note"},
		{"$type", NULL, "", "its $type is not com.example.note"},
		{"unheard", "'of'", NULL, NULL},
		{"maybe", "null", NULL, NULL},
		{"maybe", "3", NULL, NULL},
		{"maybe", "4", "maybe", "is 4, at most 3 is allowed"},
		{"maybe", "0", "maybe", "is 0, at least 1 is wanted"},
		{"maybe", "1.5", "maybe", "is not an integer"},
		{"flag", "true", NULL, NULL},
		{"flag", "false", "flag", "is not what const says"},
		{"letters", "'e\xcc\x81\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa6'", NULL, NULL},
		{"letters", "'\xf0\x9f\x87\xa9\xf0\x9f\x87\xb0\xf0\x9f\x87\xb3\xf0\x9f\x87\xb4'",
			NULL, NULL},
		{"letters", "'abc'", "letters", "is 3 graphemes, at most 2 is allowed"},
		{"one", "'b'", NULL, NULL},
		{"one", "'c'", "one", "is none of enum"},
		{"other", "{'n':1}", NULL, NULL},
		{"other", "{}", "other", "has no n"},
		{"list", "[{'n':1},{'n':'x'}]", "list.1.n", "is not an integer"},
		{"list", "[{'n':1},{'n':1},{'n':1}]", "list", "is 3 items, at most 2 is allowed"},
		{"any", "{'x':[]}", NULL, NULL},
		{"any", "[]", "any", "is not an object"},
		{"foreign", "5", NULL, NULL},
		{"loop", "[[],[[]]]", NULL, NULL},
		{"loop", "[[5]]", "loop.0.0", "is not an array"},
		{"choice", "{'$type':'com.example.note#thing','n':1}", NULL, NULL},
		{"choice", "{'$type':'#thing','n':1}", NULL, NULL},
		{"choice", "{'$type':'com.example.note#thing'}", "choice", "has no n"},
		{"choice", "{'$type':'com.example.note#loop'}", "choice",
			"is a com.example.note#loop, which the union has not"},
		{"choice", "{}", "choice", "is not an object with a $type"},
		{"open", "{'$type':'com.example.note#loop'}", NULL, NULL},
		{"open", "{'$type':'com.example.note#thing'}", "open", "has no n"},
	};
	const struct rk_slice tid = RK_SLICE_LIT("3kznmn7xqxl22");
	struct rk_lexicons set = {0};
	json_t *lexicon = parse(good);

	assert_true(rk_lexicons_add(&set, lexicon));
	assert_false(rk_lexicons_add(&set, lexicon));
	json_decref(lexicon);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *value = parse(record);
		struct found found = {0};
		size_t expected = cases[i].text != NULL;

		change(value, cases[i].at, cases[i].value);
		if (rk_lexicon_check_record(&set, "com.example.note", tid, value, keep, &found) !=
			expected)
			fail_msg("%s %s: %zu findings, the last: %s %s", cases[i].at,
				cases[i].value, found.count, found.path, found.text);
		if (cases[i].text) {
			assert_string_equal(found.path, cases[i].path);
			assert_string_equal(found.text, cases[i].text);
		}
		json_decref(value);
	}
	rk_lexicons_finish(&set);
}

static void keys_and_collections_count(void **state)
{
	static const struct {
		const char *kind, *rkey;
		bool fits;
	} cases[] = {
		{"tid", "3kznmn7xqxl22", true},
		{"tid", "self", false},
		{"nsid", "com.example.note", true},
		{"nsid", "self", false},
		{"any", "self", true},
		{"any", ".", false},
		{"literal:self", "self", true},
		{"literal:self", "other", false},
	};
	json_t *value = parse(record);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_lexicons set = {0};
		json_t *lexicon = parse(good);
		struct found found = {0};
		char quoted[64];

		snprintf(quoted, sizeof(quoted), "'%s'", cases[i].kind);
		change(lexicon, "defs.main.key", quoted);
		assert_true(rk_lexicons_add(&set, lexicon));
		json_decref(lexicon);
		assert_int_equal(rk_lexicon_check_record(&set, "com.example.note",
					 rk_slice_str(cases[i].rkey), value, keep, &found),
			cases[i].fits ? 0 : 1);
		assert_int_equal(rk_lexicon_check_record(&set, "com.example.unknown",
					 rk_slice_str(cases[i].rkey), value, keep, &found),
			1);
		rk_lexicons_finish(&set);
	}
	json_decref(value);
}

/* {{{…}}} of a schema, and [[[…]]] of a value under one that refers to itself. */
static void depth_is_bounded(void **state)
{
	enum { DEEP = 300 };
	char text[DEEP * 40 + 200], *at = text;
	struct rk_lexicons set = {0};
	struct found found = {0};
	json_t *lexicon, *value;

	at += sprintf(at, "{'lexicon':1,'id':'com.example.deep','defs':{'a':");
	for (int i = 0; i < DEEP; i++)
		at += sprintf(at, "{'type':'array','items':");
	at += sprintf(at, "{'type':'boolean'}");
	for (int i = 0; i < DEEP + 2; i++)
		at += sprintf(at, "}");
	lexicon = parse(text);
	assert_int_equal(rk_lexicon_check(&set, lexicon, keep, &found), 1);
	assert_string_equal(found.text, "lies too deep");
	json_decref(lexicon);

	lexicon = parse(good);
	assert_true(rk_lexicons_add(&set, lexicon));
	json_decref(lexicon);
	at = text + sprintf(text, "{'$type':'com.example.note','text':'four','loop':");
	for (int i = 0; i < DEEP; i++)
		at += sprintf(at, "[");
	for (int i = 0; i < DEEP; i++)
		at += sprintf(at, "]");
	sprintf(at, "}");
	value = parse(text);
	found = (struct found){0};
	assert_int_equal(rk_lexicon_check_record(&set, "com.example.note",
				 rk_slice_str("3kznmn7xqxl22"), value, keep, &found),
		1);
	assert_string_equal(found.text, "lies too deep");
	json_decref(value);
	rk_lexicons_finish(&set);
}

static void own_lexicons_are_whole(void **state)
{
	struct rk_lexicons set = {0};
	struct found found = {0};
	const json_t *lexicon;
	const char *id;

	assert_true(rk_lexicon_file_count > 2);
	assert_true(rk_lexicons_add_own(&set));
	assert_int_equal(json_object_size(set.by_id), rk_lexicon_file_count);
	for (size_t i = 0; i < rk_lexicon_file_count; i++) {
		json_t *one =
			json_loadb(rk_lexicon_files[i].text, rk_lexicon_files[i].len, 0, NULL);
		char name[256], *c;

		snprintf(name, sizeof(name), "%s.json",
			json_string_value(json_object_get(one, "id")));
		for (c = name; c < strrchr(name, '.'); c++)
			*c = *c == '.' ? '/' : *c;
		assert_string_equal(rk_lexicon_files[i].name, name);
		json_decref(one);
	}
	json_object_foreach(set.by_id, id, lexicon)
	{
		if (rk_lexicon_check(&set, lexicon, keep, &found) != 0)
			fail_msg("%s: %s %s", id, found.path, found.text);
	}
	rk_lexicons_finish(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lexicons_are_checked_field_by_field),
		cmocka_unit_test(records_are_checked_field_by_field),
		cmocka_unit_test(keys_and_collections_count),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(own_lexicons_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
