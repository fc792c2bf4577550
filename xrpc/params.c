/* See params.h. Each parameter is decoded into the scratch memory, then judged by its row. */
#include "xrpc/params.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/encode.h"
#include "records/collections.h"
#include "records/record.h"

enum { NAME_SHOWN = 48, DIGITS_MOST = 9 };

static bool refuse(struct rk_params *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(struct rk_params *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->error, sizeof(p->error), format, args);
	va_end(args);
	return false;
}

void rk_param_accepted(char out[RK_PARAM_ACCEPTED_MOST], const struct rk_param_row *row)
{
	int at;

	switch (row->kind) {
	case RK_PARAM_TEXT:
	case RK_PARAM_REF:
		snprintf(out, RK_PARAM_ACCEPTED_MOST, "%d to %d characters", row->least, row->most);
		break;
	case RK_PARAM_INTEGER:
		snprintf(out, RK_PARAM_ACCEPTED_MOST, "an integer from %d to %d", row->least,
			row->most);
		break;
	case RK_PARAM_BOOLEAN:
		snprintf(out, RK_PARAM_ACCEPTED_MOST, "true or false");
		break;
	case RK_PARAM_DATETIME:
		snprintf(
			out, RK_PARAM_ACCEPTED_MOST, "a datetime such as 2026-01-02T03:04:05.678Z");
		break;
	case RK_PARAM_REPO:
		snprintf(out, RK_PARAM_ACCEPTED_MOST, "a DID or a handle");
		break;
	case RK_PARAM_RKEY:
		snprintf(out, RK_PARAM_ACCEPTED_MOST, "a record key");
		break;
	case RK_PARAM_COLLECTION:
	case RK_PARAM_URI:
		at = snprintf(out, RK_PARAM_ACCEPTED_MOST,
			row->kind == RK_PARAM_URI
				? "at://account/collection/rkey with a collection of "
				: "one of ");
		for (int i = 0; i < RK_COLLECTION_COUNT && at < RK_PARAM_ACCEPTED_MOST; i++)
			at += snprintf(out + at, (size_t)(RK_PARAM_ACCEPTED_MOST - at), "%s%s",
				i ? ", " : "", rk_collections[i].nsid);
		break;
	}
}

static bool refuse_value(struct rk_params *p, const struct rk_param_row *row, const char *what)
{
	char accepted[RK_PARAM_ACCEPTED_MOST];

	rk_param_accepted(accepted, row);
	return refuse(p, "%s %s %s", row->name, what, accepted);
}

static bool refuse_unknown(
	struct rk_params *p, const struct rk_param_row *rows, struct rk_slice name)
{
	char shown[NAME_SHOWN + 1];
	size_t len = name.len < NAME_SHOWN ? name.len : NAME_SHOWN, at;

	for (size_t i = 0; i < len; i++)
		shown[i] = name.data[i] > 0x20 && name.data[i] < 0x7f ? (char)name.data[i] : '?';
	shown[len] = '\0';
	if (!rows || !rows->name)
		return refuse(p, "%s is not a parameter of this method: it takes none", shown);
	refuse(p, "%s is not a parameter of this method: it takes", shown);
	at = strlen(p->error);
	for (size_t i = 0; rows[i].name; i++)
		at += (size_t)snprintf(
			p->error + at, sizeof(p->error) - at, "%s%s", i ? ", " : " ", rows[i].name);
	return false;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into the scratch memory; NULL, or what is wrong with it. */
static const char *decode(struct rk_params *p, struct rk_slice *out, struct rk_slice in)
{
	uint8_t *to = p->scratch + p->used;
	size_t len = 0;

	if (in.len > sizeof(p->scratch) - p->used)
		return "is too long";
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = i + 2 < in.len ? hex_value(in.data[i + 1]) : -1;
			int low = high >= 0 ? hex_value(in.data[i + 2]) : -1;

			if (low < 0)
				return "has a percent sign without two hexadecimal digits";
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		if (c == 0)
			return "has a NUL";
		to[len++] = c;
	}
	*out = rk_slice_make(to, len);
	p->used += len;
	return rk_utf8_valid(*out) ? NULL : "is not UTF-8";
}

/* Plain decimal: no sign but '-', no leading zeros. */
static bool integer_parse(int64_t *out, struct rk_slice in)
{
	bool negative = in.len > 0 && in.data[0] == '-';
	int64_t value = 0;

	if (negative)
		in = rk_slice_sub(in, 1, in.len - 1);
	if (in.len == 0 || in.len > DIGITS_MOST || (in.len > 1 && in.data[0] == '0'))
		return false;
	for (size_t i = 0; i < in.len; i++) {
		if (in.data[i] < '0' || in.data[i] > '9')
			return false;
		value = value * 10 + (in.data[i] - '0');
	}
	*out = negative ? -value : value;
	return true;
}

static bool text_fits(const struct rk_param_row *row, struct rk_slice text)
{
	return text.len >= (size_t)row->least && text.len <= (size_t)row->most;
}

static bool ref_parse(struct rk_params *p, struct rk_param *value)
{
	uint8_t *to = p->scratch + p->used;
	uint8_t ref[RK_REF_MOST];
	size_t len = value->text.len;

	/* What is decoded is never longer than the query, so that as much again is free. */
	if (len > sizeof(p->scratch) - p->used || !rk_ref_normalize(ref, value->text))
		return false;
	memcpy(to, ref, len);
	p->used += len;
	value->ref = rk_slice_make(to, len);
	return true;
}

static bool collection_parse(struct rk_param *value, struct rk_slice nsid)
{
	value->collection = rk_collection_find(nsid);
	return value->collection >= 0;
}

static bool value_parse(struct rk_params *p, struct rk_param *value, const struct rk_param_row *row)
{
	struct rk_slice text = value->text;
	struct rk_rkey rkey;

	switch (row->kind) {
	case RK_PARAM_TEXT:
		return text_fits(row, text);
	case RK_PARAM_INTEGER:
		return integer_parse(&value->number, text) && value->number >= row->least &&
			value->number <= row->most;
	case RK_PARAM_BOOLEAN:
		value->number = rk_slice_equal_str(text, "true");
		return value->number || rk_slice_equal_str(text, "false");
	case RK_PARAM_DATETIME:
		return rk_datetime_parse(&value->number, text);
	case RK_PARAM_REF:
		return text_fits(row, text) && ref_parse(p, value);
	case RK_PARAM_REPO:
		return rk_at_identifier_parse(&value->account, text);
	case RK_PARAM_COLLECTION:
		return collection_parse(value, text);
	case RK_PARAM_RKEY:
		return rk_rkey_parse(&rkey, text);
	case RK_PARAM_URI:
		return rk_at_uri_parse(&value->uri, text) && value->uri.rkey.len > 0 &&
			collection_parse(value, value->uri.collection);
	}
	return false;
}

static bool pair_parse(struct rk_params *p, const struct rk_param_row *rows, struct rk_slice pair)
{
	const uint8_t *equals = memchr(pair.data, '=', pair.len);
	size_t split = equals ? (size_t)(equals - pair.data) : pair.len;
	struct rk_slice name, raw = {0};
	const struct rk_param_row *row = rows;
	struct rk_param *value;
	const char *wrong;

	if (equals)
		raw = rk_slice_sub(pair, split + 1, pair.len - split - 1);
	wrong = decode(p, &name, rk_slice_sub(pair, 0, split));
	if (wrong)
		return refuse(p, "a parameter's name %s", wrong);
	while (row && row->name && !rk_slice_equal_str(name, row->name))
		row++;
	if (!row || !row->name)
		return refuse_unknown(p, rows, name);

	value = &p->values[row - rows];
	if (value->given && !row->array)
		return refuse(p, "%s is given more than once", row->name);
	value->given = true;
	if (row->array) {
		if (p->item_count == RK_PARAM_ITEMS_MOST)
			return refuse(p, "%s: more than %d values in all", row->name,
				RK_PARAM_ITEMS_MOST);
		value = &p->items[p->item_count++];
		*value = (struct rk_param){.row = row, .given = true, .collection = -1};
	}
	wrong = decode(p, &value->text, raw);
	if (wrong)
		return refuse(p, "%s %s", row->name, wrong);
	return value_parse(p, value, row) || refuse_value(p, row, "must be");
}

bool rk_params_parse(struct rk_params *out, const struct rk_param_row *rows, struct rk_slice query)
{
	size_t count = 0;

	out->item_count = 0;
	out->used = 0;
	out->error[0] = '\0';
	for (; rows && rows[count].name; count++)
		out->values[count] =
			(struct rk_param){.number = rows[count].otherwise, .collection = -1};
	if (query.len > RK_QUERY_MOST)
		return refuse(out, "the query is longer than %d bytes", RK_QUERY_MOST);
	while (query.len) {
		const uint8_t *end = memchr(query.data, '&', query.len);
		size_t len = end ? (size_t)(end - query.data) : query.len;
		size_t step = end ? len + 1 : len;

		if (len && !pair_parse(out, rows, rk_slice_sub(query, 0, len)))
			return false;
		query = rk_slice_sub(query, step, query.len - step);
	}
	for (size_t i = 0; i < count; i++) {
		if (rows[i].required && !out->values[i].given)
			return refuse_value(out, &rows[i], "is required:");
	}
	return true;
}
