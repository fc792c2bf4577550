/* The method table and the lexicon files say the same: names, verbs, parameters and their bounds. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xrpc/methods.h"

static char folder[1024];

static int setup(void **state)
{
	const char *root = getenv("REFKEY_SOURCE_ROOT");

	snprintf(folder, sizeof(folder), "%s/lexicons/computer/aesthetic", root ? root : ".");
	return 0;
}

static json_t *file_read(const char *name)
{
	json_error_t error;
	char path[1200];
	json_t *file;

	snprintf(path, sizeof(path), "%s/%s.json", folder, name);
	file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!file)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return file;
}

static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value ? value : "";
}

static json_int_t number(const json_t *object, const char *name, json_int_t otherwise)
{
	const json_t *value = json_object_get(object, name);

	return value ? json_integer_value(value) : otherwise;
}

static bool has(const json_t *array, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
	{
		if (strcmp(json_string_value(item), name) == 0)
			return true;
	}
	return false;
}

static void same(const char *method, const char *param, const char *what, json_int_t table,
	json_int_t lexicon)
{
	if (table != lexicon)
		fail_msg("%s %s: %s is %lld in the table, %lld in the lexicon", method, param, what,
			(long long)table, (long long)lexicon);
}

/* The type and format that a lexicon has for a kind of parameter. */
static const struct {
	const char *type, *format;
} kinds[] = {
	[RK_PARAM_TEXT] = {"string", ""},
	[RK_PARAM_INTEGER] = {"integer", ""},
	[RK_PARAM_BOOLEAN] = {"boolean", ""},
	[RK_PARAM_DATETIME] = {"string", "datetime"},
	[RK_PARAM_REF] = {"string", ""},
	[RK_PARAM_REPO] = {"string", "at-identifier"},
	[RK_PARAM_COLLECTION] = {"string", "nsid"},
	[RK_PARAM_RKEY] = {"string", "record-key"},
	[RK_PARAM_URI] = {"string", "at-uri"},
};

static void collections_named(const char *method, const json_t *param)
{
	json_t *known = json_object_get(param, "knownValues");

	same(method, "collection", "the number of collections", RK_COLLECTION_COUNT,
		(json_int_t)json_array_size(known));
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		assert_true(has(known, rk_collections[i].nsid));
}

static void param_agrees(const char *method, const struct rk_param_row *row, const json_t *params)
{
	const json_t *param = json_object_get(json_object_get(params, "properties"), row->name);

	if (!param)
		fail_msg("%s: %s is not in the lexicon", method, row->name);
	same(method, row->name, "required", row->required,
		has(json_object_get(params, "required"), row->name));
	same(method, row->name, "array", row->array, strcmp(text(param, "type"), "array") == 0);
	if (row->array) {
		same(method, row->name, "values", RK_PARAM_ITEMS_MOST,
			number(param, "maxLength", -1));
		param = json_object_get(param, "items");
	}
	if (strcmp(text(param, "type"), kinds[row->kind].type) != 0 ||
		strcmp(text(param, "format"), kinds[row->kind].format) != 0)
		fail_msg("%s %s: is a %s of format \"%s\" in the lexicon", method, row->name,
			text(param, "type"), text(param, "format"));
	if (row->kind == RK_PARAM_COLLECTION)
		collections_named(method, param);
	if (row->kind == RK_PARAM_TEXT || row->kind == RK_PARAM_REF) {
		same(method, row->name, "the least length", row->least,
			number(param, "minLength", 0));
		same(method, row->name, "the most length", row->most,
			number(param, "maxLength", -1));
	}
	if (row->kind == RK_PARAM_INTEGER) {
		same(method, row->name, "the least", row->least,
			number(param, "minimum", INT32_MIN));
		same(method, row->name, "the most", row->most, number(param, "maximum", INT32_MAX));
		same(method, row->name, "the default", row->otherwise, number(param, "default", 0));
	}
}

static void methods_agree(void **state)
{
	for (size_t i = 0; i < rk_xrpc_method_count(); i++) {
		const struct rk_method *method = &rk_methods[i];
		const char *name = method->row.nsid + strlen("computer.aesthetic.");
		char path[128];
		json_t *file, *main_def, *params;
		size_t count = 0;

		snprintf(path, sizeof(path), "%s", name);
		*strchr(path, '.') = '/';
		file = file_read(path);
		assert_string_equal(text(file, "id"), method->row.nsid);
		main_def = json_object_get(json_object_get(file, "defs"), "main");
		assert_string_equal(
			text(main_def, "type"), method->row.post ? "procedure" : "query");
		assert_string_equal(
			text(json_object_get(main_def, "output"), "encoding"), "application/json");
		params = json_object_get(main_def, "parameters");
		for (const struct rk_param_row *row = method->params; row && row->name;
			row++, count++)
			param_agrees(method->row.nsid, row, params);
		/* What the administrator's methods take is in their lexicons only, for now. */
		if (method->run)
			same(method->row.nsid, "", "the number of parameters", (json_int_t)count,
				(json_int_t)json_object_size(
					json_object_get(params, "properties")));
		json_decref(file);
	}
}

static void every_lexicon_has_a_row(void **state)
{
	char path[1100];
	DIR *dir;
	size_t count = 0;

	snprintf(path, sizeof(path), "%s/refkey", folder);
	dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		char *dot = strstr(entry->d_name, ".json"), nsid[400];

		if (!dot || strcmp(entry->d_name, "defs.json") == 0)
			continue;
		snprintf(nsid, sizeof(nsid), RK_XRPC_GROUP "%.*s", (int)(dot - entry->d_name),
			entry->d_name);
		if (!rk_method_find(rk_slice_str(nsid)))
			fail_msg("%s has a lexicon and no row", nsid);
		count++;
	}
	closedir(dir);
	assert_int_equal(count, rk_xrpc_method_count());
}

static const char *const field_types[] = {
	[RK_FIELD_STRING] = "string",
	[RK_FIELD_DATETIME] = "string",
	[RK_FIELD_URI] = "string",
	[RK_FIELD_BLOB] = "blob",
};

/* The collections' table and the records' lexicons. A ref is required of writers, tolerated when absent. */
static void records_agree(void **state)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		const struct rk_collection *row = &rk_collections[i];
		json_t *file = file_read(row->noun), *record, *properties, *main_def;
		size_t count = 0;

		assert_string_equal(text(file, "id"), row->nsid);
		main_def = json_object_get(json_object_get(file, "defs"), "main");
		assert_string_equal(text(main_def, "type"), "record");
		assert_string_equal(text(main_def, "key"), "tid");
		record = json_object_get(main_def, "record");
		properties = json_object_get(record, "properties");
		for (const struct rk_field *field = row->fields; field->name; field++, count++) {
			const json_t *property = json_object_get(properties, field->name);
			const char *format = text(property, "format");
			bool blob = field->kind == RK_FIELD_BLOB;

			assert_string_equal(text(property, "type"), field_types[field->kind]);
			assert_int_equal(
				strcmp(format, "datetime") == 0, field->kind == RK_FIELD_DATETIME);
			assert_int_equal(strcmp(format, "uri") == 0, field->kind == RK_FIELD_URI);
			same(row->nsid, field->name, "the most", field->most,
				number(property, blob ? "maxSize" : "maxLength", 0));
			same(row->nsid, field->name, "required",
				field->required || field->role == RK_ROLE_REF,
				has(json_object_get(record, "required"), field->name));
		}
		same(row->nsid, "", "the number of fields", (json_int_t)count,
			(json_int_t)json_object_size(properties));
		json_decref(file);
	}
}

static void a_repo_has_no_other_status(void **state)
{
	json_t *file = file_read("refkey/defs");
	json_t *repo = json_object_get(json_object_get(file, "defs"), "repoStatus");
	json_t *status = json_object_get(json_object_get(repo, "properties"), "status");
	json_t *known = json_object_get(status, "knownValues");

	for (int i = RK_ACCOUNT_ACTIVE + 1; i < RK_ACCOUNT_COUNT; i++)
		assert_true(has(known, rk_account_name((enum rk_account)i)));
	assert_true(has(known, RK_REPO_STATUS_UNREADABLE));
	assert_int_equal(json_array_size(known), RK_ACCOUNT_COUNT);
	json_decref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_agree),
		cmocka_unit_test(every_lexicon_has_a_row),
		cmocka_unit_test(a_repo_has_no_other_status),
		cmocka_unit_test(records_agree),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
