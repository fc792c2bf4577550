/*
 * A whole repo of any number of moods: made, and verified as a fetched one is.
 *
 *   bench_car FILE RECORDS     makes the CAR, of did:plc:aaaaaaaaaaaaaaaaaaaaaaaa under a key of 32 bytes of 01
 *
 * Prints a JSON object: bytes, MB a second of CPU, memory of our own in KiB while it is verified.
 */
#include <fcntl.h>
#include <secp256k1.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atproto/mst.h"
#include "atproto/verify.h"
#include "base/clock.h"
#include "tests/bench/tool.h"

#define DID        "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
#define COLLECTION "computer.aesthetic.mood"

struct entry {
	char key[64];
	uint8_t layer;
	struct rk_cid value;
};

static FILE *out;
static struct rk_buf block; /* the one being made */

static void varint_write(size_t value)
{
	for (; value > 127; value >>= 7)
		fputc((int)(value & 127) | 128, out);
	fputc((int)value, out);
}

/* Writes the block and forgets it. */
static struct rk_cid block_write(void)
{
	struct rk_cid cid;

	must(!rk_buf_failed(&block), "memory");
	rk_cid_compute(&cid, RK_CODEC_DAG_CBOR, rk_buf_slice(&block));
	varint_write(RK_CID_BYTES + block.len);
	fwrite(cid.bytes, 1, RK_CID_BYTES, out);
	fwrite(block.data, 1, block.len, out);
	rk_buf_clear(&block);
	return cid;
}

static void text_put(const char *text)
{
	rk_cbor_put_text(&block, rk_slice_str(text));
}

static void record_write(struct entry *entry, uint64_t number)
{
	int64_t ms = INT64_C(1672531200000) + (int64_t)number * 60000;
	char rkey[RK_TID_LEN + 1], when[RK_CLOCK_ISO_SIZE], text[64];

	rk_tid_format(rkey, (uint64_t)ms * 1000 << 10 | (number * 7919 & 1023));
	snprintf(entry->key, sizeof(entry->key), COLLECTION "/%s", rkey);
	entry->layer = (uint8_t)rk_mst_layer(rk_slice_str(entry->key));
	rk_clock_iso(when, ms);
	rk_cbor_put_map(&block, 4);
	text_put("ref");
	/* An ObjectId of that time, the rest as good as random. */
	snprintf(text, sizeof(text), "%08x%016llx", (unsigned)(ms / 1000),
		(unsigned long long)(number * UINT64_C(0x9e3779b97f4a7c15)));
	text_put(text);
	text_put("mood");
	snprintf(text, sizeof(text), "mood %llu of many, and a few words more",
		(unsigned long long)number);
	text_put(text);
	text_put("when");
	text_put(when);
	text_put("$type");
	text_put(COLLECTION);
	entry->value = block_write();
}

/* The node of a layer over some entries, and all below it. */
static struct rk_cid node_write(const struct entry *entries, size_t count, unsigned layer)
{
	struct rk_cid *below = NULL;
	bool *set = NULL;
	size_t own = 0, at = 0, start = 0;
	const char *last = "";

	for (size_t i = 0; i < count; i++)
		own += entries[i].layer == layer;
	below = calloc(own + 1, sizeof(*below));
	set = calloc(own + 1, sizeof(*set));
	must(below && set, "memory");
	for (size_t i = 0; i <= count; i++) {
		if (i < count && entries[i].layer != layer)
			continue;
		set[at] = i > start;
		if (set[at])
			below[at] = node_write(entries + start, i - start, layer - 1);
		start = i + 1;
		at++;
	}
	rk_cbor_put_map(&block, 2);
	text_put("e");
	rk_cbor_put_array(&block, own);
	at = 0;
	for (size_t i = 0; i < count; i++) {
		size_t prefix = 0;

		if (entries[i].layer != layer)
			continue;
		while (last[prefix] && last[prefix] == entries[i].key[prefix])
			prefix++;
		at++;
		rk_cbor_put_map(&block, 4);
		text_put("k");
		rk_cbor_put_bytes(&block, rk_slice_str(entries[i].key + prefix));
		text_put("p");
		rk_cbor_put_int(&block, (int64_t)prefix);
		text_put("t");
		if (set[at])
			rk_cbor_put_cid(&block, &below[at]);
		else
			rk_cbor_put_null(&block);
		text_put("v");
		rk_cbor_put_cid(&block, &entries[i].value);
		last = entries[i].key;
	}
	text_put("l");
	if (set[0])
		rk_cbor_put_cid(&block, &below[0]);
	else
		rk_cbor_put_null(&block);
	free(below);
	free(set);
	return block_write();
}

static void commit_put(const struct rk_cid *data, const uint8_t *signature)
{
	char rev[RK_TID_LEN + 1];

	rk_tid_format(rev, UINT64_C(1750000000000000) << 10);
	rk_cbor_put_map(&block, signature ? 6 : 5);
	text_put("did");
	text_put(DID);
	text_put("rev");
	text_put(rev);
	if (signature) {
		text_put("sig");
		rk_cbor_put_bytes(&block, rk_slice_make(signature, 64));
	}
	text_put("data");
	rk_cbor_put_cid(&block, data);
	text_put("prev");
	rk_cbor_put_null(&block);
	text_put("version");
	rk_cbor_put_int(&block, 3);
}

static struct rk_cid commit_write(const struct rk_cid *data, struct rk_key *key)
{
	secp256k1_context *context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
	uint8_t secret[32], digest[RK_SHA256_BYTES], bytes[64], point[33];
	secp256k1_ecdsa_signature signature;
	secp256k1_pubkey public;
	size_t len = sizeof(point);

	memset(secret, 1, sizeof(secret));
	commit_put(data, NULL);
	rk_sha256(digest, rk_buf_slice(&block));
	rk_buf_clear(&block);
	must(secp256k1_ec_pubkey_create(context, &public, secret) &&
			secp256k1_ec_pubkey_serialize(
				context, point, &len, &public, SECP256K1_EC_COMPRESSED) &&
			rk_key_from_point(key, RK_KEY_K256, rk_slice_make(point, len)) &&
			secp256k1_ecdsa_sign(context, &signature, digest, secret, NULL, NULL) &&
			secp256k1_ecdsa_signature_serialize_compact(context, bytes, &signature),
		"signature");
	secp256k1_context_destroy(context);
	commit_put(data, bytes);
	return block_write();
}

static void header_write(const struct rk_cid *root)
{
	rk_cbor_put_map(&block, 2);
	text_put("roots");
	rk_cbor_put_array(&block, 1);
	rk_cbor_put_cid(&block, root);
	text_put("version");
	rk_cbor_put_int(&block, 1);
	varint_write(block.len);
	fwrite(block.data, 1, block.len, out);
	rk_buf_clear(&block);
}

static void make(const char *path, size_t records, struct rk_key *key)
{
	struct entry *entries = calloc(records, sizeof(*entries));
	struct rk_cid root = {{1, RK_CODEC_DAG_CBOR, 0x12, 0x20}};
	unsigned layer = 0;

	out = fopen(path, "wb");
	must(out && entries, path);
	header_write(&root); /* of the same length as the one to come */
	for (size_t i = 0; i < records; i++) {
		record_write(&entries[i], i);
		layer = entries[i].layer > layer ? entries[i].layer : layer;
	}
	root = node_write(entries, records, layer);
	root = commit_write(&root, key);
	rewind(out);
	header_write(&root);
	must(fclose(out) == 0, path);
	rk_buf_finish(&block);
	free(entries);
}

static bool visit(void *context, struct rk_slice key, const struct rk_cid *value)
{
	(void)key;
	(void)value;
	++*(size_t *)context;
	return true;
}

int main(int argc, char **argv)
{
	const struct rk_did did = {.text = RK_SLICE_LIT(DID)};
	struct rk_verify_options options = {.key_needed = true};
	struct rk_verified verified;
	struct rk_key_ready ready;
	double start, best = 1e9;
	size_t records, size, seen;
	struct rk_key key;
	long own = 0, before;
	void *map;
	int fd;

	must(argc == 3, "usage: bench_car FILE RECORDS");
	records = strtoull(argv[2], NULL, 10);
	must(records > 0, "RECORDS");
	make(argv[1], records, &key);
	must(rk_key_ready_make(&ready, &key), "key");
	options.key = &ready;
	options.now_ms = rk_clock_wall_ms();
	fd = open(argv[1], O_RDONLY);
	must(fd >= 0, argv[1]);
	size = (size_t)lseek(fd, 0, SEEK_END);
	map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(map != MAP_FAILED, "mmap");
	before = own_kib();
	for (int i = 0; i < 3; i++) {
		int r;

		seen = 0;
		start = cpu_us();
		r = rk_verify_repo(
			&verified, rk_slice_make(map, size), did, &options, visit, &seen);
		start = (cpu_us() - start) / 1e6;
		must(r == RK_VERDICT_OK && seen == records,
			r > 0 ? rk_verdict_rows[r].help : "entries");
		best = start < best ? start : best;
		own = own_kib() - before;
		rk_blocks_finish(&verified.blocks);
	}
	printf("{\"records\": %zu, \"bytes\": %zu, \"mb_s\": %.1f, \"us_record\": %.3f, \"own\": %ld}\n",
		records, size, (double)size / 1e6 / best, best * 1e6 / (double)records, own);
	munmap(map, size);
	close(fd);
	return 0;
}
