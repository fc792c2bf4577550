/* Rules of audit/compare: a user's documents and records, told from both ends. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "audit/compare.h"

enum { MOST = 6 };

/* A document is named by one digit, which its _id ends in; rkeys are one letter, by age. */
struct document {
	char id;
	const char *rkey; /* NULL: none */
	bool gone;
	int kind; /* expected */
};
struct record {
	char rkey;
	char ref; /* 0: none that is an ObjectId */
	enum { AS_IS, INVALID = 1, FOREIGN = 2, KNOWN = 4, TAKEN = 8 } flags;
	int kind; /* expected */
};

#define FINE RK_AUDIT_FINE
static const struct {
	const char *rule;
	struct document documents[MOST];
	struct record records[MOST];
} cases[] = {
	{"a pair", {{'1', "a", false, FINE}}, {{'a', '1', AS_IS, FINE}}},
	{"no record", {{'1', NULL, false, RK_AUDIT_NOT_SYNCED}}, {{0}}},
	{"a key for nothing", {{'1', "z", false, RK_AUDIT_DANGLING}}, {{0}}},
	{"marked documents are no finding", {{'1', NULL, true, FINE}, {'2', "z", true, FINE}},
		{{0}}},
	{"a marked document's records are orphans", {{'1', "a", true, FINE}},
		{{'a', '1', AS_IS, RK_AUDIT_ORPHANED}, {'b', '1', AS_IS, RK_AUDIT_ORPHANED}}},
	{"a removed document's record is an orphan", {{0}}, {{'a', '1', KNOWN, RK_AUDIT_ORPHANED}}},
	{"a document that was never seen is absent", {{0}}, {{'a', '1', AS_IS, RK_AUDIT_ABSENT}}},
	{"the named one is kept, though it is the younger", {{'1', "b", false, FINE}},
		{{'a', '1', AS_IS, RK_AUDIT_DUPLICATE}, {'b', '1', AS_IS, FINE},
			{'c', '1', AS_IS, RK_AUDIT_DUPLICATE}}},
	{"of unnamed ones the oldest is kept", {{'1', NULL, false, RK_AUDIT_NOT_SYNCED}},
		{{'a', '1', AS_IS, RK_AUDIT_UNLINKED}, {'b', '1', AS_IS, RK_AUDIT_DUPLICATE}}},
	{"and of those beside a key for nothing", {{'1', "z", false, RK_AUDIT_DANGLING}},
		{{'a', '1', AS_IS, RK_AUDIT_UNLINKED}, {'b', '1', AS_IS, RK_AUDIT_DUPLICATE}}},
	{"an invalid one is never kept", {{'1', NULL, false, RK_AUDIT_NOT_SYNCED}},
		{{'a', '1', INVALID, RK_AUDIT_INVALID}, {'b', '1', AS_IS, RK_AUDIT_UNLINKED}}},
	{"unless it is named; it is matched and invalid", {{'1', "a", false, FINE}},
		{{'a', '1', INVALID, RK_AUDIT_INVALID}, {'b', '1', AS_IS, RK_AUDIT_DUPLICATE}}},
	{"invalid and a duplicate is invalid", {{'1', "a", false, FINE}},
		{{'a', '1', AS_IS, FINE}, {'b', '1', INVALID, RK_AUDIT_INVALID}}},
	{"somebody else's document", {{0}}, {{'a', '1', FOREIGN, RK_AUDIT_CONFLICT}}},
	{"… though the record is invalid", {{0}},
		{{'a', '1', FOREIGN | INVALID, RK_AUDIT_CONFLICT}}},
	{"somebody else's code", {{0}}, {{'a', '1', TAKEN, RK_AUDIT_CONFLICT}}},
	{"… is a conflict beside the link", {{'1', "a", false, FINE}},
		{{'a', '1', TAKEN, RK_AUDIT_CONFLICT}}},
	{"… and nothing beside what is to be mended", {{'1', NULL, false, RK_AUDIT_NOT_SYNCED}},
		{{'a', '1', TAKEN, RK_AUDIT_UNLINKED}, {'b', '1', TAKEN, RK_AUDIT_DUPLICATE}}},
	{"without a ref, by the document that names it", {{'1', "a", false, FINE}},
		{{'a', 0, AS_IS, FINE}}},
	{"without a ref, of two that name it the living",
		{{'1', "a", true, FINE}, {'2', "a", false, FINE}}, {{'a', 0, AS_IS, FINE}}},
	{"without a ref, named by a marked one", {{'1', "a", true, FINE}},
		{{'a', 0, AS_IS, RK_AUDIT_ORPHANED}}},
	{"a record with a ref is nobody else's by name",
		{{'1', "a", false, RK_AUDIT_DANGLING}, {'2', NULL, false, RK_AUDIT_NOT_SYNCED}},
		{{'a', '2', AS_IS, RK_AUDIT_UNLINKED}}},
	{"keys in exchange: neither is a duplicate",
		{{'1', "b", false, RK_AUDIT_DANGLING}, {'2', "a", false, RK_AUDIT_DANGLING}},
		{{'a', '1', AS_IS, RK_AUDIT_UNLINKED}, {'b', '2', AS_IS, RK_AUDIT_UNLINKED}}},
};

static void oid_make(struct rk_oid *out, char digit)
{
	char text[25];

	snprintf(text, sizeof(text), "65e1c0ffee65e1c0ffee65e%c", digit);
	assert_true(rk_oid_parse(out, rk_slice_str(text)));
}

static void fill(struct rk_audit_collection *c, const struct document *documents,
	const struct record *records)
{
	for (int i = 0; i < MOST && documents[i].id; i++) {
		struct rk_audit_document *d = &c->documents[c->document_count++];

		oid_make(&d->id, documents[i].id);
		d->rkey = rk_slice_str(documents[i].rkey);
		d->gone = documents[i].gone;
	}
	for (int i = 0; i < MOST && records[i].rkey; i++) {
		struct rk_audit_record *r = &c->records[c->record_count++];

		r->rkey = rk_slice_make(&records[i].rkey, 1);
		r->derived = !records[i].ref;
		oid_make(&r->target, records[i].ref ? records[i].ref : 'f');
		r->invalid = records[i].flags & INVALID ? "a rule" : NULL;
		r->foreign = records[i].flags & FOREIGN;
		r->known = records[i].flags & KNOWN;
		r->code_taken = records[i].flags & TAKEN;
	}
}

static void tells_by_the_table(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Twice: nothing is left over from the first time. */
		struct rk_audit_document documents[MOST] = {{.foreign = false}};
		struct rk_audit_record records[MOST] = {{.derived = false}};
		struct rk_audit_collection c = {.documents = documents, .records = records};
		uint64_t counts[RK_AUDIT_KIND_COUNT + 1] = {0};
		struct rk_arena arena = {0};

		fill(&c, cases[i].documents, cases[i].records);
		rk_audit_sort(&c);
		rk_audit_compare(&c);
		rk_audit_compare(&c);
		for (size_t k = 0; k < c.document_count; k++) {
			if ((int)documents[k].kind != cases[i].documents[k].kind)
				fail_msg("%s: document %zu is %d", cases[i].rule, k,
					documents[k].kind);
			counts[documents[k].kind]++;
		}
		for (size_t k = 0; k < c.record_count; k++) {
			if ((int)records[k].kind != cases[i].records[k].kind)
				fail_msg("%s: record %zu is %d", cases[i].rule, k, records[k].kind);
			counts[records[k].kind]++;
		}
		assert_memory_equal(c.counts, counts, sizeof(c.counts));
		assert_int_equal(c.living,
			c.synced + c.counts[RK_AUDIT_NOT_SYNCED] + c.counts[RK_AUDIT_DANGLING]);
		assert_int_equal(c.living + c.gone, c.document_count);
		assert_int_equal(c.matched, c.synced);
		assert_int_equal(rk_audit_findings(&c, &arena), 0);
		assert_int_equal(
			c.finding_count, c.document_count + c.record_count - counts[RK_AUDIT_FINE]);
		rk_arena_finish(&arena);
	}
}

/* Whatever they would be else, linked or not; documents are what they are. */
static void all_records_of_who_is_forgotten_are_that(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_audit_document documents[MOST] = {{.foreign = false}};
		struct rk_audit_record records[MOST] = {{.derived = false}};
		struct rk_audit_collection c = {
			.documents = documents, .records = records, .forgotten = true};

		fill(&c, cases[i].documents, cases[i].records);
		rk_audit_sort(&c);
		rk_audit_compare(&c);
		assert_int_equal(c.counts[RK_AUDIT_FORGOTTEN], c.record_count);
		for (size_t k = 0; k < c.document_count; k++) {
			assert_int_equal(documents[k].kind, cases[i].documents[k].kind);
			if (documents[k].kind == RK_AUDIT_NOT_SYNCED)
				assert_string_equal(
					documents[k].reason, "forgotten: never published again");
		}
	}
}

static void names_documents_and_records(void **state)
{
	struct rk_audit_document documents[] = {
		{.rkey = RK_SLICE_LIT("a")}, {.foreign = true, .rkey = RK_SLICE_LIT("b")}};
	struct rk_audit_record records[] = {{.rkey = RK_SLICE_LIT("a"), .derived = true}};
	struct rk_audit_collection c = {
		.documents = documents, .records = records, .document_count = 2, .record_count = 1};
	struct rk_arena arena = {0};

	oid_make(&documents[0].id, '1');
	oid_make(&records[0].target, 'f');
	documents[0].gone = true;
	rk_audit_sort(&c);
	rk_audit_compare(&c);
	assert_int_equal(rk_audit_findings(&c, &arena), 0);
	assert_int_equal(c.finding_count, 2);
	/* One whose _id is no ObjectId has none to be named by. */
	assert_int_equal(c.findings[0].kind, RK_AUDIT_DANGLING);
	assert_int_equal(c.findings[0].ref.len, 0);
	/* A record without a ref is told with the document that names it. */
	assert_int_equal(c.findings[1].kind, RK_AUDIT_ORPHANED);
	assert_true(rk_slice_equal_str(c.findings[1].ref, "65e1c0ffee65e1c0ffee65e1"));
	assert_true(rk_slice_equal_str(c.findings[1].rkey, "a"));
	rk_arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_by_the_table),
		cmocka_unit_test(all_records_of_who_is_forgotten_are_that),
		cmocka_unit_test(names_documents_and_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
