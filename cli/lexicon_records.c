/* refkey lexicon validate --records: what the index holds against the record lexicons. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "atproto/mst.h"
#include "cli/event.h"
#include "cli/lexicon.h"
#include "cli/operation.h"
#include "cli/perform.h"
#include "cli/progress.h"

enum { BATCH = 200 };

/* Records are copied a batch at a time: no snapshot lives while they are looked at. */
struct batch {
	struct rk_arena arena;
	struct one {
		uint8_t collection;
		struct rk_slice did, rkey, json;
	} list[BATCH];
	size_t count;
	/* Where the next one begins: behind this record of this repo. */
	rk_repo_id repo; /* 0: with the repo after `done` */
	rk_repo_id done;
	uint8_t collection;
	uint8_t rkey[RK_MST_KEY_MOST];
	size_t rkey_len;
};

struct checking {
	const struct rk_operation_run *run;
	struct rk_lexicons set;
	struct batch batch;
	const struct one *one;
	uint64_t records, invalid, findings, total;
	bool gone; /* nobody hears it any more */
};

static int copy(struct batch *b, struct rk_slice *out, struct rk_slice in)
{
	char *bytes = rk_arena_copy(&b->arena, in);

	*out = rk_slice_make(bytes, in.len);
	return bytes ? 0 : -ENOMEM;
}

/* The records of one repo, as far as there is room. */
static int repo_take(struct batch *b, struct rk_snapshot *snapshot, const struct rk_repo *repo)
{
	struct rk_slice did;
	int r = copy(b, &did, repo->did);

	while (r == 0 && b->count < BATCH && b->collection < RK_COLLECTION_COUNT) {
		struct one *one = &b->list[b->count];
		struct rk_record record;

		r = rk_read_record_after(snapshot, &record, repo->id, b->collection,
			rk_slice_make(b->rkey, b->rkey_len));
		if (r == RK_STORE_ABSENT) {
			r = 0;
			b->collection++;
			b->rkey_len = 0;
			continue;
		}
		if (r == 0 && record.rkey.len > sizeof(b->rkey))
			r = -EUCLEAN;
		if (r == 0)
			r = copy(b, &one->rkey, record.rkey);
		if (r == 0)
			r = copy(b, &one->json, record.json);
		if (r)
			break;
		one->did = did;
		one->collection = b->collection;
		memcpy(b->rkey, record.rkey.data, record.rkey.len);
		b->rkey_len = record.rkey.len;
		b->count++;
	}
	return r;
}

static int batch_take(struct batch *b, struct rk_snapshot *snapshot)
{
	struct rk_repo repo;
	int r = rk_snapshot_begin(snapshot);

	if (r)
		return r;
	b->count = 0;
	rk_arena_reset(&b->arena);
	while (r == 0 && b->count < BATCH) {
		if (b->repo == 0) {
			r = rk_read_repo_after(snapshot, &repo, b->done);
			b->repo = repo.id;
			b->collection = 0;
			b->rkey_len = 0;
		} else {
			r = rk_read_repo(snapshot, &repo, b->repo);
		}
		if (r == 0)
			r = repo_take(b, snapshot, &repo);
		if (b->collection >= RK_COLLECTION_COUNT || r == RK_STORE_ABSENT) {
			b->done = b->repo;
			b->repo = 0;
		}
	}
	rk_snapshot_end(snapshot);
	return r;
}

static void tell(void *context, const char *path, const char *text)
{
	struct checking *c = context;
	const struct one *one = c->one;
	json_t *event = json_pack("{s:s, s:o, s:o, s:o}", "event", "line", "uri",
		json_sprintf("at://%.*s/%s/%.*s", RK_SLICE_ARG(one->did),
			rk_collections[one->collection].nsid, RK_SLICE_ARG(one->rkey)),
		"path", rk_event_said_json(rk_slice_str(path)), "text",
		rk_event_said_json(rk_slice_str(text)));

	c->findings++;
	if (event && !c->run->emit(c->run->context, event))
		c->gone = true;
}

static void one_check(struct checking *c, const struct one *one)
{
	json_t *record =
		json_loadb((const char *)one->json.data, one->json.len, JSON_ALLOW_NUL, NULL);
	size_t wrong;

	c->one = one;
	wrong = rk_lexicon_check_record(
		&c->set, rk_collections[one->collection].nsid, one->rkey, record, tell, c);
	c->records++;
	c->invalid += wrong > 0;
	json_decref(record);
}

int rk_operation_lexicon(const struct rk_operation_run *run, json_t *result)
{
	struct checking *c = calloc(1, sizeof(*c));
	struct rk_snapshot *snapshot = NULL;
	struct rk_counts counts = {0};
	int r = -ENOMEM;

	if (!c)
		return RK_EXIT_FINDINGS;
	c->run = run;
	if (rk_lexicons_add_own(&c->set))
		r = rk_snapshot_create(&snapshot, run->service->store);
	if (r == 0)
		r = rk_snapshot_begin(snapshot);
	if (r == 0) {
		r = rk_read_counts(snapshot, &counts);
		rk_snapshot_end(snapshot);
	}
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		c->total += counts.records[i];
	while (r == 0 && !c->gone && !atomic_load(run->stop)) {
		r = batch_take(&c->batch, snapshot);
		for (size_t i = 0; (r == 0 || r == RK_STORE_ABSENT) && i < c->batch.count; i++)
			one_check(c, &c->batch.list[i]);
		rk_operation_progress((void *)run, c->records, c->total);
	}
	if (r && r != RK_STORE_ABSENT)
		rk_operation_error(run, "the index cannot be read to its end: see `refkey check`");
	json_object_set_new(result, "records", json_integer((json_int_t)c->records));
	json_object_set_new(result, "invalid", json_integer((json_int_t)c->invalid));
	json_object_set_new(result, "findings", json_integer((json_int_t)c->findings));
	json_object_set_new(result, "stopped", json_boolean(r == 0));
	r = r == RK_STORE_ABSENT && !c->findings ? RK_EXIT_DONE : RK_EXIT_FINDINGS;
	rk_snapshot_destroy(snapshot);
	rk_lexicons_finish(&c->set);
	rk_arena_finish(&c->batch.arena);
	free(c);
	return r;
}

struct printing {
	bool json;
	struct rk_event_list findings;
	struct rk_progress progress;
};

static void print_json(struct printing *p, const json_t *event, bool ended)
{
	json_t *copy = rk_event_copy(event);

	if (ended)
		rk_event_list_end(&p->findings, copy);
	else
		rk_event_list_add(&p->findings, copy);
	json_decref(copy);
}

static void print(void *context, const json_t *event)
{
	struct printing *p = context;
	const char *kind = rk_event_text(event, "event");

	if (rk_event_print_usual(&p->progress, event))
		return;
	rk_progress_make_way(&p->progress);
	if (strcmp(kind, "line") == 0 && p->json) {
		print_json(p, event, false);
	} else if (strcmp(kind, "line") == 0) {
		const char *path = rk_event_text(event, "path");

		printf("%s: %s %s\n", rk_event_text(event, "uri"), *path ? path : "the record",
			rk_event_text(event, "text"));
	} else if (rk_event_has_summary(event) && p->json) {
		print_json(p, event, true);
	} else if (json_object_get(event, "records")) {
		json_int_t records = rk_event_number(event, "records"),
			   invalid = rk_event_number(event, "invalid");

		printf("%" JSON_INTEGER_FORMAT " record%s, %" JSON_INTEGER_FORMAT " %s\n", records,
			records == 1 ? "" : "s", invalid,
			invalid == 1 ? "does not fit its lexicon" : "do not fit their lexicon");
		if (json_is_true(json_object_get(event, "stopped")))
			puts("Stopped before the end.");
	}
}

int rk_lexicon_records(const struct rk_command_call *call)
{
	struct printing p = {.json = call->options->json, .findings.name = "findings"};
	json_t *request = json_object();
	int code;

	if (!request)
		return RK_EXIT_FINDINGS;
	rk_progress_init(&p.progress);
	rk_progress_show(&p.progress, 0, 0);
	code = rk_operation_perform(call, "lexicon", request, print, &p);
	rk_progress_finish(&p.progress);
	return code;
}
