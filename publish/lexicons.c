/* See lexicons.h. */
#include "publish/lexicons.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/account.h"

#define SCHEMA "com.atproto.lexicon.schema"

#define NAME(id, name, text) [RK_LEXICONS_##id] = name,
const char *const rk_lexicons_outcome_names[RK_LEXICONS_OUTCOME_COUNT] = {
	RK_LEXICONS_OUTCOMES(NAME)};
#undef NAME

struct run {
	const struct rk_lexicons_request *request;
	struct rk_lexicons_summary *summary;
	struct rk_account_client *account;
	json_t *there; /* records by key */
	struct item {
		struct rk_account_write write;
		enum rk_lexicons_outcome outcome;
		const char *id;
		char *text; /* of the record */
	} items[RK_LEXICONS_MOST];
};

static void restart(void *context)
{
	struct run *run = context;

	json_object_clear(run->there);
}

static int keep(void *context, const struct rk_session_record *record)
{
	struct run *run = context;

	return json_object_setn(run->there, (const char *)record->rkey.data, record->rkey.len,
		       (json_t *)record->value)
		? -ENOMEM
		: 0;
}

static int item_make(struct run *run, struct item *item, const json_t *lexicon)
{
	const char *id = json_string_value(json_object_get(lexicon, "id"));
	json_t *record = json_copy((json_t *)lexicon), *again;
	const json_t *there = json_object_get(run->there, id);
	bool same;

	json_object_set_new(record, "$type", json_string(SCHEMA));
	item->id = id;
	item->text = json_dumps(record, JSON_COMPACT);
	json_decref(record);
	if (!item->text)
		return -ENOMEM;
	/* A session reads numbers so. */
	again = json_loads(item->text, JSON_DECODE_INT_AS_REAL, NULL);
	same = there && json_equal(again, there);
	json_decref(again);
	item->outcome = same ? RK_LEXICONS_UNCHANGED
		: there      ? RK_LEXICONS_UPDATED
			     : RK_LEXICONS_CREATED;
	item->write.write = (struct rk_session_write){
		.action = there ? RK_SESSION_UPDATE : RK_SESSION_CREATE,
		.collection = SCHEMA,
		.rkey = id,
		.record = rk_slice_str(item->text),
	};
	if (same)
		rk_account_settle(&item->write, RK_ACCOUNT_DONE, "");
	return 0;
}

/* A result of the account's as one of ours. */
static int failure(struct run *run, int result)
{
	if (result == 0 || result == -ECANCELED)
		return result;
	snprintf(run->summary->error, sizeof(run->summary->error), "%s",
		rk_account_error(run->account));
	return result > 0 ? -EACCES : result;
}

static int publish(struct run *run, const struct rk_user *user)
{
	const struct rk_lexicons_request *request = run->request;
	struct rk_account_write *writes[RK_LEXICONS_MOST];
	int r = rk_account_take(run->account, user);

	if (r == 0)
		r = rk_account_list(run->account, SCHEMA, restart, keep, run);
	if (r)
		return failure(run, r);
	for (size_t i = 0; r == 0 && i < request->count; i++) {
		r = item_make(run, &run->items[i], request->lexicons[i]);
		writes[i] = &run->items[i].write;
	}
	if (r)
		return r;
	if (!request->dry_run)
		r = rk_account_write(run->account, writes, request->count, NULL, NULL);
	for (size_t i = 0; i < request->count; i++) {
		struct item *item = &run->items[i];

		if (item->write.state == RK_ACCOUNT_FAILED)
			item->outcome = RK_LEXICONS_FAILED;
		if (item->write.state == RK_ACCOUNT_OPEN && !request->dry_run)
			continue;
		run->summary->counts[item->outcome]++;
		request->line(request->context, item->id, item->outcome, item->write.reason);
	}
	return failure(run, r);
}

int rk_lexicons_publish(struct rk_lexicons_summary *out, const struct rk_lexicons_request *request)
{
	struct run *run = calloc(1, sizeof(*run));
	const struct rk_account_options options = {
		.pds = request->pds,
		.bypass_key = request->bypass_key,
		.max_wait_ms = -1,
		.stop = request->stop,
		.waiting = request->waiting,
		.context = request->context,
	};
	const struct rk_user *user = NULL;
	struct rk_users users = {0};
	struct rk_mongo *mongo = NULL;
	int r;

	*out = (struct rk_lexicons_summary){0};
	if (!run || request->count > RK_LEXICONS_MOST) {
		free(run);
		return run ? -E2BIG : -ENOMEM;
	}
	run->request = request;
	run->summary = out;
	run->there = json_object();
	r = rk_mongo_create(&mongo, request->mongo_uri, request->database, out->error);
	if (r == 0)
		r = rk_mongo_users(mongo, &users, true);
	r = rk_mongo_result(mongo, r, out->error);
	if (r == 0) {
		user = rk_users_by_name(&users, rk_slice_str(request->user), out->error);
		if (user && (user->did.len == 0 || user->did.len >= sizeof(out->did)))
			snprintf(out->error, sizeof(out->error), "no ATProto account: %.200s",
				request->user);
		if (out->error[0])
			r = -ENOENT;
	}
	if (r == 0) {
		snprintf(out->did, sizeof(out->did), "%.*s", RK_SLICE_ARG(user->did));
		run->account = rk_account_create(mongo, &options);
		r = run->account && run->there ? publish(run, user) : -ENOMEM;
	}
	for (size_t i = 0; i < RK_LEXICONS_MOST; i++)
		free(run->items[i].text);
	json_decref(run->there);
	rk_account_destroy(run->account);
	rk_users_finish(&users);
	rk_mongo_destroy(mongo);
	free(run);
	return r;
}
