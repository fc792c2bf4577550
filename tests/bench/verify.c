/*
 * CPU of one commit of 2.4 KB of blocks, by step, as ratios to a bare check of its signature in the
 * same run: bench_verify FOLDER (of the fixtures). Prints a JSON object; times are microseconds, of
 * several runs the quickest.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <secp256k1.h>
#include <stdio.h>
#include <stdlib.h>

#include "atproto/ops.h"
#include "atproto/verify.h"
#include "tests/bench/tool.h"

enum { RUNS = 15, TIMES = 1000 };

/* What each step works on. */
static struct {
	struct rk_slice frame;
	struct rk_arena arena;
	struct rk_event event;
	struct rk_verified verified;
	struct rk_ops ops;
	struct rk_key_ready key;
	struct rk_verify_options options;
	uint8_t digest[RK_SHA256_BYTES];
	/* bare */
	secp256k1_pubkey k256;
	secp256k1_ecdsa_signature k256_signature;
	EC_KEY *p256;
	ECDSA_SIG *p256_signature;
} w;

static double measure(void (*step)(void))
{
	double best = 1e9;

	for (int run = 0; run < RUNS; run++) {
		double start = cpu_us(), each;

		for (int i = 0; i < TIMES; i++)
			step();
		each = (cpu_us() - start) / TIMES;
		if (each < best)
			best = each;
	}
	return best;
}

static void bare_k256(void)
{
	must(secp256k1_ecdsa_verify(secp256k1_context_static, &w.k256_signature, w.digest, &w.k256),
		"k256 signature");
}

static void bare_p256(void)
{
	must(ECDSA_do_verify(w.digest, sizeof(w.digest), w.p256_signature, w.p256) == 1,
		"P-256 signature");
}

static void parse(void)
{
	must(rk_event_parse(&w.event, &w.arena, w.frame) == RK_EVENT_OK, "frame");
	rk_arena_reset(&w.arena);
}

static void hash(void)
{
	struct rk_blocks blocks;

	must(rk_blocks_load(&blocks, &w.arena, w.event.blocks, SIZE_MAX) == RK_BLOCKS_OK, "blocks");
	rk_arena_reset(&w.arena);
}

static void commit(void)
{
	must(rk_commit_parse(&w.verified.commit, w.verified.commit.block), "commit");
	rk_commit_digest(w.digest, &w.verified.commit);
}

static void signature(void)
{
	must(rk_signature_check(w.options.checker, &w.key, w.digest, w.verified.commit.sig) ==
			RK_SIGNATURE_OK,
		"signature");
}

static void inversion(void)
{
	struct rk_arena arena = {0};
	struct rk_cid root;

	/* The event's operations and the blocks are in w.arena, which stays. */
	must(rk_ops_load(&w.ops, &arena, &w.event) == RK_OPS_OK, "operations");
	must(rk_mst_edit(&root, &arena, &w.verified.blocks, &w.verified.commit.data, w.ops.edits,
		     w.ops.count) == RK_MST_EDIT_OK &&
			rk_cid_equal(&root, &w.event.prev_data),
		"inversion");
	rk_arena_finish(&arena);
}

static void whole(void)
{
	must(rk_event_parse(&w.event, &w.arena, w.frame) == RK_EVENT_OK, "frame");
	must(rk_verify_commit(&w.verified, &w.arena, &w.event, &w.options) == RK_VERDICT_OK,
		"commit");
	rk_arena_reset(&w.arena);
}

static struct rk_slice file_read(const char *folder, const char *name)
{
	char path[4096];
	uint8_t *bytes = malloc(RK_FRAME_MOST);
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	must(file && bytes, path);
	len = fread(bytes, 1, RK_FRAME_MOST, file);
	fclose(file);
	return rk_slice_make(bytes, len);
}

static void load(const char *folder, const char *frame, const char *multibase)
{
	struct rk_key key;

	w.frame = file_read(folder, frame);
	must(rk_key_from_multibase(&key, rk_slice_str(multibase)) &&
			rk_key_ready_make(&w.key, &key),
		"key");
	w.options = (struct rk_verify_options){
		.key = &w.key,
		.key_needed = true,
		.checker = rk_key_checker_create(),
		.now_ms = INT64_MAX / 2000,
	};
	must(rk_event_parse(&w.event, &w.arena, w.frame) == RK_EVENT_OK, "frame");
	must(rk_verify_commit(&w.verified, &w.arena, &w.event, &w.options) == RK_VERDICT_OK,
		"commit");
	rk_commit_digest(w.digest, &w.verified.commit);
	if (key.type == RK_KEY_K256) {
		must(secp256k1_ec_pubkey_parse(
			     secp256k1_context_static, &w.k256, key.point, sizeof(key.point)) &&
				secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static,
					&w.k256_signature, w.verified.commit.sig.data),
			"bare k256");
		return;
	}
	w.p256 = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	w.p256_signature = ECDSA_SIG_new();
	must(w.p256 && w.p256_signature &&
			EC_KEY_oct2key(w.p256, key.point, sizeof(key.point), NULL) &&
			ECDSA_SIG_set0(w.p256_signature,
				BN_bin2bn(w.verified.commit.sig.data, 32, NULL),
				BN_bin2bn(w.verified.commit.sig.data + 32, 32, NULL)),
		"bare P-256");
}

static void unload(void)
{
	rk_key_checker_destroy(w.options.checker);
	ECDSA_SIG_free(w.p256_signature);
	EC_KEY_free(w.p256);
	free((void *)w.frame.data);
	rk_arena_finish(&w.arena);
	memset(&w, 0, sizeof(w));
}

static void report(const char *name, double bare, const char *end)
{
	double checked = measure(signature), commit_us, inversion_us, hash_us, parse_us, whole_us;
	size_t bytes = w.event.blocks.len;

	commit_us = measure(commit);
	inversion_us = measure(inversion);
	whole_us = measure(whole);
	must(rk_event_parse(&w.event, &w.arena, w.frame) == RK_EVENT_OK, "frame");
	hash_us = measure(hash);
	parse_us = measure(parse);
	printf("\"%s\": {\"bytes\": %zu, \"bare\": %.2f, \"parse\": %.2f, \"hash\": %.2f, "
	       "\"commit\": %.2f, \"signature\": %.2f, \"inversion\": %.2f, \"whole\": %.2f, "
	       "\"ratio\": %.3f}%s",
		name, bytes, bare, parse_us, hash_us, commit_us, checked, inversion_us, whole_us,
		whole_us / bare, end);
}

int main(int argc, char **argv)
{
	must(argc == 2, "usage: bench_verify FOLDER");
	load(argv[1], "commit-create.frame", "zQ3shgVXZLaMzm5S5x7XzGUG6YFHFLtoEMiv9ao2Bqa7hGyg2");
	printf("{");
	report("k256", measure(bare_k256), ", ");
	unload();
	load(argv[1], "commit-p256.frame", "zDnaeXxvmFHMHjqgQTbadpWG7gPHwnga1i7SMwxrV2BSdUjAD");
	report("p256", measure(bare_p256), "}\n");
	unload();
	return 0;
}
