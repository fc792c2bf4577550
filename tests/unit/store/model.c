/* See model.h. */
#include "tests/unit/store/model.h"

#include "base/encode.h"
#include "records/document.h"

/* Values by number. The last ref is as long as model_refs get; some keys are over LMDB's length. */
static char derived_ref[25];
const char *const model_refs[REFS] = {"65f0a1b2c3d4e5f601234567",
	"65f0a1b2c3d4e5f601234568", [DERIVED_REF] = derived_ref, "a", "not an id",
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
const char *const model_codes[CODES] = {"abc", "abd", "0123456789"};
char model_rkeys[KEYS][LONG];

uint64_t model_chance_state;

unsigned model_chance(unsigned below)
{
	model_chance_state =
		model_chance_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(model_chance_state >> 33) % below;
}

rk_repo_id model_repo(int at)
{
	return 1 + (rk_repo_id)at / (COLLECTIONS * KEYS);
}

uint8_t model_collection(int at)
{
	return (uint8_t)(at / KEYS % COLLECTIONS);
}

struct rk_slice model_rkey(int at)
{
	int number = at % KEYS;

	return rk_slice_make(model_rkeys[number], number < 2 ? LONG : RK_TID_LEN);
}

void model_derive(char out[25], int at)
{
	const char did[] = {
		'd', 'i', 'd', ':', 'p', 'l', 'c', ':', (char)('a' + (int)model_repo(at) - 1)};
	struct rk_buf hex = {0};
	struct rk_oid oid;

	assert_true(rk_document_id(&oid, (struct rk_slice){0}, rk_slice_make(did, sizeof(did)),
		model_collection(at), model_rkey(at)));
	rk_hex_encode(&hex, rk_slice_make(oid.bytes, sizeof(oid.bytes)));
	memcpy(out, rk_buf_cstr(&hex), 25);
	rk_buf_finish(&hex);
}

void model_refs_make(void)
{
	model_derive(derived_ref, DERIVED_OF);
}

int model_place(rk_repo_id repo, uint8_t collection, struct rk_slice rkey)
{
	for (int at = 0; at < RECORDS; at++) {
		if (model_repo(at) == repo && model_collection(at) == collection &&
			rk_slice_equal(model_rkey(at), rkey))
			return at;
	}
	fail_msg("there is no such record");
	return NONE;
}

const char *model_text(enum rk_lookup kind, int value)
{
	return kind == RK_LOOKUP_REF ? model_refs[value] : model_codes[value];
}

/* Keys stand in the index by their bytes; numbers were given in that order but for the hashed ones. */
int model_key_order(int a, int b)
{
	struct rk_key_buf x = {0}, y = {0};

	rk_key_record(&x, model_repo(a), model_collection(a), model_rkey(a));
	rk_key_record(&y, model_repo(b), model_collection(b), model_rkey(b));
	return rk_slice_compare(rk_key_slice(&x), rk_key_slice(&y));
}

/* The model's side of each operation. */

void model_entry_set(
	struct model *m, struct entry *entry, uint8_t flags, int64_t due_ms, uint32_t attempts)
{
	*entry = (struct entry){true, flags, due_ms, attempts, ++m->order};
}

static void model_gone(struct model *m, struct record *one, rk_repo_id repo, bool vanished)
{
	struct entry *entry = &one->gone[one->ref == NONE ? REFS : one->ref];

	if (m->tombstone[repo])
		return;
	if (one->invalid && (one->link == RK_LINK_NONE || one->link == RK_LINK_CONFLICT))
		return;
	model_entry_set(m, entry, (uint8_t)(RK_PENDING_GONE | (vanished ? RK_PENDING_VANISHED : 0)),
		m->now_us / 1000, 0);
}

void model_work(struct model *m, struct record *one, rk_repo_id repo, uint8_t flags)
{
	const uint8_t lasting = RK_PENDING_UPDATED | RK_PENDING_RECOVER | RK_PENDING_RESTORE;

	if (one->invalid && !(one->flags & RK_RECORD_CODE_TAKEN))
		one->work = (struct entry){0};
	else
		model_entry_set(m, &one->work,
			flags | (one->work.there ? one->work.flags & lasting : 0), m->now_us / 1000,
			0);
}

void model_remove(struct model *m, int at, bool vanished)
{
	struct record *one = &m->records[at];
	uint8_t seen = one->seen;

	one->seen = 0;
	if (!one->there)
		return;
	one->work = (struct entry){0};
	model_gone(m, one, model_repo(at), vanished && !(seen & RK_PENDING_DELETED));
	one->there = false;
	one->issues = 0;
}

void model_put(struct model *m, int at, const struct record *in, enum rk_change_source source)
{
	struct record *one = &m->records[at], old = *one;
	uint8_t flags = 0;

	if (m->tombstone[model_repo(at)])
		return;
	one->seen = 0;
	if (old.there && old.version == in->version && old.ref == in->ref && old.code == in->code &&
		old.when_ms == in->when_ms) {
		if (source == RK_CHANGE_LIVE && old.flags & RK_RECORD_FIRST) {
			one->flags &= (uint8_t)~RK_RECORD_FIRST;
			model_work(m, one, model_repo(at), 0);
		}
		return;
	}
	one->there = true;
	one->version = in->version;
	one->ref = in->ref;
	one->code = in->code;
	one->slug = in->slug;
	one->when_ms = in->when_ms;
	one->invalid = in->invalid;
	one->flags = in->invalid ? RK_RECORD_INVALID : 0;
	one->link = RK_LINK_UNKNOWN;
	one->first = m->first + 1;
	one->indexed_us = m->now_us;
	one->issues = in->invalid ? 1u << RK_ISSUE_INVALID : 0;
	if (!old.there) {
		if (source == RK_CHANGE_FIRST && !(old.seen & RK_PENDING_APPEARED))
			one->flags |= RK_RECORD_FIRST;
	} else {
		const bool new_ref = in->ref != NONE && in->ref != old.ref;
		const bool new_code = in->code != NONE && in->code != old.code;

		if (!new_ref && !new_code)
			one->first = old.first;
		if (in->code == old.code)
			one->flags |= old.flags & RK_RECORD_CODE_TAKEN;
		if (new_ref) {
			if (source == RK_CHANGE_FIRST)
				one->flags |= old.flags & RK_RECORD_FIRST;
			if (old.ref != NONE || old.link == RK_LINK_LINKED) {
				struct record before = old;

				model_gone(m, &before, model_repo(at), false);
				memcpy(one->gone, before.gone, sizeof(one->gone));
			}
		} else {
			one->flags |=
				old.flags & (RK_RECORD_FIRST | RK_RECORD_UNREF | RK_RECORD_RENAMED);
			one->link = old.link;
			if (old.code != in->code || old.slug != in->slug ||
				old.flags & RK_RECORD_CODE_TAKEN)
				one->flags |= RK_RECORD_RENAMED;
			if (in->ref == old.ref)
				flags = RK_PENDING_UPDATED;
			else
				one->flags |= RK_RECORD_UNREF;
		}
	}
	m->first += one->first > m->first;
	model_work(m, one, model_repo(at), flags);
}

void model_settle(struct record *one, const struct rk_link_result *result)
{
	one->link = (uint8_t)result->link;
	one->issues = (one->issues & ~result->judged) | (result->issues & result->judged);
	one->flags &= (uint8_t)~RK_RECORD_CODE_TAKEN;
	if (result->code_taken)
		one->flags |= RK_RECORD_CODE_TAKEN;
	if (!(one->issues & (1u << RK_ISSUE_REJECTED | 1u << RK_ISSUE_CONFLICT)))
		one->flags &= (uint8_t)~RK_RECORD_RENAMED;
}

/* Which of two records of a value comes first: rank, age. */
static int rank_of(const struct record *one, enum rk_lookup kind)
{
	if (kind == RK_LOOKUP_CODE && one->flags & RK_RECORD_CODE_TAKEN)
		return 2;
	if (one->link == RK_LINK_CONFLICT)
		return 2;
	if (one->link != RK_LINK_LINKED)
		return 1;
	return kind != RK_LOOKUP_REF && one->flags & RK_RECORD_RENAMED;
}

int model_answer_order(const struct model *m, enum rk_lookup kind, int a, int b)
{
	const struct record *x = &m->records[a], *y = &m->records[b];

	if (rank_of(x, kind) != rank_of(y, kind))
		return rank_of(x, kind) - rank_of(y, kind);
	return x->first < y->first ? -1 : x->first > y->first;
}

int model_value(const struct record *one, enum rk_lookup kind)
{
	return kind == RK_LOOKUP_REF ? one->ref : kind == RK_LOOKUP_CODE ? one->code : one->slug;
}

int model_lookup(
	const struct model *m, enum rk_lookup kind, uint8_t collection, int value, rk_repo_id repo)
{
	int best = NONE;

	if (kind == RK_LOOKUP_REF && m->owner[collection][value] != NONE) {
		rk_repo_id owner = (rk_repo_id)m->owner[collection][value];

		if (owner == 0 || (repo && repo != owner))
			return NONE;
		repo = owner;
	}
	for (int at = 0; at < RECORDS; at++) {
		const struct record *one = &m->records[at];

		if (!one->there || model_collection(at) != collection ||
			model_value(one, kind) != value || (repo && model_repo(at) != repo) ||
			rank_of(one, kind) == 2 || m->account[model_repo(at)] != RK_ACCOUNT_ACTIVE)
			continue;
		if (best == NONE || model_answer_order(m, kind, at, best) < 0)
			best = at;
	}
	return best;
}

static int standing_of(const struct model *m, int at, int ref)
{
	return m->records[at].link == RK_LINK_LINKED                         ? 0
		: ref != NONE && m->owner[model_collection(at)][ref] != NONE ? 1
									     : 2;
}

static bool derived_answers(const struct model *m, int at, int ref)
{
	const struct record *one = &m->records[at];
	const int owner = ref == NONE ? NONE : m->owner[model_collection(at)][ref];

	return one->there && (one->ref == NONE || strlen(model_refs[one->ref]) != 24) &&
		one->link != RK_LINK_CONFLICT && m->account[model_repo(at)] == RK_ACCOUNT_ACTIVE &&
		(owner == NONE || owner == (int)model_repo(at));
}

int model_answer(const struct model *m, int ref, int derived_of, int collection)
{
	int candidates[COLLECTIONS + 1], count = 0, best = NONE;

	if (ref == DERIVED_REF)
		derived_of = DERIVED_OF;
	for (int c = 0; ref != NONE && c < COLLECTIONS; c++) {
		if (collection < 0 || collection == c)
			candidates[count++] = model_lookup(m, RK_LOOKUP_REF, (uint8_t)c, ref, 0);
	}
	if (derived_of != NONE && derived_answers(m, derived_of, ref) &&
		(collection < 0 || collection == model_collection(derived_of)))
		candidates[count++] = derived_of;
	for (int i = 0; i < count; i++) {
		const int at = candidates[i];
		int by;

		if (at == NONE)
			continue;
		by = best == NONE ? -1 : standing_of(m, at, ref) - standing_of(m, best, ref);
		/* Two cannot be linked to one document: then the one with the ref itself stays. */
		if (by == 0 && at == derived_of && m->records[at].link == RK_LINK_LINKED)
			continue;
		if (by < 0 || (by == 0 && m->records[at].first < m->records[best].first))
			best = at;
	}
	return best;
}
