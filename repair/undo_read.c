/* See undo_read.h. */
#include "repair/undo_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "atproto/data.h"
#include "base/file.h"
#include "base/list.h"
#include "records/document.h"
#include "records/record.h"

/* A record of 1 MB may be six times as long in JSON. */
enum { LINE_MOST = 8 << 20, FILE_MOST = 1 << 30 };

bool rk_undo_encode(struct rk_buf *out, const json_t *record, const struct rk_cid *cid)
{
	struct rk_cid is;

	rk_buf_clear(out);
	if (!rk_data_json_to_cbor(out, record))
		return false;
	rk_cid_compute(&is, RK_CODEC_DAG_CBOR, rk_buf_slice(out));
	return rk_cid_equal(&is, cid);
}

/* A member's text; empty where there is none, and where a NUL would cut it short. */
static struct rk_slice text_of(const json_t *entry, const char *name)
{
	const json_t *value = json_object_get(entry, name);
	struct rk_slice text = {0};

	if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
		text = rk_slice_str(json_string_value(value));
	return text;
}

/* What the record names as its document. */
static int target_read(struct rk_undo_entry *entry, struct rk_slice cbor)
{
	struct rk_arena scratch = {0};
	struct rk_record_read read = {0};
	int r = rk_record_read(
		&read, &scratch, (enum rk_collection_id)entry->collection, entry->rkey, cbor);

	rk_document_id(&entry->target, read.facts.ref, entry->did, entry->collection, entry->rkey);
	rk_arena_finish(&scratch);
	return r == -EINVAL ? 0 : r;
}

/* Texts are the line's. 0, or -EINVAL with what is wrong, or -ENOMEM. */
static int entry_read(struct rk_undo_entry *out, const json_t *line, const char **wrong)
{
	const json_t *record = json_object_get(line, "record");
	int collection = rk_collection_find(text_of(line, "collection"));
	struct rk_buf cbor = {0};
	struct rk_rkey rkey;
	struct rk_did did;
	int r = 0;

	*out = (struct rk_undo_entry){.kind = (const char *)text_of(line, "kind").data};
	*wrong = NULL;
	if (!json_is_object(line) || !json_is_object(record))
		*wrong = "it is no entry of an undo file";
	else if (!rk_did_parse(&did, text_of(line, "did")))
		*wrong = "its did is none";
	else if (collection < 0)
		*wrong = "its collection is none of refkey's";
	else if (!rk_rkey_parse(&rkey, text_of(line, "rkey")))
		*wrong = "its rkey is none";
	else if (!rk_cid_from_text(&out->cid, text_of(line, "cid")))
		*wrong = "its cid is none";
	else if (!rk_undo_encode(&cbor, record, &out->cid))
		*wrong = "its record is not the one of its cid";
	if (rk_buf_failed(&cbor)) {
		r = -ENOMEM;
	} else if (*wrong) {
		r = -EINVAL;
	} else {
		out->did = did.text;
		out->collection = (uint8_t)collection;
		out->rkey = rkey.text;
		out->has_id = rk_oid_parse(&out->id, text_of(line, "ref"));
		r = target_read(out, rk_buf_slice(&cbor));
	}
	rk_buf_finish(&cbor);
	return r;
}

static bool keep(struct rk_arena *arena, struct rk_slice *text)
{
	const char *copy = rk_arena_copy(arena, *text);

	*text = rk_slice_make(copy, text->len);
	return copy != NULL;
}

static int entry_add(struct rk_undo_file *file, struct rk_undo_entry *entry, const json_t *line)
{
	char *record = json_dumps(json_object_get(line, "record"), JSON_COMPACT);
	struct rk_slice kind = rk_slice_str(entry->kind ? entry->kind : "");
	int r = record ? 0 : -ENOMEM;

	if (r == 0)
		r = rk_list_grow(&file->entries, &file->room, file->count, sizeof(*file->entries));
	entry->record = rk_slice_str(record ? record : "");
	if (r == 0 &&
		(!keep(&file->arena, &entry->did) || !keep(&file->arena, &entry->rkey) ||
			!keep(&file->arena, &entry->record) || !keep(&file->arena, &kind)))
		r = -ENOMEM;
	entry->kind = (const char *)kind.data;
	if (r == 0)
		file->entries[file->count++] = *entry;
	free(record);
	return r;
}

static int line_read(
	struct rk_undo_file *file, char error[256], const char *text, size_t len, size_t number)
{
	bool whole = text[len - 1] == '\n';
	json_t *line = len > LINE_MOST
		? NULL
		: json_loadb(text, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	struct rk_undo_entry entry;
	const char *wrong;
	int r = 0;

	if (!line && !whole) {
		file->torn = number;
		return 0;
	}
	r = entry_read(&entry, line, &wrong);
	if (r == 0) {
		entry.line = number;
		r = entry_add(file, &entry, line);
	} else if (r == -EINVAL) {
		snprintf(error, 256, "line %zu: %s", number, wrong);
	}
	json_decref(line);
	return r;
}

static FILE *file_open(const char *path, int *r)
{
	int fd = rk_file_open(path, FILE_MOST);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	*r = fd < 0 ? fd : file ? 0 : -ENOMEM;
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

int rk_undo_read(struct rk_undo_file *out, const char *path, char error[256])
{
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t len;
	FILE *file;
	int r;

	*out = (struct rk_undo_file){0};
	error[0] = '\0';
	file = file_open(path, &r);
	while (r == 0 && (len = getline(&line, &room, file)) > 0)
		r = line_read(out, error, line, (size_t)len, ++number);
	if (r == 0 && ferror(file))
		r = -EIO;
	if (r == 0 && number == 0) {
		snprintf(error, 256, "it is empty: nothing was deleted by it");
		r = -EINVAL;
	}
	if (r && !error[0])
		snprintf(error, 256, "%s",
			r == -EINVAL          ? "it is no file"
				: r == -EFBIG ? "it is too large for one"
					      : strerror(-r));
	free(line);
	if (file)
		fclose(file);
	return r;
}

void rk_undo_file_finish(struct rk_undo_file *file)
{
	rk_arena_finish(&file->arena);
	free(file->entries);
	*file = (struct rk_undo_file){0};
}
