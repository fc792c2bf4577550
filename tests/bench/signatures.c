/*
 * What the check of a signature alone takes, of many different ones under keys of their own: nothing of
 * one check is left in a cache or a branch predictor for the next, as on a stream. Prints a JSON object of
 * microseconds of CPU, the median of several runs.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <secp256k1.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/tool.h"

enum { MANY = 1024, RUNS = 21 };

static struct {
	uint8_t digest[32];
	secp256k1_pubkey k256;
	secp256k1_ecdsa_signature k256_signature;
	EC_KEY *p256;
	ECDSA_SIG *p256_signature;
} all[MANY];

static uint8_t draw(void)
{
	static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint8_t)(state * UINT64_C(2685821657736338717) >> 56);
}

static void make(void)
{
	secp256k1_context *signer = secp256k1_context_create(SECP256K1_CONTEXT_NONE);

	for (int i = 0; i < MANY; i++) {
		uint8_t secret[32];

		for (int j = 0; j < 32; j++) {
			secret[j] = draw();
			all[i].digest[j] = draw();
		}
		must(secp256k1_ec_pubkey_create(signer, &all[i].k256, secret) &&
				secp256k1_ecdsa_sign(signer, &all[i].k256_signature, all[i].digest,
					secret, NULL, NULL),
			"k256");
		all[i].p256 = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
		must(all[i].p256 && EC_KEY_generate_key(all[i].p256) == 1, "P-256 key");
		all[i].p256_signature = ECDSA_do_sign(all[i].digest, 32, all[i].p256);
		must(all[i].p256_signature, "P-256");
	}
	secp256k1_context_destroy(signer);
}

static void k256(int i)
{
	must(secp256k1_ecdsa_verify(
		     secp256k1_context_static, &all[i].k256_signature, all[i].digest, &all[i].k256),
		"k256 signature");
}

static void p256(int i)
{
	must(ECDSA_do_verify(all[i].digest, 32, all[i].p256_signature, all[i].p256) == 1,
		"P-256 signature");
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double measure(void (*check)(int))
{
	double runs[RUNS];

	for (int run = 0; run < RUNS; run++) {
		double start = cpu_us();

		for (int i = 0; i < MANY; i++)
			check(i);
		runs[run] = (cpu_us() - start) / MANY;
	}
	qsort(runs, RUNS, sizeof(*runs), order);
	return runs[RUNS / 2];
}

int main(void)
{
	make();
	printf("{\"k256\": %.2f, ", measure(k256));
	printf("\"p256\": %.2f}\n", measure(p256));
	for (int i = 0; i < MANY; i++) {
		EC_KEY_free(all[i].p256);
		ECDSA_SIG_free(all[i].p256_signature);
	}
	return 0;
}
