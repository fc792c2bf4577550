/*
 * CPU of one commit by how many repos the index has: from the ring to the disk, as the threads do it,
 * with the decoding on one thread here:
 *
 *   bench_commits FOLDER DIR REPOS     FOLDER: of the fixtures; DIR: for an index
 *
 * A transaction has as many commits as under load (RK_RING_HANDFUL), or one of each repo. Each is of another
 * repo, drawn from all of them, under a key of its own: the fixture's, with its DID and signature in place. Prints a JSON object: microseconds of each round's commits by part, memory
 * of our own in KiB.
 */
#include <secp256k1.h>
#include <stdio.h>
#include <stdlib.h>

#include "atproto/verify.h"
#include "base/clock.h"
#include "indexer/apply.h"
#include "indexer/ring.h"
#include "store/writer.h"
#include "tests/bench/tool.h"

enum { COMMITS_LEAST = 1000, ROUNDS = 15, BATCH = 10000 };

static const struct rk_slice source = RK_SLICE_LIT("http://source");

struct fixture {
	struct rk_slice frame;
	uint64_t since;
	struct rk_cid before;
	size_t did[8], dids;     /* where the DID is in it */
	size_t cid[8], cids;     /* … and the digest of the commit's block */
	size_t block, block_len; /* … the block */
	size_t sig;              /* … the signature */
};

struct world {
	struct fixture fixture;
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_snapshot *snapshot;
	struct rk_keys *keys;
	struct rk_ring *ring;
	struct rk_arena scratch;
	secp256k1_context *signer;
	uint64_t repos, from, stride; /* numbers of repos */
	uint64_t count;               /* of those to write */
	size_t commits;               /* of a round, in one transaction: as many as a handful */
};

static void secret_make(uint8_t out[32], uint64_t number)
{
	memset(out, 0x11, 32);
	memcpy(out + 24, &number, sizeof(number));
}

static struct rk_key_ready key_make(const struct world *world, uint64_t number)
{
	struct rk_key_ready key = {.type = RK_KEY_K256};
	size_t len = sizeof(key.point);
	secp256k1_pubkey point;
	uint8_t secret[32];

	secret_make(secret, number);
	must(secp256k1_ec_pubkey_create(world->signer, &point, secret) &&
			secp256k1_ec_pubkey_serialize(
				world->signer, key.point, &len, &point, SECP256K1_EC_UNCOMPRESSED),
		"a key");
	return key;
}

static size_t places(size_t *out, struct rk_slice in, const void *bytes, size_t len)
{
	const uint8_t *at = in.data, *end = in.data + in.len;
	size_t count = 0;

	while (count < 8 && (at = memmem(at, (size_t)(end - at), bytes, len))) {
		out[count++] = (size_t)(at - in.data);
		at += len;
	}
	return count;
}

static void fixture_read(struct fixture *f, struct rk_arena *arena, const char *folder)
{
	const struct rk_verify_options options = {.now_ms = INT64_MAX / 2000};
	uint8_t *bytes = malloc(RK_FRAME_MOST);
	struct rk_verified verified;
	struct rk_event event;
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/commit-create.frame", folder);
	file = fopen(path, "rb");
	must(file && bytes, path);
	f->frame = rk_slice_make(bytes, fread(bytes, 1, RK_FRAME_MOST, file));
	fclose(file);
	must(rk_event_parse(&event, arena, f->frame) == RK_EVENT_OK &&
			rk_verify_commit(&verified, arena, &event, &options) == RK_VERDICT_OK &&
			event.did.text.len == DID_BYTES &&
			verified.commit.sig.len == RK_SIGNATURE_BYTES,
		"the fixture");
	f->since = event.since;
	f->before = event.prev_data;
	f->dids = places(f->did, f->frame, event.did.text.data, DID_BYTES);
	f->cids = places(f->cid, f->frame, rk_cid_digest(&event.commit), RK_SHA256_BYTES);
	f->block = (size_t)(verified.commit.block.data - bytes);
	f->block_len = verified.commit.block.len;
	f->sig = (size_t)(verified.commit.sig.data - bytes);
	must(f->dids == 2 && f->cids == 3, "the fixture's form");
}

static void frame_make(const struct world *world, uint8_t *out, uint64_t number)
{
	const struct fixture *f = &world->fixture;
	uint8_t did[DID_BYTES], digest[RK_SHA256_BYTES], secret[32];
	secp256k1_ecdsa_signature signature;
	struct rk_commit commit;

	memcpy(out, f->frame.data, f->frame.len);
	did_make(did, number);
	for (size_t i = 0; i < f->dids; i++)
		memcpy(out + f->did[i], did, DID_BYTES);
	must(rk_commit_parse(&commit, rk_slice_make(out + f->block, f->block_len)), "a commit");
	rk_commit_digest(digest, &commit);
	secret_make(secret, number);
	must(secp256k1_ecdsa_sign(world->signer, &signature, digest, secret, NULL, NULL) &&
			secp256k1_ecdsa_signature_serialize_compact(
				world->signer, out + f->sig, &signature),
		"a signature");
	rk_sha256(digest, rk_slice_make(out + f->block, f->block_len));
	for (size_t i = 0; i < f->cids; i++)
		memcpy(out + f->cid[i], digest, RK_SHA256_BYTES);
}

/* Repos as they are before the commit. */
static int repos_write(void *context, struct rk_write *w)
{
	const struct world *world = context;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < world->count; i++) {
		uint64_t number = (world->from + i * world->stride) % world->repos;
		struct rk_identity identity = {.fetched_ms = rk_clock_wall_ms()};
		uint8_t did[DID_BYTES];
		struct rk_repo repo;
		bool known;

		did_make(did, number);
		known = rk_read_repo_by_did(
				rk_write_view(w), &repo, rk_slice_make(did, DID_BYTES)) == 0;
		if (!known)
			r = rk_write_repo_make(w, &repo, rk_slice_make(did, DID_BYTES));
		repo.did = rk_slice_make(did, DID_BYTES);
		repo.sync = RK_SYNC_SYNCHRONIZED;
		repo.rev = world->fixture.since;
		repo.data = world->fixture.before;
		if (r == 0)
			r = rk_write_repo(w, &repo);
		if (r == 0 && !known) {
			identity.key = key_make(world, number);
			r = rk_write_identity(w, repo.did, &identity);
		}
	}
	return r;
}

static void ask(void *context, struct rk_slice did)
{
	must(false, "a DID document is asked for");
}

static void wish(void *context, struct rk_slice did, bool known)
{
	ask(context, did);
}

static bool waits(void *context, struct rk_slice did)
{
	return false;
}

/* All that is ready, as the writer takes it. */
static int all_apply(void *context, struct rk_write *w)
{
	struct world *world = context;
	struct rk_stream_notes notes = {0};
	struct rk_course course = {0};
	const struct rk_apply apply = {.source = source,
		.notes = &notes,
		.identity = wish,
		.doubt = ask,
		.waits = waits,
		.course = &course};
	const struct rk_slot *slot;
	int r = rk_course_read(&course, rk_write_view(w), source);

	for (size_t i = 0; r == 0 && (slot = rk_ring_ready(world->ring, i)); i++) {
		must(slot->decoded.verdict == RK_VERDICT_OK, "a verdict");
		r = rk_apply(&apply, w, &slot->decoded, rk_clock_wall_us(), false);
		rk_course_take(&course, slot->decoded.event.seq);
	}
	return r ? r : rk_course_write(&course, w, source);
}

static void decode_all(struct world *world)
{
	for (size_t i = 0; i < world->commits; i++) {
		struct rk_slot *slot = rk_ring_work(world->ring);

		must(rk_snapshot_begin(world->snapshot) == 0 &&
				rk_decode(&slot->decoded, &slot->arena, &world->scratch,
					rk_slice_make(slot->frame, slot->len), rk_clock_wall_ms(),
					world->keys, world->snapshot) == 0,
			"decoding");
		rk_snapshot_end(world->snapshot);
		rk_arena_reset(&world->scratch);
		rk_ring_worked(world->ring, slot);
	}
}

static void round_run(struct world *world, int round)
{
	const size_t len = world->fixture.frame.len, commits = world->commits;
	uint8_t *frames = malloc(len * commits);
	double start, decoded, end;

	world->from = (uint64_t)round * commits;
	world->stride = world->repos / commits;
	world->count = commits;
	must(frames && rk_writer_call(world->writer, repos_write, world) == 0, "repos");
	for (uint64_t i = 0; i < commits; i++)
		frame_make(
			world, frames + i * len, (world->from + i * world->stride) % world->repos);
	start = cpu_us();
	for (size_t i = 0; i < commits; i++)
		must(rk_ring_push(world->ring, rk_slice_make(frames + i * len, len), false, false),
			"room");
	decode_all(world);
	decoded = cpu_us();
	must(rk_writer_call(world->writer, all_apply, world) == 0, "applying");
	rk_ring_release(world->ring, commits);
	end = cpu_us();
	free(frames);
	printf("%s[%.2f, %.2f]", round ? ", " : "", (decoded - start) / (double)commits,
		(end - decoded) / (double)commits);
}

int main(int argc, char **argv)
{
	static const char *const origins[] = {NULL};
	const struct rk_store_options options = {.dir = argc > 2 ? argv[2] : NULL};
	struct world world = {.stride = 1};
	struct rk_arena arena = {0};
	char error[256];

	must(argc == 4, "usage: bench_commits FOLDER DIR REPOS");
	world.repos = strtoull(argv[3], NULL, 10);
	must(world.repos >= COMMITS_LEAST, "1,000 repos at least");
	world.commits = world.repos < RK_RING_HANDFUL ? world.repos : RK_RING_HANDFUL;
	fixture_read(&world.fixture, &arena, argv[1]);
	world.signer = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
	must(rk_store_open(&world.store, &options, error) == 0, error);
	must(rk_writer_create(&world.writer, world.store) == 0 &&
			rk_snapshot_create(&world.snapshot, world.store) == 0,
		"memory");
	for (; world.from < world.repos; world.from += world.count) {
		world.count = world.repos - world.from < BATCH ? world.repos - world.from : BATCH;
		must(rk_writer_call(world.writer, repos_write, &world) == 0, "repos");
	}
	world.ring = rk_ring_create();
	world.keys = rk_keys_create(origins);
	must(world.ring && world.keys, "memory");
	printf("{\"rounds\": [");
	for (int round = 0; round < ROUNDS; round++)
		round_run(&world, round);
	printf("], \"own\": %ld}\n", own_kib());
	rk_arena_finish(&world.scratch);
	rk_arena_finish(&arena);
	rk_ring_destroy(world.ring);
	rk_keys_destroy(world.keys);
	rk_snapshot_destroy(world.snapshot);
	rk_writer_destroy(world.writer);
	rk_store_close(world.store);
	secp256k1_context_destroy(world.signer);
	free((void *)world.fixture.frame.data);
	return 0;
}
