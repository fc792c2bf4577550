/*
 * The contract's recovery table, row by row: what is done, what the index gets to know, and what the
 * operator reads. Rows that differ in one fact stand next to each other.
 */
#include "tests/unit/test.h"

#include "base/buf.h"
#include "base/encode.h"
#include "mirror/decide.h"

#define NOW INT64_C(1767323045000) /* 2026-01-02T03:04:05Z */
#define OLD (NOW / 1000 - 86400)

/* Facts are named after what they say, 0 is the usual case: live, claimed, old ref, document there. */
enum {
	UPDATED = RK_PENDING_UPDATED,
	RECOVER = RK_PENDING_RECOVER,
	RESTORE = RK_PENDING_RESTORE | RK_PENDING_RECOVER,
	LOOKED = RK_PENDING_LOOKED,
	APPEARED = RK_PENDING_APPEARED,
	GONE = RK_PENDING_GONE,
	VANISHED = RK_PENDING_GONE | RK_PENDING_VANISHED,
	FIRST = RK_RECORD_FIRST,
	INVALID = RK_RECORD_INVALID,
	UNREF = RK_RECORD_UNREF,
	NEW = 0,
	ALL = 1,
	OFF = 2,
	SOFT = 0,
	UNLINK = 1,
	KEEP = 2,
};
enum { /* about the record's surroundings */
	UNCLAIMED = 1,
	TOMBSTONE = 2,
	INACTIVE = 4,
	DERIVED = 8,
	BACK = 16,
	MOVED_ON = 32,
	HEIR = 64,
	TAKEN = 128,
};
enum { /* about the document */
	ABSENT = 1,
	OTHER = 2,
	DELETED = 4,
	BY_NAME = 8,
	KNOWN = 16,
	KNOWN_HERE = 32 | KNOWN,
	KNOWN_THERE = 64 | KNOWN,
	RIVAL = 128,
	RIVAL_JUDGED = 256 | RIVAL,
};
enum {
	NONE = RK_NAMES_NOTHING,
	THIS = RK_NAMES_THIS,
	LIVE = RK_NAMES_LIVE,
	DEAD = RK_NAMES_DEAD,
	UNSURE = RK_NAMES_UNSURE
};

#define ISSUE(kind) RK_ISSUE_BIT(kind)
#define ACT(a)      RK_ACTION_##a
#define BECAME(o)   RK_RECOVER_##o
/* Link not said. */
#define SILENT      99

static const struct {
	const char *rule;
	int pending, flags, around, document, names, recover, on_delete;
	int64_t oid_sec; /* 0: OLD */
	int action, link;
	uint32_t issues;
	int outcome;
	int fields;
	int64_t due_ms;
	int put_back;
	int vanished;
} rows[] = {
	/* The document exists. */
	{"no rkey: set", 0, 0, 0, 0, NONE, .action = ACT(SET_RKEY), .link = RK_LINK_LINKED,
		.outcome = BECAME(LINKED)},
	{"no rkey, first backfill: set", 0, FIRST, 0, 0, NONE, .action = ACT(SET_RKEY),
		.link = RK_LINK_LINKED, .outcome = BECAME(LINKED)},
	{"no rkey, recover off: set", 0, 0, 0, 0, NONE, OFF, .action = ACT(SET_RKEY),
		.link = RK_LINK_LINKED, .outcome = BECAME(LINKED)},
	{"no rkey, young ref: set", 0, 0, 0, 0, NONE, .oid_sec = NOW / 1000,
		.action = ACT(SET_RKEY), .link = RK_LINK_LINKED, .outcome = BECAME(LINKED)},
	{"no rkey, updated since: set with fields", UPDATED, 0, 0, 0, NONE, .action = ACT(SET_RKEY),
		.link = RK_LINK_LINKED, .outcome = BECAME(LINKED), .fields = 1},
	{"same rkey: nothing", 0, 0, 0, 0, THIS, .link = RK_LINK_LINKED,
		.outcome = BECAME(UNCHANGED)},
	{"same rkey, asked to recover: nothing", RECOVER, FIRST, 0, 0, THIS, .link = RK_LINK_LINKED,
		.outcome = BECAME(UNCHANGED)},
	{"names a record that is not there: set", 0, 0, 0, 0, DEAD, .action = ACT(SET_RKEY),
		.link = RK_LINK_LINKED, .outcome = BECAME(LINKED)},
	{"names one that may be on its way: wait", LOOKED, 0, 0, 0, UNSURE, .action = ACT(WAIT),
		.link = SILENT, .outcome = BECAME(WAITING), .put_back = LOOKED},
	{"names another live record: duplicate", 0, 0, 0, 0, LIVE, .link = RK_LINK_NONE,
		.issues = ISSUE(DUPLICATE), .outcome = BECAME(DUPLICATE)},
	{"duplicate, updated: still nothing", UPDATED, 0, 0, 0, LIVE, .link = RK_LINK_NONE,
		.issues = ISSUE(DUPLICATE), .outcome = BECAME(DUPLICATE)},
	{"other owner: conflict", 0, 0, 0, OTHER, NONE, .link = RK_LINK_CONFLICT,
		.issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"other owner, names this rkey too: conflict", UPDATED, 0, 0, OTHER, THIS,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"other owner, deleted: conflict", 0, 0, 0, OTHER | DELETED, NONE, .link = RK_LINK_CONFLICT,
		.issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"deleted: orphan", 0, 0, 0, DELETED, NONE, .link = RK_LINK_NONE, .issues = ISSUE(ORPHAN),
		.outcome = BECAME(ORPHAN)},
	{"deleted, same rkey: orphan, no link", 0, 0, 0, DELETED, THIS, .link = RK_LINK_NONE,
		.issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	{"deleted: not even restored", RESTORE, 0, 0, DELETED, NONE, ALL, .link = RK_LINK_NONE,
		.issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	{"updated and linked: fields", UPDATED, 0, 0, 0, THIS, .action = ACT(UPDATE),
		.link = RK_LINK_LINKED, .outcome = BECAME(UPDATED)},
	{"dropped its ref, document names it: link stays, issue", 0, UNREF, DERIVED, BY_NAME, THIS,
		.link = RK_LINK_LINKED, .issues = ISSUE(UNLINKED), .outcome = BECAME(UNCHANGED)},
	{"dropped its ref and updated: fields", UPDATED, UNREF, DERIVED, BY_NAME, THIS,
		.action = ACT(UPDATE), .link = RK_LINK_LINKED, .issues = ISSUE(UNLINKED),
		.outcome = BECAME(UPDATED)},
	{"no ref, derived document: linked", 0, 0, DERIVED, 0, THIS, .link = RK_LINK_LINKED,
		.outcome = BECAME(UNCHANGED)},
	{"no ref, derived document lost its rkey: set", 0, 0, DERIVED, 0, NONE,
		.action = ACT(SET_RKEY), .link = RK_LINK_LINKED, .outcome = BECAME(LINKED)},
	/* Absent, appeared while refkey watches. */
	{"absent: a second look first", 0, 0, 0, ABSENT, .action = ACT(WAIT), .link = SILENT,
		.outcome = BECAME(WAITING), .due_ms = NOW + 1000, .put_back = LOOKED},
	{"absent at the second look: insert", LOOKED, 0, 0, ABSENT, .action = ACT(INSERT),
		.link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	{"ref 59 s old: wait", LOOKED, 0, 0, ABSENT, .oid_sec = NOW / 1000 - 59,
		.action = ACT(WAIT), .link = SILENT, .outcome = BECAME(WAITING),
		.due_ms = NOW + 1500, .put_back = LOOKED},
	{"ref 60 s old: insert", LOOKED, 0, 0, ABSENT, .oid_sec = NOW / 1000 - 60,
		.action = ACT(INSERT), .link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	{"ref made now: one wait is the second look too", 0, 0, 0, ABSENT, .oid_sec = NOW / 1000,
		.action = ACT(WAIT), .link = SILENT, .outcome = BECAME(WAITING),
		.due_ms = NOW + 60500, .put_back = LOOKED},
	{"ref 5 min ahead: wait", 0, 0, 0, ABSENT, .oid_sec = NOW / 1000 + 300, .action = ACT(WAIT),
		.link = SILENT, .outcome = BECAME(WAITING), .due_ms = NOW + 360500,
		.put_back = LOOKED},
	{"ref 5 min 1 s ahead: suspect", LOOKED, 0, 0, ABSENT, .oid_sec = NOW / 1000 + 301,
		.link = RK_LINK_NONE, .issues = ISSUE(SUSPECT), .outcome = BECAME(SUSPECT)},
	{"suspect also when asked to recover", RECOVER, FIRST, 0, ABSENT,
		.oid_sec = NOW / 1000 + 301, .link = RK_LINK_NONE, .issues = ISSUE(SUSPECT),
		.outcome = BECAME(SUSPECT)},
	{"recover off: absent", LOOKED, 0, 0, ABSENT, 0, OFF, .link = RK_LINK_NONE,
		.issues = ISSUE(ABSENT), .outcome = BECAME(ABSENT)},
	{"recover off, asked: insert", RECOVER, 0, 0, ABSENT, 0, OFF, .action = ACT(INSERT),
		.link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	/* Absent, found by a first backfill. */
	{"first backfill: absent", 0, FIRST, 0, ABSENT, .link = RK_LINK_NONE,
		.issues = ISSUE(ABSENT), .outcome = BECAME(ABSENT)},
	{"first backfill, but seen created: as if live", LOOKED | APPEARED, FIRST, 0, ABSENT,
		.action = ACT(INSERT), .link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	{"first backfill, recover all: insert", 0, FIRST, 0, ABSENT, 0, ALL, .action = ACT(INSERT),
		.link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	{"first backfill, asked: insert", RECOVER, FIRST, 0, ABSENT, .action = ACT(INSERT),
		.link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	{"first backfill, asked, young ref: wait", RECOVER, FIRST, 0, ABSENT,
		.oid_sec = NOW / 1000 - 10, .action = ACT(WAIT), .link = SILENT,
		.outcome = BECAME(WAITING), .due_ms = NOW + 50500, .put_back = RECOVER | LOOKED},
	/* Absent, and known before. */
	{"known before: orphan", LOOKED, 0, 0, ABSENT | KNOWN_HERE, .link = RK_LINK_NONE,
		.issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	{"known before, recover all: orphan", 0, FIRST, 0, ABSENT | KNOWN_HERE, 0, ALL,
		.link = RK_LINK_NONE, .issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	{"known before, asked to recover: orphan", RECOVER, 0, 0, ABSENT | KNOWN_HERE,
		.link = RK_LINK_NONE, .issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	{"known before, restore: insert", RESTORE, 0, 0, ABSENT | KNOWN_HERE, 0, OFF,
		.action = ACT(INSERT), .link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	{"known as another's: never restored", RESTORE, 0, 0, ABSENT | KNOWN_THERE,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"known, owner without a repo: not restored", RESTORE, 0, 0, ABSENT | KNOWN,
		.link = RK_LINK_NONE, .issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	/* Absent, and somebody was earlier. */
	{"earlier record of another repo, not judged: wait", LOOKED, 0, 0, ABSENT | RIVAL,
		.action = ACT(WAIT), .link = SILENT, .outcome = BECAME(WAITING),
		.put_back = LOOKED},
	{"earlier record of another repo: conflict", LOOKED, 0, 0, ABSENT | RIVAL_JUDGED,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	/* No usable ref. */
	{"no ref, absent: a second look first", 0, 0, DERIVED, ABSENT, .action = ACT(WAIT),
		.link = SILENT, .outcome = BECAME(WAITING), .due_ms = NOW + 1000,
		.put_back = LOOKED},
	{"no ref: its time is not looked at", LOOKED, 0, DERIVED, ABSENT,
		.oid_sec = NOW / 1000 + 9999, .action = ACT(INSERT), .link = RK_LINK_LINKED,
		.outcome = BECAME(INSERTED)},
	{"no ref, first backfill: absent", 0, FIRST, DERIVED, ABSENT, .link = RK_LINK_NONE,
		.issues = ISSUE(ABSENT), .outcome = BECAME(ABSENT)},
	{"no ref, first backfill, asked: insert", RECOVER, FIRST, DERIVED, ABSENT,
		.action = ACT(INSERT), .link = RK_LINK_LINKED, .outcome = BECAME(INSERTED)},
	{"no ref, known before: orphan", LOOKED, 0, DERIVED, ABSENT | KNOWN_HERE,
		.link = RK_LINK_NONE, .issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	{"dropped its ref, nothing names it: no double", LOOKED, UNREF, DERIVED, ABSENT,
		.link = RK_LINK_NONE, .issues = ISSUE(ORPHAN), .outcome = BECAME(ORPHAN)},
	/* Who may not. */
	{"unclaimed, absent", LOOKED, 0, UNCLAIMED, ABSENT, 0, ALL, .link = RK_LINK_NONE,
		.outcome = BECAME(UNCLAIMED)},
	{"unclaimed, document is somebody's: conflict", 0, 0, UNCLAIMED, OTHER, NONE,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"forgotten: never", RESTORE, 0, TOMBSTONE, ABSENT, 0, ALL, .link = RK_LINK_NONE,
		.outcome = BECAME(FORGOTTEN)},
	{"forgotten, document there: never", UPDATED, 0, TOMBSTONE, 0, NONE, .link = RK_LINK_NONE,
		.outcome = BECAME(FORGOTTEN)},
	{"inactive account: waits", LOOKED, 0, INACTIVE, ABSENT, .action = ACT(WAIT),
		.link = SILENT, .outcome = BECAME(WAITING), .put_back = LOOKED},
	{"invalid, absent: not written", RESTORE, INVALID, 0, ABSENT, 0, ALL, .link = RK_LINK_NONE,
		.issues = ISSUE(INVALID), .outcome = BECAME(INVALID)},
	{"invalid, no rkey: not written", 0, INVALID, 0, 0, NONE, .link = RK_LINK_NONE,
		.issues = ISSUE(INVALID), .outcome = BECAME(INVALID)},
	{"invalid, linked: link stays, fields are not written", UPDATED, INVALID, 0, 0, THIS,
		.link = RK_LINK_LINKED, .issues = ISSUE(INVALID), .outcome = BECAME(INVALID)},
	{"invalid, other owner: conflict as well", 0, INVALID, 0, OTHER, NONE,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(INVALID) | ISSUE(CONFLICT),
		.outcome = BECAME(CONFLICT)},
	/* Its code is of somebody else's document. */
	{"code taken, linked: conflict, the link stays", 0, 0, TAKEN, 0, THIS,
		.link = RK_LINK_LINKED, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"code taken, updated: no field is written", UPDATED, 0, TAKEN, 0, THIS,
		.link = RK_LINK_LINKED, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"code taken, no rkey: set, without fields", UPDATED, 0, TAKEN, 0, NONE,
		.action = ACT(SET_RKEY), .link = RK_LINK_LINKED, .issues = ISSUE(CONFLICT),
		.outcome = BECAME(LINKED)},
	{"code taken, named by its document: both issues", 0, UNREF, TAKEN | DERIVED, BY_NAME, THIS,
		.link = RK_LINK_LINKED, .issues = ISSUE(UNLINKED) | ISSUE(CONFLICT),
		.outcome = BECAME(CONFLICT)},
	{"code taken, the document's key may be on its way: wait", 0, 0, TAKEN, 0, UNSURE,
		.action = ACT(WAIT), .link = SILENT, .outcome = BECAME(WAITING)},
	{"code taken and a duplicate", 0, 0, TAKEN, 0, LIVE, .link = RK_LINK_NONE,
		.issues = ISSUE(DUPLICATE) | ISSUE(CONFLICT), .outcome = BECAME(DUPLICATE)},
	{"code taken and an orphan", 0, 0, TAKEN, DELETED, NONE, .link = RK_LINK_NONE,
		.issues = ISSUE(ORPHAN) | ISSUE(CONFLICT), .outcome = BECAME(ORPHAN)},
	{"code taken and the ref, too: conflict", 0, 0, TAKEN, OTHER, NONE,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"code taken, absent: conflict before any second look", 0, 0, TAKEN, ABSENT,
		.oid_sec = NOW / 1000, .link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT),
		.outcome = BECAME(CONFLICT)},
	{"code taken, absent at the second look: not inserted", LOOKED, 0, TAKEN, ABSENT, 0, ALL,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"code taken, first backfill: conflict", 0, FIRST, TAKEN, ABSENT, .link = RK_LINK_CONFLICT,
		.issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"code taken, unclaimed: conflict", 0, 0, TAKEN | UNCLAIMED, ABSENT,
		.link = RK_LINK_CONFLICT, .issues = ISSUE(CONFLICT), .outcome = BECAME(CONFLICT)},
	{"code taken, known before: an orphan as well", 0, 0, TAKEN, ABSENT | KNOWN_HERE,
		.link = RK_LINK_NONE, .issues = ISSUE(ORPHAN) | ISSUE(CONFLICT),
		.outcome = BECAME(ORPHAN)},
	{"code taken, invalid: both issues", 0, INVALID, TAKEN, ABSENT, .link = RK_LINK_NONE,
		.issues = ISSUE(INVALID) | ISSUE(CONFLICT), .outcome = BECAME(INVALID)},
	{"code taken, inactive account: waits", 0, 0, TAKEN | INACTIVE, ABSENT, .action = ACT(WAIT),
		.link = SILENT, .outcome = BECAME(WAITING)},
	{"code taken, deleted: as if it were not", GONE, 0, TAKEN, 0, THIS,
		.action = ACT(MARK_GONE), .link = SILENT, .outcome = BECAME(UPDATED)},
	/* Deleted on the PDS. */
	{"deleted, linked, soft", GONE, 0, 0, 0, THIS, .action = ACT(MARK_GONE), .link = SILENT,
		.outcome = BECAME(UPDATED)},
	{"deleted, linked, unlink", GONE, 0, 0, 0, THIS, 0, UNLINK, .action = ACT(UNLINK),
		.link = SILENT, .outcome = BECAME(UPDATED)},
	{"deleted, linked, keep", GONE, 0, 0, 0, THIS, 0, KEEP, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted, linked, another has the ref: still as set", GONE, 0, HEIR, 0, THIS,
		.action = ACT(MARK_GONE), .link = SILENT, .outcome = BECAME(UPDATED)},
	{"deleted, recover off: still as set", GONE, 0, 0, 0, THIS, OFF, .action = ACT(MARK_GONE),
		.link = SILENT, .outcome = BECAME(UPDATED)},
	{"deleted, no rkey yet, soft", GONE, 0, 0, 0, NONE, .action = ACT(MARK_GONE),
		.link = SILENT, .outcome = BECAME(UPDATED)},
	{"deleted, no rkey yet, unlink", GONE, 0, 0, 0, NONE, 0, UNLINK, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted, no rkey yet, another has the ref", GONE, 0, HEIR, 0, NONE, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted, names another", GONE, 0, 0, 0, LIVE, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted, names one that is not there", GONE, 0, 0, 0, DEAD, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted, other owner", GONE, 0, 0, OTHER, THIS, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted, no document", GONE, 0, 0, ABSENT, .link = SILENT, .outcome = BECAME(UNCHANGED)},
	{"deleted, document gone", GONE, 0, 0, DELETED, THIS, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted and there again", GONE, 0, BACK, 0, THIS, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"deleted, account gone", GONE, 0, INACTIVE, 0, THIS, .action = ACT(MARK_GONE),
		.link = SILENT, .outcome = BECAME(UPDATED)},
	{"deleted, forgotten", GONE, 0, TOMBSTONE, 0, THIS, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"now has another ref, linked", GONE, 0, MOVED_ON, 0, THIS, .action = ACT(MARK_GONE),
		.link = SILENT, .outcome = BECAME(UPDATED)},
	{"now has another ref, never linked", GONE, 0, MOVED_ON, 0, NONE, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	/* Missing in a copy that is not believed. */
	{"vanished, linked: issue only", VANISHED, 0, 0, 0, THIS, .link = SILENT,
		.outcome = BECAME(UNCHANGED), .vanished = 1},
	{"vanished, not linked", VANISHED, 0, 0, 0, NONE, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"vanished, other owner", VANISHED, 0, 0, OTHER, THIS, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
	{"vanished and there again", VANISHED, 0, BACK, 0, THIS, .link = SILENT,
		.outcome = BECAME(UNCHANGED)},
};

static void every_row_of_the_table(void **state)
{
	static const enum rk_recover_mode recover[] = {
		RK_RECOVER_NEW, RK_RECOVER_ALL, RK_RECOVER_OFF};
	static const enum rk_on_delete on_delete[] = {
		RK_ON_DELETE_SOFT, RK_ON_DELETE_UNLINK, RK_ON_DELETE_KEEP};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct rk_facts_record record = {
			.pending = (uint8_t)rows[i].pending,
			.flags = (uint8_t)rows[i].flags,
			.tombstone = rows[i].around & TOMBSTONE,
			.active = !(rows[i].around & INACTIVE),
			.claimed = !(rows[i].around & UNCLAIMED),
			.code_taken = rows[i].around & TAKEN,
			.derived = rows[i].around & DERIVED,
			.oid_sec = rows[i].oid_sec ? rows[i].oid_sec : OLD,
			.back = rows[i].around & BACK,
			.moved_on = rows[i].around & MOVED_ON,
			.heir = rows[i].around & HEIR,
		};
		const struct rk_facts_document document = {
			.present = !(rows[i].document & ABSENT),
			.same_owner = !(rows[i].document & OTHER),
			.gone = rows[i].document & DELETED,
			.by_name = rows[i].document & BY_NAME,
			.names = (enum rk_names)rows[i].names,
			.known = rows[i].document & KNOWN,
			.known_here = rows[i].document & 32,
			.known_there = rows[i].document & 64,
			.rival = rows[i].document & RIVAL,
			.rival_judged = rows[i].document & 256,
		};
		const struct rk_terms terms = {
			NOW, recover[rows[i].recover], on_delete[rows[i].on_delete]};
		struct rk_decision got;

		rk_decide(&got, &record, &document, &terms);
		if ((int)got.action != rows[i].action || got.set_link != (rows[i].link != SILENT) ||
			(got.set_link && (int)got.link != rows[i].link) ||
			got.issues != rows[i].issues || (int)got.outcome != rows[i].outcome ||
			got.fields != rows[i].fields || got.due_ms != rows[i].due_ms ||
			got.pending != rows[i].put_back || got.vanished != rows[i].vanished)
			fail_msg("%s: action %d link %d/%d issues %x outcome %d fields %d due %lld "
				 "pending %x vanished %d",
				rows[i].rule, got.action, got.set_link, got.link, got.issues,
				got.outcome, got.fields, (long long)got.due_ms, got.pending,
				got.vanished);
		/* Waiting says nothing yet; only what is written or judged does. */
		assert_true(got.action != RK_ACTION_WAIT || !got.set_link);
		assert_int_equal(got.issues & ~RK_JUDGED, 0);
	}
}

static void waiting_doubles_and_is_bounded(void **state)
{
	assert_int_equal(rk_again_ms(0), 500);
	assert_int_equal(rk_again_ms(1), 1000);
	assert_int_equal(rk_again_ms(10), 512000);
	assert_int_equal(rk_again_ms(11), RK_AGAIN_MOST_MS);
	assert_int_equal(rk_again_ms(UINT32_MAX), RK_AGAIN_MOST_MS);
}

static void keys_made_just_now_may_be_on_their_way(void **state)
{
	const struct rk_slice rkey = RK_SLICE_LIT("3kaaaaaaaaaaa");
	const struct rk_slice other = RK_SLICE_LIT("3kbbbbbbbbbbb");
	char young[RK_TID_LEN + 1], aged[RK_TID_LEN + 1];

	rk_tid_format(young, (uint64_t)((NOW - RK_ARRIVE_MS + 1) * 1000) << 10);
	rk_tid_format(aged, (uint64_t)((NOW - RK_ARRIVE_MS) * 1000) << 10);
	assert_int_equal(rk_names_of((struct rk_slice){0}, rkey, false, true, NOW), NONE);
	assert_int_equal(rk_names_of(rkey, rkey, true, false, NOW), THIS);
	assert_int_equal(rk_names_of(other, rkey, true, true, NOW), LIVE);
	assert_int_equal(rk_names_of(other, rkey, false, true, NOW), DEAD);
	assert_int_equal(rk_names_of(other, rkey, false, false, NOW), UNSURE);
	assert_int_equal(rk_names_of(rk_slice_str("not-a-tid"), rkey, false, true, NOW), DEAD);
	assert_int_equal(rk_names_of(rk_slice_str(young), rkey, false, true, NOW), UNSURE);
	assert_int_equal(rk_names_of(rk_slice_str(aged), rkey, false, true, NOW), DEAD);
}

static void each_outcome_has_a_name(void **state)
{
	for (int i = 0; i < RK_RECOVER_OUTCOME_COUNT; i++) {
		assert_non_null(rk_recover_outcome_rows[i].name);
		assert_non_null(rk_recover_outcome_rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_table),
		cmocka_unit_test(waiting_doubles_and_is_bounded),
		cmocka_unit_test(keys_made_just_now_may_be_on_their_way),
		cmocka_unit_test(each_outcome_has_a_name),
	};
	return cmocka_run_group_tests_name("mirror/decide", tests, NULL, NULL);
}
