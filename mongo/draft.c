/* See draft.h. */
#include "mongo/draft.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"

/* Milliseconds of years 0 to 9999, which a datetime can tell. */
#define WHEN_LEAST INT64_C(-62167219200000)
#define WHEN_MOST  INT64_C(253402300799999)

void rk_draft_projection(bson_t *out, const struct rk_collection *collection)
{
	rk_document_projection(out, collection);
	for (const struct rk_field *field = collection->fields;
		field < collection->fields + RK_FIELDS_MOST && field->name; field++) {
		if (field->document && !bson_has_field(out, field->document))
			BSON_APPEND_INT32(out, field->document, 1);
	}
}

/* What a terminal would obey; of U+0080 to U+009F the second byte. */
static bool is_control(struct rk_slice text, size_t at)
{
	uint8_t byte = text.data[at];

	return byte < ' ' || byte == 0x7f ||
		((byte & 0xe0) == 0x80 && at > 0 && text.data[at - 1] == 0xc2);
}

/* What fits of the text, whole characters, spaces for what would break the line. */
static void words_take(char out[RK_DRAFT_WORDS_MOST], struct rk_slice text)
{
	size_t len = text.len < RK_DRAFT_WORDS_MOST ? text.len : RK_DRAFT_WORDS_MOST - 1;

	while (len < text.len && len > 0 && (text.data[len] & 0xc0) == 0x80)
		len--;
	/* Not in the middle of a word, if there is one before it. */
	for (size_t at = len; len < text.len && at > len / 2; at--) {
		if (text.data[at] == ' ') {
			len = at;
			break;
		}
	}
	for (size_t i = 0; i < len; i++) {
		out[i] = is_control(text, i) ? ' ' : (char)text.data[i];
		if (text.data[i] == 0xc2 && i + 1 < len && is_control(text, i + 1))
			out[i] = ' ';
	}
	out[len] = '\0';
}

static bool refuse(struct rk_draft *out, const struct rk_field *field, const char *what)
{
	snprintf(out->reason, sizeof(out->reason), "%s %s", field->document, what);
	return false;
}

static bool text_add(struct rk_draft *out, struct rk_buf *json, const struct rk_field *field,
	const bson_iter_t *iter)
{
	struct rk_slice text;
	uint32_t len;

	if (!BSON_ITER_HOLDS_UTF8(iter))
		return refuse(out, field, "is not a string");
	text = rk_slice_make(bson_iter_utf8(iter, &len), 0);
	text.len = len;
	if (!rk_utf8_valid(text))
		return refuse(out, field, "is not valid UTF-8 (a character is cut?)");
	if (!out->words[0])
		words_take(out->words, text);
	if (field->most && text.len > field->most) {
		snprintf(out->reason, sizeof(out->reason), "%s has %zu bytes, %u are allowed",
			field->document, text.len, (unsigned)field->most);
		return false;
	}
	rk_buf_add_json(json, text);
	return true;
}

static bool when_add(struct rk_draft *out, struct rk_buf *json, const struct rk_field *field,
	const bson_iter_t *iter)
{
	char iso[RK_CLOCK_ISO_SIZE];
	int64_t ms;

	if (!BSON_ITER_HOLDS_DATE_TIME(iter))
		return refuse(out, field, "is not a date");
	ms = bson_iter_date_time(iter);
	if (ms < WHEN_LEAST || ms > WHEN_MOST)
		return refuse(out, field, "is not a date of the years 0 to 9999");
	if (field->role == RK_ROLE_WHEN)
		out->when_ms = ms;
	rk_clock_iso(iso, ms);
	rk_buf_printf(json, "\"%s\"", iso);
	return true;
}

static bool field_add(struct rk_draft *out, struct rk_buf *json, const struct rk_field *field,
	const bson_t *document)
{
	bson_iter_t iter;
	bool here = bson_iter_init_find(&iter, document, field->document) &&
		!BSON_ITER_HOLDS_NULL(&iter) && bson_iter_type(&iter) != BSON_TYPE_UNDEFINED;

	if (!here)
		return field->required ? refuse(out, field, "is missing") : true;
	rk_buf_printf(json, ",\"%s\":", field->name);
	return field->kind == RK_FIELD_DATETIME ? when_add(out, json, field, &iter)
						: text_add(out, json, field, &iter);
}

/* The URL of the image, of which the document has the code; a code that is none is told of by its field. */
static bool image_add(struct rk_draft *out, struct rk_buf *json, const struct rk_field *field,
	const struct rk_collection *collection, const bson_t *document)
{
	const struct rk_field *code = collection->fields;
	struct rk_buf url = {0};
	bson_iter_t iter;
	bool ok;

	while (code->role != RK_ROLE_CODE)
		code++;
	rk_buf_add_str(&url, collection->images);
	if (bson_iter_init_find(&iter, document, code->document) && BSON_ITER_HOLDS_UTF8(&iter)) {
		uint32_t len;
		const char *text = bson_iter_utf8(&iter, &len);

		rk_percent_encode(&url, rk_slice_make(text, len));
	}
	ok = rk_buf_failed(&url) == 0 && url.len < sizeof(out->image);
	if (ok) {
		snprintf(out->image, sizeof(out->image), "%s", rk_buf_cstr(&url));
		rk_buf_printf(json, ",\"%s\":\"%s\"", field->name, out->image);
	}
	rk_buf_finish(&url);
	return ok ? true : refuse(out, code, "is too long");
}

/* Whether the document can be told its key: what is no object has no place for it. */
static bool takes_key(struct rk_draft *out, const bson_t *document)
{
	bson_iter_t iter;

	if (!bson_iter_init_find(&iter, document, "atproto") || BSON_ITER_HOLDS_NULL(&iter) ||
		BSON_ITER_HOLDS_DOCUMENT(&iter))
		return true;
	snprintf(out->reason, sizeof(out->reason), "atproto is not an object");
	return false;
}

bool rk_draft_make(struct rk_draft *out, struct rk_buf *json, const bson_t *document,
	const struct rk_collection *collection, const struct rk_oid *id)
{
	size_t start = json->len;
	bool ok = true;

	*out = (struct rk_draft){0};
	rk_buf_printf(json, "{\"$type\":\"%s\"", collection->nsid);
	for (const struct rk_field *field = collection->fields;
		ok && field < collection->fields + RK_FIELDS_MOST && field->name; field++) {
		if (field->document) {
			ok = field_add(out, json, field, document);
		} else if (field->role == RK_ROLE_REF) {
			rk_buf_printf(json, ",\"%s\":\"", field->name);
			rk_hex_encode(json, rk_slice_make(id->bytes, sizeof(id->bytes)));
			rk_buf_add_byte(json, '"');
		} else if (field->role == RK_ROLE_IMAGE) {
			ok = image_add(out, json, field, collection, document);
		} else if (field->required) {
			snprintf(out->reason, sizeof(out->reason),
				"%s cannot be made of a document", field->name);
			ok = false;
		}
	}
	rk_buf_add_byte(json, '}');
	out->takes_key = takes_key(out, document);
	ok = ok && out->takes_key;
	if (!ok && json->len > start)
		json->len = start;
	return ok;
}
