/* Rules of atproto/verify on signatures: who must have signed, and what a bad one is called. */
#include "tests/unit/atproto/message.h"

#include <errno.h>
#include <stdio.h>

static const char *const messages[] = {"tests/fixtures/commit-init.frame",
	"tests/fixtures/commit-create.frame", "tests/fixtures/commit-ops.frame",
	"tests/fixtures/sync.frame"};
enum { MESSAGES = sizeof(messages) / sizeof(messages[0]) };

static struct rk_key_ready k256, p256, other, none;

static int keys_setup(void **state)
{
	char secret[] = SIGN_SECRET;

	k256 = sign_key_ready(RK_KEY_K256, secret);
	p256 = sign_key_ready(RK_KEY_P256, secret);
	secret[0] = 2;
	other = sign_key_ready(RK_KEY_K256, secret);
	return 0;
}

static struct rk_verify_options under(const struct rk_key_ready *key)
{
	struct rk_verify_options options = later;

	options.key = key;
	return options;
}

static void fixtures_are_signed_with_the_key_they_name(void **state)
{
	struct rk_slice text = rk_test_read_source("tests/fixtures/repo.txt");
	const char *start = strstr((const char *)text.data, "did:key:") + strlen("did:key:");
	struct rk_key key, expected = sign_key(RK_KEY_K256, SIGN_SECRET);

	assert_true(rk_key_from_multibase(
		&key, rk_slice_make(start, (size_t)(strchr(start, '\n') - start))));
	assert_memory_equal(&key, &expected, sizeof(key));
	free((void *)text.data);
}

typedef void change(struct message *m);

static void nothing(struct message *m)
{
}

static void signed_anew(struct message *m)
{
	message_sign(m, RK_KEY_K256, SIGN_SECRET);
}

static void signed_under_p256(struct message *m)
{
	message_sign(m, RK_KEY_P256, SIGN_SECRET);
}

static void signed_high(struct message *m, enum rk_key_type type)
{
	uint8_t signature[RK_SIGNATURE_BYTES];

	message_sign(m, type, SIGN_SECRET);
	memcpy(signature, message_commit(m->event.blocks).sig.data, sizeof(signature));
	sign_turn_s(signature, type);
	message_sign_as(m, rk_slice_make(signature, sizeof(signature)));
}

static void signed_high_under_k256(struct message *m)
{
	signed_high(m, RK_KEY_K256);
}

static void signed_high_under_p256(struct message *m)
{
	signed_high(m, RK_KEY_P256);
}

static void signature_of_another_commit(struct message *m)
{
	struct message donor;

	message_init(&donor, m->event.seq == 1 ? messages[1] : messages[0]);
	message_sign_as(m, message_commit(donor.event.blocks).sig);
	message_finish(&donor);
}

static void signature_cut(struct message *m)
{
	struct rk_slice sig = message_commit(m->event.blocks).sig;

	message_sign_as(m, rk_slice_sub(sig, 0, sig.len - 1));
}

static void signature_longer(struct message *m)
{
	uint8_t longer[RK_SIGNATURE_BYTES + 1] = {0};

	memcpy(longer, message_commit(m->event.blocks).sig.data, RK_SIGNATURE_BYTES);
	message_sign_as(m, rk_slice_make(longer, sizeof(longer)));
}

static void signature_absent(struct message *m)
{
	message_sign_as(m, (struct rk_slice){0});
}

static void signature_of_zeros(struct message *m)
{
	static const uint8_t zeros[RK_SIGNATURE_BYTES];

	message_sign_as(m, rk_slice_make(zeros, sizeof(zeros)));
}

static const struct {
	const char *what;
	change *change;
	const struct rk_key_ready *key;
	enum rk_verdict verdict;
} rows[] = {
	{"good", nothing, &k256, RK_VERDICT_OK},
	{"signed anew", signed_anew, &k256, RK_VERDICT_OK},
	{"good under P-256", signed_under_p256, &p256, RK_VERDICT_OK},
	{"no usable key", nothing, &none, RK_VERDICT_KEY_MISSING},
	{"another key", nothing, &other, RK_VERDICT_SIGNATURE_WRONG},
	/* Halves of the orders differ by 2^-33: what is low for one curve is for the other. */
	{"key of the other curve", signed_anew, &p256, RK_VERDICT_SIGNATURE_WRONG},
	{"and the other way", signed_under_p256, &k256, RK_VERDICT_SIGNATURE_WRONG},
	{"signature of another commit", signature_of_another_commit, &k256,
		RK_VERDICT_SIGNATURE_WRONG},
	{"high S", signed_high_under_k256, &k256, RK_VERDICT_SIGNATURE_HIGH_S},
	{"high S under P-256", signed_high_under_p256, &p256, RK_VERDICT_SIGNATURE_HIGH_S},
	{"63 bytes", signature_cut, &k256, RK_VERDICT_SIGNATURE_MALFORMED},
	{"65 bytes", signature_longer, &k256, RK_VERDICT_SIGNATURE_MALFORMED},
	{"no bytes", signature_absent, &k256, RK_VERDICT_SIGNATURE_MALFORMED},
	{"zeros", signature_of_zeros, &k256, RK_VERDICT_SIGNATURE_MALFORMED},
};

static void commits_and_syncs_are_checked(void **state)
{
	struct rk_key_checker *checker = rk_key_checker_create();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t at = 0; at < MESSAGES; at++) {
			struct rk_verify_options options = under(rows[i].key);
			struct message m;
			int verdict;

			message_init(&m, messages[at]);
			rows[i].change(&m);
			verdict = message_verify(&m, &options);
			if (verdict != (int)rows[i].verdict)
				fail_msg("%s: %s: %s", messages[at], rows[i].what,
					rk_verdict_rows[verdict].name);
			options.checker = checker;
			assert_int_equal(message_verify(&m, &options), verdict);
			message_finish(&m);
		}
	}
	rk_key_checker_destroy(checker);
}

static void p256_of_the_reference_is_believed(void **state)
{
	struct rk_verify_options options = under(&p256);
	struct message m;

	message_init(&m, "tests/fixtures/commit-p256.frame");
	assert_int_equal(message_verify(&m, &options), RK_VERDICT_OK);
	options.key = &k256;
	assert_int_equal(message_verify(&m, &options), RK_VERDICT_SIGNATURE_WRONG);
	message_finish(&m);
}

static bool pass(void *context, struct rk_slice key, const struct rk_cid *value)
{
	return true;
}

static int verify_repo(struct rk_slice car, const struct rk_verify_options *options)
{
	struct rk_verified verified;
	int result = rk_verify_repo(&verified, car, did, options, pass, NULL);

	rk_blocks_finish(&verified.blocks);
	return result;
}

static void whole_repos_are_checked(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo.car");
	struct rk_verify_options options = under(&k256);
	struct rk_buf changed = {0};
	uint8_t high[RK_SIGNATURE_BYTES];

	assert_int_equal(verify_repo(car, &options), RK_VERDICT_OK);
	options.key = &other;
	assert_int_equal(verify_repo(car, &options), RK_VERDICT_SIGNATURE_WRONG);
	options.key = &none;
	assert_int_equal(verify_repo(car, &options), RK_VERDICT_KEY_MISSING);
	options.key = &k256;
	memcpy(high, message_commit(car).sig.data, sizeof(high));
	sign_turn_s(high, RK_KEY_K256);
	message_car_sign(&changed, car, rk_slice_make(high, sizeof(high)));
	assert_int_equal(
		verify_repo(rk_buf_slice(&changed), &options), RK_VERDICT_SIGNATURE_HIGH_S);
	rk_buf_finish(&changed);
	free((void *)car.data);
}

/* Where the commit is not the account's, nothing else of the repo is worth a look. */
static void a_repo_is_refused_by_its_commit_first(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo.car");
	struct rk_verify_options options = under(&k256);

	((uint8_t *)car.data)[car.len - 1] ^= 1;
	assert_int_equal(verify_repo(car, &options), RK_VERDICT_BLOCK_CID);
	options.key = &other;
	assert_int_equal(verify_repo(car, &options), RK_VERDICT_SIGNATURE_WRONG);
	free((void *)car.data);
}

static void the_start_of_a_repo_tells_of_its_commit(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo.car");
	struct rk_verify_options options = under(&k256), wrong = under(&other);
	struct rk_car_block first;
	struct rk_car reader;
	struct rk_buf changed = {0};
	struct rk_slice data;
	size_t end;

	assert_true(rk_car_open(&reader, car) && rk_car_next(&reader, &first));
	end = first.offset + first.bytes.len;
	for (size_t len = 0; len < end; len++)
		assert_int_equal(
			rk_verify_repo_start(rk_slice_sub(car, 0, len), did, &options), -EAGAIN);
	for (size_t len = end; len < end + 100; len++) {
		data = rk_slice_sub(car, 0, len);
		assert_int_equal(rk_verify_repo_start(data, did, &options), RK_VERDICT_OK);
		assert_int_equal(
			rk_verify_repo_start(data, did, &wrong), RK_VERDICT_SIGNATURE_WRONG);
	}
	/* Another block comes first: it is to be seen once all are there. */
	message_car_copy(&changed, car, NULL, &first.cid);
	make_block(&changed, &first.cid, first.bytes);
	data = rk_buf_slice(&changed);
	assert_int_equal(rk_verify_repo_start(data, did, &wrong), -EAGAIN);
	assert_int_equal(verify_repo(data, &wrong), RK_VERDICT_SIGNATURE_WRONG);
	assert_int_equal(verify_repo(data, &options), RK_VERDICT_OK);
	rk_buf_finish(&changed);
	free((void *)car.data);
}

/* Without a key it is the caller who says whether a signature is needed. */
static void without_a_key_only_what_needs_none_is_believed(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo.car");
	struct rk_verify_options options = under(NULL);

	for (size_t at = 0; at < MESSAGES; at++) {
		struct message m;

		message_init(&m, messages[at]);
		signature_of_zeros(&m);
		options.key_needed = false;
		assert_int_equal(message_verify(&m, &options), RK_VERDICT_OK);
		options.key_needed = true;
		assert_int_equal(message_verify(&m, &options), RK_VERDICT_KEY_UNKNOWN);
		message_finish(&m);
	}
	options.key_needed = true;
	assert_int_equal(verify_repo(car, &options), RK_VERDICT_KEY_UNKNOWN);
	free((void *)car.data);
}

/* What a key is not needed for is refused first: it must not lead to a question about the key. */
static void cheaper_faults_come_first(void **state)
{
	struct rk_verify_options options = under(NULL);
	struct message m;

	options.key_needed = true;
	message_init(&m, messages[2]);
	m.event.rev--;
	assert_int_equal(message_verify(&m, &options), RK_VERDICT_COMMIT_REV);
	message_finish(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixtures_are_signed_with_the_key_they_name),
		cmocka_unit_test(commits_and_syncs_are_checked),
		cmocka_unit_test(p256_of_the_reference_is_believed),
		cmocka_unit_test(whole_repos_are_checked),
		cmocka_unit_test(a_repo_is_refused_by_its_commit_first),
		cmocka_unit_test(the_start_of_a_repo_tells_of_its_commit),
		cmocka_unit_test(without_a_key_only_what_needs_none_is_believed),
		cmocka_unit_test(cheaper_faults_come_first),
	};
	return cmocka_run_group_tests_name("atproto/verify signature", tests, keys_setup, NULL);
}
