/* See event.h. */
#include "cli/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/line.h"
#include "base/shown.h"
#include "cli/command.h"

enum { SHOWN_MOST = 480 }; /* bytes of one text */

static struct rk_slice text_of(const json_t *string)
{
	return rk_slice_make(json_string_value(string), json_string_length(string));
}

static bool is_plain(const json_t *value)
{
	bool plain = true;
	const char *name;
	json_t *each;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return json_string_length(value) <= SHOWN_MOST && rk_shown_is_plain(text_of(value));
	case JSON_ARRAY:
		json_array_foreach(value, i, each) plain = plain && is_plain(each);
		return plain;
	case JSON_OBJECT:
		json_object_foreach((json_t *)value, name, each) plain = plain && is_plain(each);
		return plain;
	default:
		return true;
	}
}

static json_t *shown(json_t *value)
{
	struct rk_buf text = {0};
	struct rk_slice whole;
	const char *name;
	json_t *each, *out;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_STRING:
		whole = text_of(value);
		i = whole.len < SHOWN_MOST ? whole.len : SHOWN_MOST;
		while (i < whole.len && (whole.data[i] & 0xc0) == 0x80)
			i--;
		rk_shown_add(&text, rk_slice_make(whole.data, i));
		rk_buf_add_str(&text, i < whole.len ? "…" : "");
		out = json_string(rk_buf_cstr(&text));
		rk_buf_finish(&text);
		return out;
	case JSON_ARRAY:
		out = json_array();
		json_array_foreach(value, i, each) json_array_append_new(out, shown(each));
		return out;
	case JSON_OBJECT:
		out = json_object();
		json_object_foreach(value, name, each) json_object_set_new(out, name, shown(each));
		return out;
	default:
		return json_incref(value);
	}
}

json_t *rk_event_shown(json_t *event)
{
	json_t *out;

	if (!event || is_plain(event))
		return json_incref(event);
	out = shown(event);
	json_object_set(out, "exact", event);
	return out;
}

static json_t *shown_text(const char *text)
{
	json_t *said = rk_event_said_json(rk_slice_str(text)), *given = shown(said);

	json_decref(said);
	return given;
}

void rk_event_print_shown(FILE *to, const char *text)
{
	json_t *given = shown_text(text);

	fputs(json_string_value(given), to);
	json_decref(given);
}

static void say(const char *text)
{
	struct rk_buf line = {0};

	rk_buf_printf(&line, "refkey: %s\n", text);
	rk_line_write(rk_buf_slice(&line));
	rk_buf_finish(&line);
}

void rk_event_print_failure(const char *text)
{
	json_t *given = shown_text(text);

	say(json_string_value(given));
	json_decref(given);
}

void rk_event_print_error(const json_t *event)
{
	say(rk_event_text(event, "message"));
}

const json_t *rk_event_exact(const json_t *event)
{
	const json_t *exact = json_object_get(event, "exact");

	return exact ? exact : event;
}

json_t *rk_event_copy(const json_t *event)
{
	json_t *copy = json_copy((json_t *)rk_event_exact(event));

	json_object_del(copy, "event");
	json_object_del(copy, "exit");
	return copy;
}

const char *rk_event_text(const json_t *event, const char *name)
{
	const char *text = json_string_value(json_object_get(event, name));

	return text ? text : "";
}

json_int_t rk_event_number(const json_t *event, const char *name)
{
	return json_integer_value(json_object_get(event, name));
}

json_t *rk_event_text_json(struct rk_slice text)
{
	json_t *json = text.len ? json_stringn((const char *)text.data, text.len) : json_null();
	char *copy;

	if (json)
		return json;
	/* A bound may have cut a character. */
	for (size_t cut = 1; !json && cut < 4 && cut < text.len; cut++)
		json = json_stringn((const char *)text.data, text.len - cut);
	if (json)
		return json;
	copy = malloc(text.len);
	for (size_t i = 0; copy && i < text.len; i++)
		copy[i] = text.data[i] < 0x80 ? (char)text.data[i] : '?';
	json = copy ? json_stringn(copy, text.len) : NULL;
	free(copy);
	return json ? json : json_null();
}

json_t *rk_event_said_json(struct rk_slice text)
{
	return text.len ? rk_event_text_json(text) : json_string("");
}

static const char no_account[] = "no ATProto account";

json_t *rk_event_without(struct rk_slice handle, struct rk_slice id, const char *email,
	const char *reason, uint64_t documents)
{
	json_t *without = json_pack("{s:o, s:o, s:o, s:I}", "handle", rk_event_text_json(handle),
		"sub", rk_event_said_json(id), "email", rk_event_text_json(rk_slice_str(email)),
		"count", (json_int_t)documents);

	if (*reason && strcmp(reason, no_account) != 0)
		json_object_set_new(without, "reason", rk_event_text_json(rk_slice_str(reason)));
	return without;
}

const char *rk_event_without_reason(const json_t *without)
{
	const char *reason = rk_event_text(without, "reason");

	return *reason ? reason : no_account;
}

void rk_event_nobody(char text[RK_EVENT_NOBODY], const char *database)
{
	snprintf(text, RK_EVENT_NOBODY,
		"MongoDB: database %.100s has no users: is it the right one (REFKEY_MONGO_DB)?",
		database);
}

json_t *rk_event_error(const char *message)
{
	return json_pack("{s:s, s:o}", "event", "error", "message",
		rk_event_text_json(rk_slice_str(message)));
}

bool rk_event_print_usual(struct rk_progress *progress, const json_t *event)
{
	const char *kind = rk_event_text(event, "event");

	if (strcmp(kind, "progress") == 0) {
		rk_progress_show(progress, (uint64_t)rk_event_number(event, "done"),
			(uint64_t)rk_event_number(event, "total"));
	} else if (strcmp(kind, "waiting") == 0) {
		rk_progress_wait(
			progress, rk_event_number(event, "ms"), rk_event_text(event, "user"));
	} else if (strcmp(kind, "error") == 0) {
		rk_event_print_error(event);
	} else {
		return false;
	}
	return true;
}

bool rk_event_has_summary(const json_t *result)
{
	/* Beside what every result has ("event", "exit"). */
	return json_object_size(result) > 2;
}

void rk_event_print_put_off(const json_t *result)
{
	if (rk_event_number(result, "putOff"))
		printf("Left:    %" JSON_INTEGER_FORMAT
		       ", a limit of the PDS lasts longer than --max-wait; running it again continues.\n",
			rk_event_number(result, "putOff"));
}

void rk_event_print_limited(bool done)
{
	printf("The limit was reached%s.\n", done ? "; running it again continues" : "");
}

void rk_event_print_ended(const json_t *result)
{
	if (json_is_true(json_object_get(result, "stopped")))
		puts("Stopped; running it again continues.");
	if (json_is_true(json_object_get(result, "limited")))
		rk_event_print_limited(!json_is_true(json_object_get(result, "dryRun")));
}

static void list_begin(const struct rk_event_list *list)
{
	printf("{\"%s\":[", list->name);
}

void rk_event_list_add(struct rk_event_list *list, const json_t *item)
{
	if (!list->begun)
		list_begin(list);
	puts(list->begun ? "," : "");
	json_dumpf(item, stdout, JSON_COMPACT);
	list->begun = true;
}

void rk_event_list_end(const struct rk_event_list *list, const json_t *summary)
{
	if (list->begun)
		putchar('\n');
	else
		list_begin(list);
	puts("],");
	fputs("\"summary\":", stdout);
	json_dumpf(summary, stdout, JSON_COMPACT);
	puts("}");
}

int rk_event_exit(int result, bool findings, bool stopped)
{
	switch (result) {
	case 0:
		return findings || stopped ? RK_EXIT_FINDINGS : RK_EXIT_DONE;
	case -ENOENT:
		return RK_EXIT_USAGE;
	case -EHOSTUNREACH:
		return RK_EXIT_UNREACHABLE;
	default:
		return RK_EXIT_FINDINGS;
	}
}
