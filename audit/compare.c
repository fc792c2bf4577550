/* See compare.h. */
#include "audit/compare.h"

#include <errno.h>
#include <stdlib.h>

#include "mirror/decide.h"

#define ROW(id, name, side, one, many) [RK_AUDIT_##id] = {name, one, many, RK_AUDIT_OF_##side},
const struct rk_audit_kind_row rk_audit_kind_rows[RK_AUDIT_KIND_COUNT] = {RK_AUDIT_KINDS(ROW)};
#undef ROW

static int document_order(const void *a, const void *b)
{
	const struct rk_audit_document *left = a, *right = b;

	if (left->foreign != right->foreign)
		return left->foreign ? 1 : -1;
	return memcmp(&left->id, &right->id, sizeof(left->id));
}

static int record_order(const void *a, const void *b)
{
	return rk_slice_compare(((const struct rk_audit_record *)a)->rkey,
		((const struct rk_audit_record *)b)->rkey);
}

void rk_audit_sort(struct rk_audit_collection *c)
{
	if (c->document_count)
		qsort(c->documents, c->document_count, sizeof(*c->documents), document_order);
	if (c->record_count)
		qsort(c->records, c->record_count, sizeof(*c->records), record_order);
}

size_t rk_audit_document_find(const struct rk_audit_collection *c, const struct rk_oid *id)
{
	const struct rk_audit_document key = {.id = *id};
	const struct rk_audit_document *found = c->document_count
		? bsearch(&key, c->documents, c->document_count, sizeof(key), document_order)
		: NULL;

	return found ? (size_t)(found - c->documents) : RK_AUDIT_NONE;
}

size_t rk_audit_record_find(const struct rk_audit_collection *c, struct rk_slice rkey)
{
	const struct rk_audit_record key = {.rkey = rkey};
	const struct rk_audit_record *found = c->record_count
		? bsearch(&key, c->records, c->record_count, sizeof(key), record_order)
		: NULL;

	return found ? (size_t)(found - c->records) : RK_AUDIT_NONE;
}

static void record_is(struct rk_audit_record *record, enum rk_audit_kind kind, const char *reason)
{
	record->kind = kind;
	record->reason = reason;
}

/* A record's document: the one that its ref (or derived _id) names, else, for one without a ref of its
 * own, one that names it, and of several a living one. */
static void documents_join(struct rk_audit_collection *c)
{
	for (size_t i = 0; i < c->record_count; i++) {
		struct rk_audit_record *record = &c->records[i];

		record->kind = RK_AUDIT_FINE;
		record->reason = "";
		record->document = rk_audit_document_find(c, &record->target);
	}
	for (size_t i = 0; i < c->document_count; i++) {
		struct rk_audit_document *document = &c->documents[i];
		struct rk_audit_record *named;
		size_t at;

		document->kind = RK_AUDIT_FINE;
		document->reason = "";
		document->record = RK_AUDIT_NONE;
		if (document->rkey.len == 0 || document->foreign)
			continue;
		at = rk_audit_record_find(c, document->rkey);
		named = at == RK_AUDIT_NONE ? NULL : &c->records[at];
		if (!named || !named->derived || named->foreign)
			continue;
		if (named->document == RK_AUDIT_NONE ||
			(c->documents[named->document].gone &&
				memcmp(&c->documents[named->document].id, &named->target,
					sizeof(named->target)) != 0))
			named->document = i;
	}
}

/* A record without a document of its owner's. */
static void stray(struct rk_audit_record *record)
{
	if (record->foreign)
		record_is(record, RK_AUDIT_CONFLICT, "the document is somebody else's");
	else if (record->invalid)
		record_is(record, RK_AUDIT_INVALID, record->invalid);
	else if (record->code_taken)
		record_is(record, RK_AUDIT_CONFLICT, RK_CODE_TAKEN);
	else if (record->known)
		record_is(record, RK_AUDIT_ORPHANED, "the document was removed");
	else
		record_is(record, RK_AUDIT_ABSENT, "");
}

/* Whatever else they are, nothing else will be done about them. */
static void records_forget(struct rk_audit_collection *c)
{
	for (size_t i = 0; c->forgotten && i < c->record_count; i++)
		record_is(&c->records[i], RK_AUDIT_FORGOTTEN, "");
}

/* The records of each document, first those that are named, then by age. */
static void documents_judge(struct rk_audit_collection *c)
{
	/* The one that its document names. */
	for (size_t i = 0; i < c->record_count; i++) {
		struct rk_audit_record *record = &c->records[i];
		struct rk_audit_document *document;

		if (record->document == RK_AUDIT_NONE)
			continue;
		document = &c->documents[record->document];
		if (!document->gone && rk_slice_equal(document->rkey, record->rkey))
			document->record = i;
	}
	/* Else the oldest that a document could be linked to. */
	for (size_t i = 0; i < c->record_count; i++) {
		struct rk_audit_record *record = &c->records[i];
		struct rk_audit_document *document;

		if (record->document == RK_AUDIT_NONE) {
			stray(record);
			continue;
		}
		document = &c->documents[record->document];
		if (document->gone) {
			record_is(record, RK_AUDIT_ORPHANED, "the document is marked");
		} else if (rk_slice_equal(document->rkey, record->rkey)) {
			if (record->invalid)
				record_is(record, RK_AUDIT_INVALID, record->invalid);
			else if (record->code_taken)
				record_is(record, RK_AUDIT_CONFLICT, RK_CODE_TAKEN);
		} else if (record->invalid) {
			record_is(record, RK_AUDIT_INVALID, record->invalid);
		} else if (document->record != RK_AUDIT_NONE) {
			record_is(record, RK_AUDIT_DUPLICATE, "");
		} else {
			document->record = i;
			record_is(record, RK_AUDIT_UNLINKED,
				rk_audit_record_find(c, document->rkey) == RK_AUDIT_NONE
					? ""
					: "the document names another's record");
		}
	}
}

void rk_audit_compare(struct rk_audit_collection *c)
{
	documents_join(c);
	documents_judge(c);
	records_forget(c);
	c->living = c->synced = c->gone = c->vanished = c->matched = 0;
	memset(c->counts, 0, sizeof(c->counts));
	for (size_t i = 0; i < c->document_count; i++) {
		struct rk_audit_document *document = &c->documents[i];
		bool held = document->record != RK_AUDIT_NONE &&
			rk_slice_equal(c->records[document->record].rkey, document->rkey);

		if (document->gone) {
			c->gone++;
			continue;
		}
		c->living++;
		if (held) {
			c->synced++;
			c->matched++;
			continue;
		}
		document->kind = document->rkey.len ? RK_AUDIT_DANGLING : RK_AUDIT_NOT_SYNCED;
		if (document->flaw)
			document->reason = document->flaw;
		else if (c->forgotten && document->rkey.len == 0)
			document->reason = "forgotten: never published again";
		else if (document->vanished)
			document->reason = "vanished";
		else if (document->rkey.len &&
			rk_audit_record_find(c, document->rkey) != RK_AUDIT_NONE)
			document->reason = "the record is another document's";
		c->vanished += document->kind == RK_AUDIT_DANGLING && document->vanished;
		c->counts[document->kind]++;
	}
	for (size_t i = 0; i < c->record_count; i++) {
		if (c->records[i].kind != RK_AUDIT_FINE)
			c->counts[c->records[i].kind]++;
	}
}

int rk_audit_finding_add(struct rk_audit_collection *c, struct rk_arena *arena,
	const struct rk_audit_finding *finding)
{
	/* The room is a power of two. */
	if ((c->finding_count & (c->finding_count - 1)) == 0) {
		size_t room = c->finding_count ? c->finding_count * 2 : 1;
		struct rk_audit_finding *list = rk_arena_calloc(arena, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		if (c->finding_count)
			memcpy(list, c->findings, c->finding_count * sizeof(*list));
		c->findings = list;
	}
	c->findings[c->finding_count++] = *finding;
	return 0;
}

static int oid_text(struct rk_slice *out, struct rk_arena *arena, const struct rk_oid *id)
{
	static const char digits[] = "0123456789abcdef";
	char *text = rk_arena_alloc(arena, 2 * sizeof(id->bytes));

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(id->bytes); i++) {
		text[2 * i] = digits[id->bytes[i] >> 4];
		text[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	*out = rk_slice_make(text, 2 * sizeof(id->bytes));
	return 0;
}

int rk_audit_findings(struct rk_audit_collection *c, struct rk_arena *arena)
{
	int r = 0;

	c->finding_count = 0;
	for (int kind = 0; r == 0 && kind < RK_AUDIT_KIND_COUNT; kind++) {
		for (size_t i = 0; r == 0 && i < c->document_count; i++) {
			const struct rk_audit_document *document = &c->documents[i];
			struct rk_audit_finding finding = {
				.kind = document->kind,
				.ref = document->name,
				.rkey = document->rkey,
				.reason = document->reason,
			};

			if ((int)document->kind != kind)
				continue;
			if (!document->foreign)
				r = oid_text(&finding.ref, arena, &document->id);
			if (r == 0)
				r = rk_audit_finding_add(c, arena, &finding);
		}
		for (size_t i = 0; r == 0 && i < c->record_count; i++) {
			const struct rk_audit_record *record = &c->records[i];
			struct rk_audit_finding finding = {
				.kind = record->kind,
				.ref = record->ref,
				.rkey = record->rkey,
				.reason = record->reason,
			};

			if ((int)record->kind != kind)
				continue;
			/* Without a ref of its own: the document that names it. */
			if (record->document != RK_AUDIT_NONE)
				r = oid_text(
					&finding.ref, arena, &c->documents[record->document].id);
			if (r == 0)
				r = rk_audit_finding_add(c, arena, &finding);
		}
	}
	return r;
}

uint64_t rk_audit_found(const struct rk_audit_person *person)
{
	uint64_t found = person->unread != NULL;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		found += person->collections[i].finding_count;
	return found;
}
