/* See account.h. */
#include "account/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "atproto/cid.h"
#include "base/clock.h"
#include "mongo/publish.h"

enum {
	FAILURES_MOST = 12, /* in a row: the PDS is taken for unreachable */
	FAILING_MOST_MS = 30 * 1000,
	BACKOFF_FIRST_MS = 250,
	BACKOFF_MOST_MS = 2000,
	TELL_WAIT_MS = 1000,
	TIMEOUT_MS = 30 * 1000,
	IDLE_MS = 15 * 1000,
	STOPPED_MOST_MS = 1000, /* of a request: to what it does there should be an answer */
};

struct rk_account_client *rk_account_create(
	struct rk_mongo *mongo, const struct rk_account_options *options)
{
	const struct rk_session_options session = {
		.http = {.trusted = {options->pds},
			.cancel = options->cancel ? options->cancel : options->stop,
			.cancel_after_ms = options->cancel ? 0 : STOPPED_MOST_MS},
		.origin = options->pds,
		.bypass_key = options->bypass_key,
		.timeout_ms = TIMEOUT_MS,
		.idle_ms = IDLE_MS,
	};
	struct rk_account_client *account = calloc(1, sizeof(*account));

	if (!account)
		return NULL;
	account->options = *options;
	if (account->options.failures_most == 0)
		account->options.failures_most = FAILURES_MOST;
	account->mongo = mongo;
	account->session = rk_session_create(&session);
	if (!account->session) {
		free(account);
		return NULL;
	}
	return account;
}

/* Whoever has the account next may go on with its login. */
static void leave(struct rk_account_client *account)
{
	struct rk_session_login login;

	if (account->open && account->options.logins) {
		rk_session_leave(account->session, &login);
		rk_logins_keep(account->options.logins, &login);
	}
	account->open = account->resumed = false;
}

void rk_account_destroy(struct rk_account_client *account)
{
	if (!account)
		return;
	leave(account);
	rk_session_destroy(account->session);
	rk_buf_finish(&account->user);
	rk_buf_finish(&account->did);
	rk_buf_finish(&account->expected);
	free(account);
}

const char *rk_account_error(const struct rk_account_client *account)
{
	return account->error;
}

int rk_account_take(struct rk_account_client *account, const struct rk_user *user)
{
	leave(account);
	rk_buf_clear(&account->user);
	rk_buf_clear(&account->did);
	rk_buf_clear(&account->expected);
	rk_buf_add_slice(&account->user, user->id);
	rk_buf_add_slice(&account->did, user->did);
	return rk_buf_failed(&account->user) || rk_buf_failed(&account->did) ? -ENOMEM : 0;
}

int rk_account_expect(struct rk_account_client *account, const struct rk_cid *commit)
{
	rk_buf_clear(&account->expected);
	rk_cid_format(&account->expected, commit);
	return rk_buf_failed(&account->expected);
}

bool rk_account_stopping(void *context)
{
	const struct rk_account_client *account = context;
	const struct rk_account_options *options = &account->options;

	return (options->cancel && atomic_load(options->cancel)) ||
		(options->stop && atomic_load(options->stop));
}

static bool pause_ms(struct rk_account_client *account, int64_t ms)
{
	return rk_clock_pause_unless(ms, rk_account_stopping, account);
}

static int unreachable(struct rk_account_client *account, const char *who, const char *message)
{
	snprintf(account->error, sizeof(account->error), "%s: %.200s", who, message);
	return -EHOSTUNREACH;
}

static int put_off(struct rk_account_client *account)
{
	snprintf(account->error, sizeof(account->error), "a limit of the PDS lasts too long");
	return RK_ACCOUNT_PUT_OFF;
}

/* A result of the session that is about the account. */
static int refused(struct rk_account_client *account, int r)
{
	if (r > 0)
		snprintf(account->error, sizeof(account->error), "%.255s", account->reply.message);
	return r;
}

int rk_account_wait(struct rk_account_client *account, int64_t ms)
{
	const struct rk_account_options *options = &account->options;

	if (options->max_wait_ms >= 0 && ms > options->max_wait_ms)
		return put_off(account);
	if (ms >= TELL_WAIT_MS && options->waiting)
		options->waiting(options->context, ms);
	return pause_ms(account, ms) ? 0 : -ECANCELED;
}

int rk_account_after_failure(struct rk_account_client *account)
{
	int64_t now = rk_clock_mono_ms(), wait = BACKOFF_FIRST_MS;

	if (account->reply.http_status == 429)
		return rk_account_wait(account,
			rk_pace_wait_ms(rk_session_pace(account->session), rk_clock_wall_ms()));
	if (account->failures++ == 0)
		account->failing_ms = now;
	if (account->failures >= account->options.failures_most ||
		now - account->failing_ms > FAILING_MOST_MS)
		return unreachable(account, "the PDS", account->reply.message);
	for (unsigned i = 1; i < account->failures && wait < BACKOFF_MOST_MS; i++)
		wait *= 2;
	return pause_ms(account, wait) ? 0 : -ECANCELED;
}

int rk_account_list(struct rk_account_client *account, const char *collection,
	void (*restart)(void *context), rk_session_visit *visit, void *context)
{
	int64_t most = account->options.max_wait_ms;
	struct rk_pds_reply *reply = &account->reply;
	int r;

	for (;;) {
		restart(context);
		r = rk_session_list(account->session, reply, rk_buf_cstr(&account->did), collection,
			most < 0 ? INT64_MAX : most, visit, context);
		if (r == RK_PDS_RETRY && reply->http_status == 0 && reply->retry_after_ms >= 0)
			return put_off(account);
		if (r != RK_PDS_RETRY)
			return refused(account, r);
		r = rk_account_after_failure(account);
		if (r)
			return r;
	}
}

struct sources {
	const char *ours;
	bool any, known;
};

static bool source_visit(void *context, struct rk_slice source, const struct rk_cursor *cursor)
{
	struct sources *sources = context;

	(void)cursor;
	sources->any = true;
	sources->known = rk_slice_equal_str(source, sources->ours);
	return !sources->known;
}

int rk_account_absent(struct rk_account_client *account, struct rk_snapshot *snapshot)
{
	struct sources sources = {.ours = account->options.pds};
	int r = rk_snapshot_begin(snapshot);

	if (r)
		return r;
	r = rk_read_found(rk_read_cursors(snapshot, source_visit, &sources));
	rk_snapshot_end(snapshot);
	if (r || sources.known || !sources.any)
		return r;
	snprintf(account->error, sizeof(account->error),
		"%.120s knows no such repo, and the index follows another PDS: is REFKEY_PDS_URL right?",
		sources.ours);
	return RK_PDS_WRONG;
}

static bool resume(struct rk_account_client *account)
{
	struct rk_session_login login;

	if (!account->options.logins ||
		!rk_logins_take(account->options.logins, &login, rk_buf_slice(&account->did)))
		return false;
	rk_session_resume(account->session, &login);
	account->open = account->resumed = true;
	return true;
}

/* The user's app password. RK_PDS_DENIED: there is none. */
static int password_get(struct rk_account_client *account, struct rk_buf *password)
{
	int r = rk_mongo_user_text(
		account->mongo, password, rk_buf_slice(&account->user), "atproto.password");

	if (r == -EIO)
		return unreachable(account, "MongoDB", rk_mongo_error(account->mongo));
	if (r == 0 && password->len == 0) {
		snprintf(account->error, sizeof(account->error),
			"users.atproto has no app password");
		return RK_PDS_DENIED;
	}
	return r;
}

int rk_account_can_login(struct rk_account_client *account)
{
	struct rk_buf password = {0};
	int r = password_get(account, &password);

	rk_buf_wipe(&password);
	return r;
}

bool rk_account_is_open(const struct rk_account_client *account)
{
	return account->open;
}

/* Once for a user. */
int rk_account_login(struct rk_account_client *account)
{
	struct rk_buf password = {0};
	int r;

	if (account->open || resume(account))
		return 0;
	r = password_get(account, &password);
	if (r == 0) {
		do {
			r = rk_session_open(account->session, &account->reply,
				rk_buf_cstr(&account->did), rk_buf_cstr(&password));
		} while (r == RK_PDS_RETRY && (r = rk_account_after_failure(account)) == 0);
		if (r != RK_ACCOUNT_PUT_OFF)
			refused(account, r);
		account->open = r == 0;
	}
	rk_buf_wipe(&password);
	return r;
}

int rk_account_login_anew(struct rk_account_client *account)
{
	account->open = account->resumed = false;
	return rk_account_login(account);
}

/* As a blob is named: its CID, with the codec for bytes that are nothing else. */
static bool is_kept(const struct rk_session_blob *blob, struct rk_slice bytes, const char *mime)
{
	struct rk_cid ours, theirs;

	rk_cid_compute(&ours, RK_CODEC_RAW, bytes);
	return rk_cid_from_text(&theirs, rk_slice_str(blob->ref)) && rk_cid_equal(&ours, &theirs) &&
		blob->size == bytes.len && strcmp(blob->mime, mime) == 0;
}

int rk_account_upload(struct rk_account_client *account, struct rk_session_blob *out,
	struct rk_slice bytes, const char *mime)
{
	unsigned tries = 0;
	int r = rk_account_login(account);

	while (r == 0) {
		int64_t wait = rk_pace_upload_wait_ms(
			rk_session_pace(account->session), rk_clock_wall_ms());

		if (wait > 0) {
			r = rk_account_wait(account, wait);
			continue;
		}
		if (rk_account_stopping(account))
			return -ECANCELED;
		r = rk_session_upload_blob(account->session, &account->reply, out, bytes, mime);
		if (r == RK_PDS_RETRY) {
			r = rk_account_after_failure(account);
			if (r == 0 && account->reply.http_status >= 500 &&
				++tries == RK_ACCOUNT_TRIES)
				return refused(account, RK_PDS_WRONG);
			continue;
		}
		if (r == RK_PDS_DENIED && account->resumed) {
			r = rk_account_login_anew(account);
			continue;
		}
		if (r != RK_PDS_OK)
			return refused(account, r);
		account->failures = 0;
		if (is_kept(out, bytes, mime))
			return 0;
		snprintf(account->error, sizeof(account->error),
			"the PDS took a blob of %s for another one of %.60s", mime, out->mime);
		return RK_PDS_WRONG;
	}
	return r;
}
