/* What `refkey audit` prints for people. */
#include <ctype.h>
#include <stdio.h>

#include "cli/audit.h"
#include "cli/event.h"

enum { SHOWN_MOST = 20 }; /* ids or keys on a line */

void rk_audit_counts_add(json_t *sum, const json_t *counts)
{
	const char *nsid, *name;
	json_t *of, *value;

	json_object_foreach((json_t *)counts, nsid, of)
	{
		json_t *to = json_object_get(sum, nsid);

		if (!to) {
			to = json_object();
			json_object_set_new(sum, nsid, to);
		}
		json_object_foreach(of, name, value)
		{
			const json_t *so_far = json_object_get(to, name);
			json_int_t add = json_integer_value(value);

			if (json_is_integer(value))
				json_object_set_new(
					to, name, json_integer(json_integer_value(so_far) + add));
			else if (!so_far)
				json_object_set_new(to, name, json_null());
		}
	}
}

static json_int_t count_of(const json_t *counts, const char *name)
{
	return json_integer_value(json_object_get(counts, name));
}

/* Lines that stand only where there is something. */
static void line(const json_t *counts, const char *name, const char *text)
{
	json_int_t count = count_of(counts, name);

	if (count)
		printf("  ⚠️  %s: %" JSON_INTEGER_FORMAT "\n", text, count);
}

/* "(IDs: …)" of documents, "(rkeys: …)" of records, each with what else is known of it. */
static void print_names(const json_t *findings, const char *kind, const char *nsid, bool documents)
{
	const char *orphaned = rk_audit_kind_rows[RK_AUDIT_ORPHANED].name; /* the kind says it */
	const char *name = documents ? "ref" : "rkey";
	size_t i, shown = 0, all = 0;
	const json_t *finding;

	json_array_foreach(findings, i, finding)
	{
		const char *text = json_string_value(json_object_get(finding, name));
		const char *reason = rk_event_text(finding, "reason");

		if (strcmp(json_string_value(json_object_get(finding, "kind")), kind) != 0 ||
			strcmp(json_string_value(json_object_get(finding, "collection")), nsid) !=
				0 ||
			!text)
			continue;
		if (all++ >= SHOWN_MOST)
			continue;
		printf("%s%s", shown++ ? ", " : documents ? " (IDs: " : " (rkeys: ", text);
		if (*reason && strcmp(kind, orphaned) != 0)
			printf(": %s", reason);
	}
	if (all > shown)
		printf(" and %zu more", all - shown);
	if (shown)
		putchar(')');
}

static void print_finding(const struct rk_collection *collection, enum rk_audit_kind kind,
	const json_t *counts, const json_t *findings)
{
	const struct rk_audit_kind_row *row = &rk_audit_kind_rows[kind];
	json_int_t count = count_of(counts, row->name);
	bool document = row->side == RK_AUDIT_OF_DOCUMENT;
	const char *plural = count == 1 ? "" : "s", *text = count == 1 ? row->one : row->many;

	if (count == 0)
		return;
	printf("  - %" JSON_INTEGER_FORMAT " ", count);
	if (document)
		printf("%s%s %s", collection->noun, plural, text);
	else if (kind == RK_AUDIT_ORPHANED)
		printf("orphaned ATProto record%s", plural);
	else
		printf("ATProto record%s %s", plural, text);
	print_names(findings, row->name, collection->nsid, document);
	putchar('\n');
}

static void print_documents(const struct rk_collection *collection, const json_t *counts)
{
	printf("MongoDB %s: %" JSON_INTEGER_FORMAT "\n"
	       "  ✅ Synced to ATProto: %" JSON_INTEGER_FORMAT "\n"
	       "  ⚠️  Not synced: %" JSON_INTEGER_FORMAT "\n"
	       "  🗑️  Soft deleted: %" JSON_INTEGER_FORMAT "\n",
		collection->documents, count_of(counts, "documents"), count_of(counts, "synced"),
		count_of(counts, "notSynced"), count_of(counts, "softDeleted"));
	line(counts, "dangling", "Dangling (the record is not there)");
	putchar('\n');
}

static void print_records(const struct rk_collection *collection, const json_t *counts,
	const struct rk_audit_title *of)
{
	const char *unread = of->unread;

	if (unread) {
		printf("ATProto %s: not read: %s\n\n", collection->documents, unread);
		return;
	}
	printf("ATProto %s: %" JSON_INTEGER_FORMAT "\n"
	       "  ✅ Matched in MongoDB: %" JSON_INTEGER_FORMAT "\n"
	       "  ⚠️  Orphaned (MongoDB deleted): %" JSON_INTEGER_FORMAT "\n",
		collection->documents, count_of(counts, "records"), count_of(counts, "matched"),
		count_of(counts, "orphaned"));
	if (of->unread_users)
		printf("  ⚠️  Not counted: %" JSON_INTEGER_FORMAT
		       " user%s whose repo could not be read\n",
			of->unread_users, of->unread_users == 1 ? "" : "s");
	line(counts, "unlinked", "Unlinked (the document does not name it)");
	line(counts, "duplicates", "Duplicates");
	line(counts, "conflicts", "Conflicts (somebody else's document)");
	line(counts, "invalid", "Invalid");
	line(counts, "absent", "Without a document");
	line(counts, "forgotten", "Of a forgotten user");
	if (count_of(counts, "indexUnknown"))
		printf("  ⏳ Not looked up by the index yet: %" JSON_INTEGER_FORMAT "\n",
			count_of(counts, "indexUnknown"));
	putchar('\n');
}

static bool is_found(const json_t *counts)
{
	for (int kind = 0; kind < RK_AUDIT_KIND_COUNT; kind++) {
		if (count_of(counts, rk_audit_kind_rows[kind].name) > 0)
			return true;
	}
	return false;
}

static bool is_empty(const json_t *counts)
{
	return !is_found(counts) && count_of(counts, "documents") == 0 &&
		count_of(counts, "softDeleted") == 0 && count_of(counts, "records") == 0;
}

static void print_collection(const struct rk_audit_title *title,
	const struct rk_collection *collection, const json_t *counts, const json_t *findings,
	bool index_only)
{
	printf("🔍 %c%s Sync Audit for %s\n\n", toupper((unsigned char)collection->noun[0]),
		collection->noun + 1, title->text);
	if (!index_only)
		print_documents(collection, counts);
	else
		line(counts, "dangling", "Dangling (the record is not there)");
	print_records(collection, counts, title);
	if (!is_found(counts))
		return;
	puts("Issues:");
	for (int kind = 0; kind < RK_AUDIT_KIND_COUNT; kind++)
		print_finding(collection, (enum rk_audit_kind)kind, counts, findings);
	putchar('\n');
}

void rk_audit_print(const struct rk_audit_title *title, const json_t *counts,
	const json_t *findings, bool index_only, bool named)
{
	bool nothing = true;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		nothing = nothing && is_empty(json_object_get(counts, rk_collections[i].nsid));
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		const json_t *of = json_object_get(counts, rk_collections[i].nsid);

		if (!is_empty(of) || title->unread || title->unread_users || (nothing && named))
			print_collection(title, &rk_collections[i], of, findings, index_only);
	}
}

void rk_audit_print_users(const json_t *result)
{
	json_int_t users = rk_event_number(result, "audited"),
		   unread = rk_event_number(result, "unread");

	if (rk_event_number(result, "users") == 0) {
		puts("Nobody to audit.");
		return;
	}
	printf("Audited: %" JSON_INTEGER_FORMAT " user%s, %" JSON_INTEGER_FORMAT " with findings",
		users, users == 1 ? "" : "s", rk_event_number(result, "withFindings"));
	if (unread)
		printf(", %" JSON_INTEGER_FORMAT " whose repo could not be read", unread);
	puts(".");
}

void rk_audit_print_hint(const json_t *result, const json_t *sums)
{
	json_int_t differing = 0;
	const char *nsid;
	json_t *counts;

	json_object_foreach((json_t *)sums, nsid, counts)
	{
		for (int kind = 0; kind < RK_AUDIT_KIND_COUNT; kind++) {
			if (rk_audit_kind_rows[kind].side == RK_AUDIT_OF_INDEX)
				differing += count_of(counts, rk_audit_kind_rows[kind].name);
		}
	}
	if (differing && json_is_false(json_object_get(result, "serving")))
		puts("The index is as the last `refkey serve` left it, and none is running: start it, and it takes in what it lacks.");
}
