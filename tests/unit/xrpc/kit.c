/* See kit.h. */
#include "tests/unit/xrpc/kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xrpc/methods.h"

static void status_get(void *context, struct rk_service_status *out)
{
	*out = ((struct kit *)context)->status;
}

int kit_setup(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));
	struct rk_store_options options = {.dir = k->dir, .map_bytes = (size_t)1 << 32};
	char error[256];

	snprintf(k->dir, sizeof(k->dir), "/tmp/refkey-xrpc-XXXXXX");
	assert_non_null(mkdtemp(k->dir));
	if (rk_store_open(&k->store, &options, error) != 0)
		fail_msg("%s", error);
	assert_int_equal(rk_writer_create(&k->writer, k->store), 0);
	k->status = (struct rk_service_status){.ready = true, .was_ready = true, .lag_ms = 2500};
	k->service = (struct rk_service){
		.store = k->store,
		.source = RK_SLICE_LIT("https://pds.test"),
		.status = status_get,
		.status_context = k,
	};
	assert_int_equal(rk_call_create(&k->call, &k->service), 0);
	*state = k;
	return 0;
}

static void folder_remove(const char *path)
{
	DIR *dir = opendir(path);

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		char file[512];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

int kit_teardown(void **state)
{
	struct kit *k = *state;

	rk_call_destroy(k->call);
	rk_writer_destroy(k->writer);
	rk_store_close(k->store);
	folder_remove(k->dir);
	free(k);
	return 0;
}

struct repo_job {
	struct kit_repo in;
	rk_repo_id id;
};

static int repo_write(void *context, struct rk_write *w)
{
	struct repo_job *job = context;
	struct rk_identity identity = {.handle = rk_slice_str(job->in.handle)};
	struct rk_repo repo;
	int r = rk_write_repo_make(w, &repo, rk_slice_str(job->in.did));

	if (r)
		return r;
	job->id = repo.id;
	repo.sync = (uint8_t)job->in.sync;
	repo.account = (uint8_t)job->in.account;
	if (job->in.rev)
		rk_tid_parse(&repo.rev, rk_slice_str(job->in.rev));
	r = rk_write_repo(w, &repo);
	return r ? r : rk_write_identity(w, rk_slice_str(job->in.did), &identity);
}

rk_repo_id kit_repo(struct kit *k, struct kit_repo repo)
{
	struct repo_job job = {.in = repo};

	assert_int_equal(rk_writer_call(k->writer, repo_write, &job), 0);
	return job.id;
}

struct records_job {
	const struct kit_record *records;
	size_t count;
};

static int record_write(struct rk_write *w, const struct kit_record *in)
{
	struct rk_change_record record = {
		.collection = in->collection,
		.rkey = rk_slice_str(in->rkey),
		.read.facts = {.ref = rk_slice_str(in->ref),
			.code = rk_slice_str(in->code),
			.slug = rk_slice_str(in->slug),
			.has_when = in->when_ms != 0,
			.when_ms = in->when_ms},
	};
	struct rk_change change = {
		.repo = in->repo,
		.source = RK_CHANGE_LIVE,
		.records = &record,
		.count = 1,
		.now_us = in->now_us ? in->now_us : 1767323045678000,
	};
	struct rk_link_result link = {
		.repo = in->repo,
		.collection = in->collection,
		.rkey = record.rkey,
		.set_link = true,
		.link = in->link,
	};
	char json[1024];
	int r;

	snprintf(json, sizeof(json), "{\"rkey\":\"%s\"}", in->rkey);
	record.read.json = rk_slice_str(in->json ? in->json : json);
	if (!rk_cid_from_text(&record.cid, rk_slice_str(KIT_CID)))
		return -1;
	r = rk_write_change(w, &change);
	if (r == 0 && in->link != RK_LINK_UNKNOWN)
		r = rk_write_link(w, &link);
	return r;
}

static int records_write(void *context, struct rk_write *w)
{
	struct records_job *job = context;
	int r = 0;

	for (size_t i = 0; r == 0 && i < job->count; i++)
		r = record_write(w, &job->records[i]);
	return r;
}

void kit_records(struct kit *k, const struct kit_record *records, size_t count)
{
	struct records_job job = {.records = records, .count = count};

	assert_int_equal(rk_writer_call(k->writer, records_write, &job), 0);
}

void kit_record(struct kit *k, struct kit_record record)
{
	kit_records(k, &record, 1);
}

const char *kit_ask(
	struct kit *k, int *status, const char *method, const char *target, bool authorization)
{
	struct rk_http http = {
		.method = rk_slice_str(method),
		.target = rk_slice_str(target),
		.authorization = authorization,
	};

	rk_call_run(k->call, &http);
	if (status)
		*status = k->call->reply.status;
	return rk_buf_cstr(&k->call->reply.body);
}

const char *kit_get(struct kit *k, int *status, const char *target)
{
	return kit_ask(k, status, "GET", target, false);
}

static const char *method_get(struct kit *k, int *status, const char *method_and_query)
{
	char target[4096];

	snprintf(target, sizeof(target), "/xrpc/" RK_XRPC_GROUP "%s", method_and_query);
	return kit_get(k, status, target);
}

void kit_expect(struct kit *k, const char *method_and_query, const char *body)
{
	int status;
	const char *got = method_get(k, &status, method_and_query);

	if (status != 200 || strcmp(got, body) != 0)
		fail_msg("%s\n  gives %d %s\n  not   200 %s", method_and_query, status, got, body);
}

void kit_expect_error(struct kit *k, const char *method_and_query, int status, const char *name,
	const char *message_part)
{
	char head[128];
	int got_status;
	const char *got = method_get(k, &got_status, method_and_query);

	snprintf(head, sizeof(head), "{\"error\":\"%s\",\"message\":\"", name);
	if (got_status != status || strncmp(got, head, strlen(head)) != 0 ||
		!strstr(got, message_part))
		fail_msg("%s\n  gives %d %s\n  not   %d %s … %s", method_and_query, got_status, got,
			status, name, message_part);
}
