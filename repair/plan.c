/* Steps from what an audit found, and plans of them: pure. See inside.h. */
#include <errno.h>
#include <stdio.h>

#include "base/encode.h"
#include "base/list.h"
#include "repair/inside.h"

const char *const rk_repair_kind_names[RK_REPAIR_KIND_COUNT] = {
#define NAME(id, name) name,
	RK_REPAIR_KINDS(NAME)
#undef NAME
};
const char *const rk_repair_action_names[RK_REPAIR_ACTION_COUNT] = {
	"link", "delete", "mark", "create"};
const char *const rk_repair_state_names[RK_REPAIR_STATE_COUNT] = {
	"planned", "done", "failed", "there"};
const char *const rk_repair_on_delete_names[] = {"soft", "unlink", "keep"};

static int step_add(struct rk_repair_steps *out, const struct rk_repair_step *step)
{
	if (rk_list_grow(&out->list, &out->room, out->count, sizeof(*out->list)) != 0)
		return -ENOMEM;
	out->list[out->count++] = *step;
	return 0;
}

static bool has_duplicates(const struct rk_audit_collection *c, size_t document)
{
	for (size_t i = 0; i < c->record_count; i++) {
		if (c->records[i].kind == RK_AUDIT_DUPLICATE && c->records[i].document == document)
			return true;
	}
	return false;
}

/* A document to be linked is one that names nothing, or nothing that is there. */
static int link_add(struct rk_repair_steps *out, const struct rk_repair_run *run,
	const struct rk_audit_collection *c, uint8_t collection,
	const struct rk_audit_record *record)
{
	unsigned kinds = run->request->kinds;
	struct rk_repair_step step = {
		.kind = RK_REPAIR_UNLINKED,
		.action = RK_REPAIR_LINK,
		.collection = collection,
		.has_id = true,
		.rkey = record->rkey,
	};

	if (record->reason[0])
		return 0; /* the document names a record that is another's: people must look */
	if (!(kinds & RK_REPAIR_BIT(UNLINKED))) {
		if (!(kinds & RK_REPAIR_BIT(DUPLICATES)) || !has_duplicates(c, record->document))
			return 0;
		step.kind = RK_REPAIR_DUPLICATES;
	}
	step.id = c->documents[record->document].id;
	step.was = c->documents[record->document].rkey;
	return step_add(out, &step);
}

static int delete_add(struct rk_repair_steps *out, enum rk_repair_kind kind,
	const struct rk_audit_collection *c, uint8_t collection,
	const struct rk_audit_record *record)
{
	struct rk_repair_step step = {
		.kind = kind,
		.action = RK_REPAIR_DELETE,
		.collection = collection,
		.has_id = true,
		.id = record->target,
		.rkey = record->rkey,
		.cid = record->cid,
		.json = record->json,
	};
	const struct rk_audit_document *document = NULL;

	if (record->document != RK_AUDIT_NONE) {
		document = &c->documents[record->document];
		step.id = document->id;
	}
	/* One of several whose document names another's record: none of them is kept for sure. */
	if (kind == RK_REPAIR_DUPLICATES && document &&
		c->records[document->record].kind == RK_AUDIT_UNLINKED &&
		c->records[document->record].reason[0])
		return 0;
	return step_add(out, &step);
}

static int collection_plan(struct rk_repair_steps *out, const struct rk_repair_run *run,
	const struct rk_audit_collection *c, uint8_t collection)
{
	unsigned kinds = run->request->kinds;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->record_count; i++) {
		if (c->records[i].kind == RK_AUDIT_UNLINKED)
			r = link_add(out, run, c, collection, &c->records[i]);
	}
	for (size_t i = 0; r == 0 && i < c->record_count; i++) {
		const struct rk_audit_record *record = &c->records[i];

		if (record->kind == RK_AUDIT_DUPLICATE && kinds & RK_REPAIR_BIT(DUPLICATES))
			r = delete_add(out, RK_REPAIR_DUPLICATES, c, collection, record);
		else if (record->kind == RK_AUDIT_ORPHANED && kinds & RK_REPAIR_BIT(ORPHANS))
			r = delete_add(out, RK_REPAIR_ORPHANS, c, collection, record);
	}
	for (size_t i = 0; r == 0 && i < c->document_count; i++) {
		const struct rk_audit_document *document = &c->documents[i];
		const struct rk_repair_step step = {
			.kind = RK_REPAIR_VANISHED,
			.action = RK_REPAIR_MARK,
			.collection = collection,
			.has_id = true,
			.id = document->id,
			.rkey = document->rkey,
		};

		/* Not where another record has its ref, nor where the key is another's by now. */
		if (kinds & RK_REPAIR_BIT(VANISHED) && document->kind == RK_AUDIT_DANGLING &&
			document->vanished && document->record == RK_AUDIT_NONE &&
			run->options->on_delete != RK_ON_DELETE_KEEP)
			r = step_add(out, &step);
	}
	return r;
}

int rk_repair_plan(struct rk_repair_steps *out, const struct rk_repair_run *run,
	const struct rk_audit_person *person)
{
	int r = 0;

	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
		r = collection_plan(out, run, &person->collections[i], (uint8_t)i);
	return r;
}

void rk_repair_print(char out[RK_REPAIR_PRINT_SIZE], const struct rk_audit_person *person)
{
	uint8_t digest[RK_SHA256_BYTES];
	struct rk_buf all = {0}, hex = {0};

	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		const struct rk_audit_collection *c = &person->collections[i];

		rk_buf_printf(&all, "%s\n", rk_collections[i].nsid);
		for (size_t k = 0; k < c->document_count; k++) {
			rk_buf_add(
				&all, c->documents[k].id.bytes, sizeof(c->documents[k].id.bytes));
			rk_buf_printf(&all, "%d %d %zu ", c->documents[k].foreign,
				c->documents[k].gone, c->documents[k].rkey.len);
			rk_buf_add_slice(&all, c->documents[k].rkey);
		}
	}
	rk_sha256(digest, rk_buf_slice(&all));
	rk_hex_encode(&hex, rk_slice_make(digest, sizeof(digest)));
	/* Without memory it is like no other. */
	memset(out, 0, RK_REPAIR_PRINT_SIZE);
	if (!rk_buf_failed(&all) && !rk_buf_failed(&hex))
		memcpy(out, hex.data, hex.len);
	rk_buf_finish(&all);
	rk_buf_finish(&hex);
}

json_t *rk_repair_step_json(const struct rk_repair_step *step)
{
	struct rk_buf cid = {0};
	char ref[RK_OID_LEN + 1];
	json_t *json;

	rk_oid_format(ref, &step->id);
	if (rk_cid_is_set(&step->cid))
		rk_cid_format(&cid, &step->cid);
	json = json_pack("{s:s, s:s?, s:s, s:o, s:s?, s:s?, s:o}", "action",
		rk_repair_action_names[step->action], "kind",
		step->kind < RK_REPAIR_KIND_COUNT ? rk_repair_kind_names[step->kind] : NULL,
		"collection", rk_collections[step->collection].nsid, "rkey",
		json_stringn((const char *)step->rkey.data, step->rkey.len), "ref",
		step->has_id ? ref : NULL, "cid", cid.len ? rk_buf_cstr(&cid) : NULL, "was",
		step->was.len ? json_stringn((const char *)step->was.data, step->was.len)
			      : json_null());
	rk_buf_finish(&cid);
	return json;
}

static const char *plan_wrong(const json_t *plan, const struct rk_repair_options *options)
{
	const json_t *users = json_object_get(plan, "users"), *user;
	const char *on_delete = json_string_value(json_object_get(plan, "onDelete"));
	size_t i;

	if (json_integer_value(json_object_get(plan, "version")) != 1 || !json_is_array(users) ||
		!on_delete || !json_is_string(json_object_get(plan, "pds")))
		return "it is no plan of `refkey repair --plan`";
	if (strcmp(on_delete, rk_repair_on_delete_names[options->on_delete]) != 0)
		return "it was made with another REFKEY_ON_DELETE";
	json_array_foreach(users, i, user)
	{
		if (!json_is_string(json_object_get(user, "user")) ||
			!json_is_string(json_object_get(user, "documents")) ||
			!json_is_array(json_object_get(user, "steps")))
			return "a user of it lacks a part";
	}
	return NULL;
}

int rk_repair_plan_check(const json_t *plan, const struct rk_repair_options *options, char *error)
{
	const char *wrong = plan_wrong(plan, options);
	const char *pds = json_string_value(json_object_get(plan, "pds"));

	if (wrong) {
		snprintf(error, 512, "the plan: %s", wrong);
		return -EINVAL;
	}
	/* Revs alone would not tell of a copy of it. */
	if (strcmp(pds, options->audit.pds) != 0) {
		snprintf(error, 512,
			"the plan: it was made for the PDS at %.200s, and REFKEY_PDS_URL is %.200s",
			pds, options->audit.pds);
		return -EINVAL;
	}
	return 0;
}

const json_t *rk_repair_plan_find(const json_t *plan, const struct rk_user *user)
{
	const json_t *part;
	size_t i;

	json_array_foreach(json_object_get(plan, "users"), i, part)
	{
		const char *id = json_string_value(json_object_get(part, "user"));

		if (id && rk_slice_equal_str(user->id, id))
			return part;
	}
	return NULL;
}

static bool rev_is(const json_t *part, uint64_t rev)
{
	const char *text = json_string_value(json_object_get(part, "rev"));
	uint64_t was = 0;

	if (text && !rk_tid_parse(&was, rk_slice_str(text)))
		return false;
	return was == rev;
}

bool rk_repair_plan_apply(
	struct rk_repair_steps *steps, const json_t *part, const struct rk_audit_person *person)
{
	const char *documents = json_string_value(json_object_get(part, "documents"));
	const json_t *wanted = json_object_get(part, "steps");
	char print[RK_REPAIR_PRINT_SIZE];
	size_t kept = 0, found = 0;

	rk_repair_print(print, person);
	if (person->unread || !rev_is(part, person->rev) || !print[0] ||
		strcmp(documents, print) != 0)
		return false;
	/* Steps come in the same order as when the plan was made. */
	for (size_t i = 0; i < steps->count && found < json_array_size(wanted); i++) {
		json_t *step = rk_repair_step_json(&steps->list[i]);
		bool same = json_equal(step, json_array_get(wanted, found));

		json_decref(step);
		found += same;
		if (same)
			steps->list[kept++] = steps->list[i];
	}
	steps->count = kept;
	return found == json_array_size(wanted);
}
