/*
 * Makes an index of any size through the store's own writes, one repo a transaction, and prints what
 * the rest of the bench needs to know of it:
 *
 *   bench_fill DIR RECORDS REPOS SAMPLES linked|absent [moods]
 *     linked   as after recovery: every record's document is known and names it
 *     absent   as after a first backfill: no document is there, which is an issue of each
 *     moods    no paintings; else half of a repo's records are
 *
 *   repo DID REV      each repo, as listRepos is to give it
 *   ref COLLECTION REF   SAMPLES of them, evenly spread over the records
 *   space FILE USED JSON bytes: of the file, of its pages in use, of the records' JSON alone
 *
 * The same arguments make the same index, but for the time at which it was indexed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"
#include "store/writer.h"

static const int64_t first_day_us = INT64_C(1672531200000000); /* 2023-01-01 */
static const int64_t span_us = INT64_C(94608000000000);        /* three years */

struct fill {
	uint64_t records, repos, samples;
	bool linked, moods;
	uint64_t random;
	uint64_t made, sampled, json;
	struct rk_writer *writer;
	struct rk_arena arena; /* of one repo */
};

struct entry {
	struct rk_slice key, rkey;
	uint64_t generation;
};

/* One repo on its way into the index. */
struct filling {
	struct fill *fill;
	struct rk_slice did, handle;
	uint64_t rev;
	struct rk_change_record *records;
	size_t count;
	int64_t now_us;
	/* Pending work as found, in the order of the records. */
	struct rk_arena found;
	struct entry *entries;
	size_t entry_count;
};

/* xorshift64*: the same numbers on every run. */
static uint64_t draw(struct fill *f)
{
	f->random ^= f->random >> 12;
	f->random ^= f->random << 25;
	f->random ^= f->random >> 27;
	return f->random * UINT64_C(2685821657736338717);
}

static void fail(const char *what, int r)
{
	fprintf(stderr, "bench_fill: %s: %s\n", what, r < 0 ? strerror(-r) : "unexpected result");
	exit(1);
}

static struct rk_slice keep(struct fill *f, struct rk_buf *text)
{
	char *copy = rk_buf_failed(text) ? NULL : rk_arena_copy(&f->arena, rk_buf_slice(text));
	struct rk_slice out = rk_slice_make(copy, text->len);

	if (!copy)
		fail("text", -ENOMEM);
	rk_buf_finish(text);
	return out;
}

static struct rk_slice letters(struct fill *f, size_t count)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	struct rk_buf out = {0};

	for (size_t i = 0; i < count; i++)
		rk_buf_add_byte(&out, (uint8_t)alphabet[draw(f) >> 32 & 31]);
	return keep(f, &out);
}

/* An ObjectId of that time. */
static struct rk_slice ref_make(struct fill *f, int64_t at_us)
{
	uint32_t seconds = (uint32_t)(at_us / 1000000);
	uint64_t rest = draw(f);
	uint8_t oid[12];
	struct rk_buf out = {0};

	for (int i = 0; i < 4; i++)
		oid[i] = (uint8_t)(seconds >> (24 - 8 * i));
	memcpy(oid + 4, &rest, sizeof(rest));
	rk_hex_encode(&out, rk_slice_make(oid, sizeof(oid)));
	return keep(f, &out);
}

static struct rk_slice mood_text(struct fill *f)
{
	static const char *const words[] = {"calm", "bright", "sleepy", "curious", "noisy", "warm",
		"blue", "round", "tall", "quiet", "salty", "green", "slow", "early", "odd", "soft"};
	size_t count = 1 + (draw(f) >> 32) % 12;
	struct rk_buf out = {0};

	for (size_t i = 0; i < count; i++)
		rk_buf_printf(&out, "%s%s", i ? " " : "", words[draw(f) >> 32 & 15]);
	return keep(f, &out);
}

static void mood_make(struct fill *f, struct rk_change_record *out, const char *when)
{
	struct rk_buf json = {0};

	rk_buf_printf(&json,
		"{\"ref\":\"%.*s\",\"mood\":\"%.*s\",\"when\":\"%s\",\"$type\":\"%s\"}",
		RK_SLICE_ARG(out->read.facts.ref), RK_SLICE_ARG(mood_text(f)), when,
		rk_collections[out->collection].nsid);
	out->read.json = keep(f, &json);
}

static void painting_make(struct fill *f, struct rk_change_record *out, const char *when)
{
	struct rk_facts *facts = &out->read.facts;
	struct rk_buf code = {0}, slug = {0}, json = {0};

	rk_buf_printf(&code, "p%" PRIx64, f->made);
	facts->code = keep(f, &code);
	rk_buf_printf(&slug, "%.10s.%.12s", when, when + 11);
	facts->slug = keep(f, &slug);
	rk_buf_printf(&json,
		"{\"ref\":\"%.*s\",\"code\":\"%.*s\",\"slug\":\"%.*s\",\"when\":\"%s\",\"$type\":\"%s\","
		"\"imageUrl\":\"https://aesthetic.computer/media/paintings/%.*s\",\"thumbnail\":{\"ref\":"
		"{\"$link\":\"bafkrei%.*s\"},\"size\":%u,\"$type\":\"blob\",\"mimeType\":\"image/jpeg\"}}",
		RK_SLICE_ARG(facts->ref), RK_SLICE_ARG(facts->code), RK_SLICE_ARG(facts->slug),
		when, rk_collections[out->collection].nsid, RK_SLICE_ARG(facts->code),
		RK_SLICE_ARG(letters(f, 52)), 10000 + (unsigned)(draw(f) >> 48));
	out->read.json = keep(f, &json);
}

/* Of out->collection. */
static void record_make(struct fill *f, struct rk_change_record *out, int64_t at_us)
{
	char rkey[RK_TID_LEN + 1], when[RK_CLOCK_ISO_SIZE];
	struct rk_buf text = {0};

	rk_tid_format(rkey, (uint64_t)at_us << 10 | (draw(f) >> 32 & 1023));
	rk_buf_add_str(&text, rkey);
	out->rkey = keep(f, &text);
	rk_clock_iso(when, at_us / 1000);
	out->read.facts.ref = ref_make(f, at_us);
	out->read.facts.has_when = true;
	out->read.facts.when_ms = at_us / 1000;
	if (out->collection == RK_COLLECTION_MOOD)
		mood_make(f, out, when);
	else
		painting_make(f, out, when);
	rk_cid_compute(&out->cid, RK_CODEC_DAG_CBOR, out->read.json);
	f->json += out->read.json.len;
	f->made++;
	if (f->made * f->samples / f->records > f->sampled) {
		f->sampled++;
		printf("ref %s %.*s\n", rk_collections[out->collection].nsid,
			RK_SLICE_ARG(out->read.facts.ref));
	}
}

static void records_make(struct fill *f, struct rk_change_record *out, size_t count,
	enum rk_collection_id collection)
{
	int64_t step = span_us / (int64_t)(count + 1);

	for (size_t i = 0; i < count; i++) {
		out[i].collection = (uint8_t)collection;
		record_make(f, &out[i],
			first_day_us + (int64_t)i * step + (int64_t)(draw(f) % (uint64_t)step));
	}
}

static bool entry_add(void *context, const struct rk_pending *pending)
{
	struct filling *filling = context;
	struct entry *entry = &filling->entries[filling->entry_count];
	char *key = rk_arena_copy(&filling->found, pending->key);
	char *rkey = rk_arena_copy(&filling->found, pending->rkey);

	if (!key || !rkey || filling->entry_count == filling->count)
		return false;
	*entry = (struct entry){rk_slice_make(key, pending->key.len),
		rk_slice_make(rkey, pending->rkey.len), pending->generation};
	filling->entry_count++;
	return true;
}

/* What recovery would have said of a record. */
static int record_settle(struct filling *filling, struct rk_write *w, rk_repo_id repo, size_t i)
{
	const struct rk_change_record *record = &filling->records[i];
	const struct entry *entry = &filling->entries[i];
	struct rk_link_result result = {
		.pending_key = entry->key,
		.generation = entry->generation,
		.repo = repo,
		.collection = record->collection,
		.rkey = record->rkey,
		.set_link = true,
		.link = RK_LINK_LINKED,
		.set_owner = true,
		.owner_ref = record->read.facts.ref,
		.owner = {.repo = repo},
	};

	if (!rk_slice_equal(entry->rkey, record->rkey))
		return -EUCLEAN;
	if (!filling->fill->linked) {
		result.link = RK_LINK_NONE;
		result.issues = result.judged = 1u << RK_ISSUE_ABSENT;
		result.message = rk_slice_str("no document, and it may have been erased");
		result.set_owner = false;
	}
	return rk_write_link(w, &result);
}

static int repo_write(void *context, struct rk_write *w)
{
	struct filling *filling = context;
	const struct rk_identity identity = {
		.handle = filling->handle,
		.pds = rk_slice_str("https://pds.example"),
		.key = {.type = RK_KEY_K256, .point = {2}},
		.fetched_ms = filling->now_us / 1000,
	};
	struct rk_change change = {
		.source = RK_CHANGE_FIRST,
		.records = filling->records,
		.count = filling->count,
		.now_us = filling->now_us,
	};
	struct rk_repo repo;
	int r = rk_write_repo_make(w, &repo, filling->did);

	if (r)
		return r;
	repo.did = filling->did;
	repo.rev = filling->rev;
	repo.sync = RK_SYNC_SYNCHRONIZED;
	repo.flags = RK_REPO_BACKFILLED;
	rk_cid_compute(&repo.data, RK_CODEC_DAG_CBOR, filling->did);
	change.repo = repo.id;
	r = rk_write_repo(w, &repo);
	if (r == 0)
		r = rk_write_identity(w, filling->did, &identity);
	if (r == 0)
		r = rk_write_change(w, &change);
	rk_arena_reset(&filling->found);
	filling->entry_count = 0;
	if (r == 0)
		r = rk_read_pending(rk_write_view(w), INT64_MAX, entry_add, filling);
	if (r == 0 && filling->entry_count != filling->count)
		r = -EUCLEAN;
	for (size_t i = 0; r == 0 && i < filling->count; i++)
		r = record_settle(filling, w, repo.id, i);
	return r;
}

static void repo_fill(struct fill *f, uint64_t number)
{
	struct filling filling = {
		.fill = f,
		.count = f->records / f->repos + (number < f->records % f->repos),
		.now_us = rk_clock_wall_us(),
		.rev = (uint64_t)(first_day_us + span_us) << 10,
	};
	size_t moods = f->moods ? filling.count : filling.count / 2;
	struct rk_buf text = {0};
	char rev[RK_TID_LEN + 1];
	int r;

	rk_buf_printf(&text, "did:plc:%.*s", RK_SLICE_ARG(letters(f, 24)));
	filling.did = keep(f, &text);
	rk_buf_printf(&text, "user%" PRIu64 ".test", number);
	filling.handle = keep(f, &text);
	filling.records = rk_arena_calloc(&f->arena, filling.count + 1, sizeof(*filling.records));
	filling.entries = rk_arena_calloc(&f->arena, filling.count + 1, sizeof(*filling.entries));
	if (!filling.records || !filling.entries)
		fail("records", -ENOMEM);
	/* As a repo's tree has them: one collection behind the other, each in the order of time. */
	records_make(f, filling.records, moods, RK_COLLECTION_MOOD);
	records_make(f, filling.records + moods, filling.count - moods, RK_COLLECTION_PAINTING);
	r = rk_writer_call(f->writer, repo_write, &filling);
	if (r)
		fail("writing a repo", r);
	rk_tid_format(rev, filling.rev);
	printf("repo %.*s %s\n", RK_SLICE_ARG(filling.did), rev);
	rk_arena_finish(&filling.found);
	rk_arena_reset(&f->arena);
}

int main(int argc, char **argv)
{
	struct fill f = {.random = UINT64_C(0x9e3779b97f4a7c15)};
	const struct rk_store_options options = {.dir = argc > 1 ? argv[1] : NULL};
	struct rk_store *store;
	struct rk_store_space space;
	char error[256];
	int r;

	if (argc < 6) {
		fputs("usage: bench_fill DIR RECORDS REPOS SAMPLES linked|absent [moods]\n",
			stderr);
		return 2;
	}
	f.records = strtoull(argv[2], NULL, 10);
	f.repos = strtoull(argv[3], NULL, 10);
	f.samples = strtoull(argv[4], NULL, 10);
	f.linked = strcmp(argv[5], "linked") == 0;
	f.moods = argc > 6 && strcmp(argv[6], "moods") == 0;
	if (f.records == 0 || f.repos == 0 || f.records < f.repos)
		fail("RECORDS and REPOS", -EINVAL);
	r = rk_store_open(&store, &options, error);
	if (r) {
		fprintf(stderr, "bench_fill: %s\n", error);
		return 1;
	}
	r = rk_writer_create(&f.writer, store);
	if (r)
		fail("the writer", r);
	for (uint64_t i = 0; i < f.repos; i++)
		repo_fill(&f, i);
	rk_writer_destroy(f.writer);
	rk_store_space(store, &space);
	printf("space %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", space.file_bytes, space.used_bytes,
		f.json);
	rk_store_close(store);
	rk_arena_finish(&f.arena);
	return 0;
}
