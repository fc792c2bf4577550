/* See accounts_make.h. Every step is asked for before it is done, so that one that was done before, by
 * this run or another, is found. */
#include "account/accounts_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/accounts_name.h"
#include "base/clock.h"
#include "mongo/accounts.h"
#include "net/session.h"

enum {
	FAILURES_MOST = 12, /* in a row: taken for unreachable */
	FAILING_MOST_MS = 30 * 1000,
	BACKOFF_FIRST_MS = 250,
	BACKOFF_MOST_MS = 2000,
	TELL_WAIT_MS = 1000,
	LOOKS_MOST = 8, /* at one name */
};

struct rk_accounts_maker {
	struct rk_mongo *mongo;
	const struct rk_accounts_options *options;
	const struct rk_accounts_request *request;
	struct rk_session *door;    /* createAccount, whose limit is its own */
	struct rk_session *session; /* all other calls */
	bool invites;
	char domain[254]; /* ".pds.example" */
	unsigned failures;
	int64_t failing_ms;
	struct rk_pds_reply reply;
	struct rk_buf text; /* of a request */
	struct rk_buf
		planned; /* names that a dry run has given away, a space before and behind each */
	char error[256];
};

struct rk_accounts_maker *rk_accounts_maker_create(struct rk_mongo *mongo,
	const struct rk_accounts_options *options, const struct rk_accounts_request *request)
{
	struct rk_accounts_maker *m = calloc(1, sizeof(*m));
	const struct rk_session_options session = {
		.http = {.allow_private = options->allow_private,
			.trusted = {options->pds},
			.cancel = request->stop},
		.origin = options->pds,
		.bypass_key = options->bypass_key,
		.admin_password = options->admin_password,
	};

	if (!m)
		return NULL;
	m->mongo = mongo;
	m->options = options;
	m->request = request;
	m->door = rk_session_create(&session);
	m->session = rk_session_create(&session);
	if (m->door && m->session)
		return m;
	rk_accounts_maker_destroy(m);
	return NULL;
}

void rk_accounts_maker_destroy(struct rk_accounts_maker *m)
{
	if (!m)
		return;
	rk_session_destroy(m->door);
	rk_session_destroy(m->session);
	rk_buf_wipe(&m->text);
	rk_buf_finish(&m->planned);
	free(m);
}

const char *rk_accounts_maker_error(const struct rk_accounts_maker *m)
{
	return m->error;
}

/* Patience */

static bool is_stopped(void *context)
{
	const struct rk_accounts_maker *m = context;

	return m->request->stop && atomic_load(m->request->stop);
}

static int wait_for(struct rk_accounts_maker *m, int64_t ms)
{
	int64_t most = m->request->max_wait_ms;

	if (most >= 0 && ms > most)
		return RK_ACCOUNTS_PUT_OFF;
	if (ms >= TELL_WAIT_MS && m->request->waiting)
		m->request->waiting(m->request->context, ms);
	return rk_clock_pause_unless(ms, is_stopped, m) ? 0 : -ECANCELED;
}

/* Somebody is not to be had: waits before the next try. */
static int hold_on(struct rk_accounts_maker *m, const char *who, const char *why)
{
	int64_t now = rk_clock_mono_ms(), wait = BACKOFF_FIRST_MS;

	if (m->failures++ == 0)
		m->failing_ms = now;
	if (m->failures >= FAILURES_MOST || now - m->failing_ms > FAILING_MOST_MS) {
		snprintf(m->error, sizeof(m->error), "%s: %.200s", who, why);
		return -EHOSTUNREACH;
	}
	for (unsigned i = 1; i < m->failures && wait < BACKOFF_MOST_MS; i++)
		wait *= 2;
	return rk_clock_pause_unless(wait, is_stopped, m) ? 0 : -ECANCELED;
}

/* After RK_PDS_RETRY. */
static int after_failure(struct rk_accounts_maker *m, struct rk_session *session)
{
	int64_t wait = rk_pace_wait_ms(rk_session_pace(session), rk_clock_wall_ms());

	if (m->reply.http_status != 429)
		return hold_on(m, "the PDS", m->reply.message);
	return wait_for(m, wait > m->reply.retry_after_ms ? wait : m->reply.retry_after_ms);
}

/* Asked once, when the pace allows it. RK_PDS_RETRY: it was waited, and may be asked again. */
static int ask_once(struct rk_accounts_maker *m, struct rk_session *session, json_t **answer,
	const struct rk_session_call *call)
{
	int r = wait_for(m, rk_pace_wait_ms(rk_session_pace(session), rk_clock_wall_ms()));

	*answer = NULL;
	if (r)
		return r;
	r = rk_session_ask(session, &m->reply, answer, call);
	if (r == RK_PDS_RETRY) {
		r = after_failure(m, session);
		return r ? r : RK_PDS_RETRY;
	}
	if (r >= 0)
		m->failures = 0;
	return r;
}

/* What may be asked twice. */
static int ask(struct rk_accounts_maker *m, json_t **answer, const struct rk_session_call *call)
{
	int r;

	do
		r = ask_once(m, m->session, answer, call);
	while (r == RK_PDS_RETRY);
	return r;
}

/* Beginning */

static int refuse(struct rk_accounts_maker *m, const char *why, const char *more)
{
	snprintf(m->error, sizeof(m->error), "%s%s%.150s", why, *more ? ": " : "", more);
	return -EACCES;
}

static int terms_read(struct rk_accounts_maker *m, const json_t *terms)
{
	const char *domain = json_string_value(
		json_array_get(json_object_get(terms, "availableUserDomains"), 0));
	char name[RK_HANDLE_MOST + 1];

	if (json_is_true(json_object_get(terms, "phoneVerificationRequired")))
		return refuse(m, "the PDS wants a telephone number for each account", "");
	if (!domain || *domain != '.' || strlen(domain) >= sizeof(m->domain) ||
		!rk_accounts_name(name, rk_slice_str("abc"), rk_slice_str(""), domain, 0))
		return refuse(m, "the PDS names no domain for handles",
			domain ? domain : "describeServer has no availableUserDomains");
	snprintf(m->domain, sizeof(m->domain), "%s", domain);
	m->invites = json_is_true(json_object_get(terms, "inviteCodeRequired"));
	return 0;
}

int rk_accounts_maker_begin(struct rk_accounts_maker *m)
{
	const struct rk_session_call describe = {
		.method = "com.atproto.server.describeServer", .paces = true};
	/* Reads little and changes nothing; a PDS that does not know it is not asked further. */
	const struct rk_session_call admin = {.method = "com.atproto.admin.getInviteCodes?limit=1",
		.as = RK_SESSION_AS_ADMIN,
		.paces = true};
	json_t *answer;
	int r = ask(m, &answer, &describe);

	if (r > 0 && r != RK_ACCOUNTS_PUT_OFF)
		r = refuse(m, "the PDS does not describe itself", m->reply.message);
	if (r == 0)
		r = terms_read(m, answer);
	json_decref(answer);
	if (r)
		return r;
	r = ask(m, &answer, &admin);
	json_decref(answer);
	if (r == RK_PDS_DENIED)
		return refuse(m, "the PDS refuses REFKEY_PDS_ADMIN_PASSWORD", m->reply.message);
	return r < 0 || r == RK_ACCOUNTS_PUT_OFF ? r : 0;
}

/* One account */

static int unnoted(struct rk_accounts_maker *m)
{
	snprintf(m->error, sizeof(m->error), "no further account is made without its report");
	return -EIO;
}

/* Beside results of net/pds.h. */
enum { NAME_OURS = 200, NAME_TAKEN, NAME_FREE, NAME_FAILED };

static int fail(struct rk_accounts_line *line, const char *what, const char *why)
{
	line->outcome = RK_ACCOUNTS_FAILED;
	snprintf(line->reason, sizeof(line->reason), "%s%s%.180s", what, *why ? ": " : "", why);
	return NAME_FAILED;
}

/* Whose the name is: nobody's, ours by the password that follows from it, or somebody's. */
static int look(struct rk_accounts_maker *m, struct rk_accounts_line *line, const char *password)
{
	const struct rk_session_call call = {.paces = true};
	struct rk_session_call resolve = call;
	const char *did;
	struct rk_did valid;
	json_t *answer;
	int r;

	rk_buf_clear(&m->text);
	rk_buf_add_str(&m->text, "com.atproto.identity.resolveHandle?handle=");
	rk_buf_add_str(&m->text, line->name);
	if (rk_buf_failed(&m->text))
		return -ENOMEM;
	resolve.method = rk_buf_cstr(&m->text);
	r = ask(m, &answer, &resolve);
	if (r == RK_PDS_ABSENT ||
		(r == RK_PDS_WRONG && strcmp(m->reply.error, "InvalidRequest") == 0))
		return NAME_FREE;
	if (r != RK_PDS_OK)
		return r < 0 || r == RK_ACCOUNTS_PUT_OFF
			? r
			: fail(line, "the PDS does not look the handle up", m->reply.message);
	did = json_string_value(json_object_get(answer, "did"));
	if (did && rk_did_parse(&valid, rk_slice_str(did)))
		snprintf(line->did, sizeof(line->did), "%s", did);
	else
		r = fail(line, "the PDS answers with no DID for", line->name);
	json_decref(answer);
	while (r == RK_PDS_OK) {
		r = rk_session_open(m->session, &m->reply, line->did, password);
		if (r != RK_PDS_RETRY)
			break;
		r = after_failure(m, m->session);
	}
	if (r == RK_PDS_OK)
		return NAME_OURS;
	if (r < 0 || r == RK_ACCOUNTS_PUT_OFF || line->reason[0])
		return r;
	if (r == RK_PDS_DENIED && strcmp(m->reply.error, "AuthenticationRequired") == 0) {
		line->did[0] = '\0';
		return NAME_TAKEN;
	}
	return fail(line, "the account cannot be logged in to", m->reply.message);
}

static int invite(struct rk_accounts_maker *m, struct rk_accounts_line *line, struct rk_buf *code)
{
	const struct rk_session_call call = {.method = "com.atproto.server.createInviteCode",
		.as = RK_SESSION_AS_ADMIN,
		.body = RK_SLICE_LIT("{\"useCount\":1}"),
		.paces = true};
	json_t *answer;
	int r = ask(m, &answer, &call);
	const json_t *text = json_object_get(answer, "code");

	if (r == RK_PDS_DENIED)
		r = refuse(m, "the PDS refuses REFKEY_PDS_ADMIN_PASSWORD", m->reply.message);
	else if (r == RK_PDS_OK && json_string_length(text) > 0)
		rk_buf_add_str(code, json_string_value(text));
	else if (r >= 0 && r != RK_ACCOUNTS_PUT_OFF)
		r = fail(line, "the PDS gives no invite code", m->reply.message);
	json_decref(answer);
	return r;
}

/* Handles that are refused as such, where the next name may do. */
static bool is_handle_refused(const struct rk_pds_reply *reply)
{
	return strcmp(reply->error, "HandleNotAvailable") == 0 ||
		strcmp(reply->error, "InvalidHandle") == 0 ||
		strstr(reply->message, "Inappropriate language in handle") != NULL;
}

/* Asks for the account. NAME_FREE: look again. */
static int apply(struct rk_accounts_maker *m, struct rk_accounts_line *line, const char *password)
{
	struct rk_session_call call = {.method = "com.atproto.server.createAccount", .paces = true};
	const char *email = line->person->email;
	struct rk_buf code = {0};
	json_t *answer = NULL;
	int r = m->invites ? invite(m, line, &code) : 0;

	if (r)
		goto done;
	rk_buf_clear(&m->text);
	rk_buf_add_str(&m->text, "{\"handle\":");
	rk_buf_add_json(&m->text, rk_slice_str(line->name));
	rk_buf_add_str(&m->text, ",\"email\":");
	if (*email) {
		rk_buf_add_json(&m->text, rk_slice_str(email));
	} else {
		/* A PDS wants an address: one at the account's own name, which gets no mail. */
		rk_buf_printf(&m->text, "\"%.*s@%s\"",
			(int)(strlen(line->name) - strlen(m->domain)), line->name, line->name);
	}
	if (code.len) {
		rk_buf_add_str(&m->text, ",\"inviteCode\":");
		rk_buf_add_json(&m->text, rk_buf_slice(&code));
	}
	rk_buf_add_str(&m->text, ",\"password\":");
	rk_buf_add_json(&m->text, rk_slice_str(password));
	rk_buf_add_str(&m->text, "}");
	if (rk_buf_failed(&m->text)) {
		r = -ENOMEM;
		goto done;
	}
	call.body = rk_buf_slice(&m->text);
	call.secret = password;
	r = ask_once(m, m->door, &answer, &call);
	json_decref(answer);
	if (r == RK_PDS_OK || r == RK_PDS_RETRY)
		r = NAME_FREE; /* by the same way as what an earlier run made */
	else if (r == RK_PDS_WRONG && is_handle_refused(&m->reply))
		r = NAME_TAKEN;
	else if (r == RK_PDS_WRONG && strstr(m->reply.message, "Handle already taken"))
		r = NAME_FREE;
	else if (r >= 0 && r != RK_ACCOUNTS_PUT_OFF)
		r = fail(line, "the PDS makes no account", m->reply.message);
done:
	rk_buf_finish(&code);
	return r;
}

/* A dry run's name for a user: each is given once, as it would be. */
static int plan(struct rk_accounts_maker *m, const char *name)
{
	rk_buf_clear(&m->text);
	rk_buf_printf(&m->text, " %s ", name);
	if (rk_buf_failed(&m->text))
		return -ENOMEM;
	if (m->planned.len && strstr(rk_buf_cstr(&m->planned), rk_buf_cstr(&m->text)))
		return NAME_TAKEN;
	rk_buf_add(&m->planned, m->text.data, m->text.len);
	return rk_buf_failed(&m->planned) ? -ENOMEM : NAME_FREE;
}

/* Logged in to the account of one name, which is there by then. */
static int name_settle(struct rk_accounts_maker *m, struct rk_accounts_line *line)
{
	char password[RK_ACCOUNTS_PASSWORD_SIZE];
	bool begun = false;
	int r = NAME_FREE;

	rk_accounts_password(password, m->options->admin_password, line->person->id, line->name);
	for (int looks = 0; r == NAME_FREE; looks++) {
		r = look(m, line, password);
		if (r == NAME_OURS && !begun)
			line->outcome = RK_ACCOUNTS_ADOPTED;
		if (r == NAME_FREE && m->request->dry_run)
			r = plan(m, line->name);
		if (r != NAME_FREE || m->request->dry_run)
			break;
		if (looks == LOOKS_MOST) {
			r = fail(line, "the PDS neither has the account nor refuses it", "");
			break;
		}
		if (!begun && !m->request->note(m->request->context, RK_ACCOUNTS_BEGUN, line)) {
			r = unnoted(m);
			break;
		}
		begun = true;
		r = apply(m, line, password);
	}
	explicit_bzero(password, sizeof(password));
	return r;
}

/* What users.atproto.password will be. */
static int app_password(
	struct rk_accounts_maker *m, struct rk_accounts_line *line, struct rk_buf *password)
{
	struct rk_session_call call = {.method = "com.atproto.server.createAppPassword",
		.as = RK_SESSION_AS_USER,
		.paces = true};
	json_t *answer;
	int r;

	do {
		char now[RK_CLOCK_ISO_SIZE];

		/* One whose answer was lost is never used: the name of the next is another. */
		rk_clock_iso(now, rk_clock_wall_ms());
		rk_buf_clear(&m->text);
		rk_buf_printf(&m->text, "{\"name\":\"refkey %s\"}", now);
		if (rk_buf_failed(&m->text))
			return -ENOMEM;
		call.body = rk_buf_slice(&m->text);
		r = ask_once(m, m->session, &answer, &call);
	} while (r == RK_PDS_RETRY);
	if (r == RK_PDS_OK) {
		const json_t *text = json_object_get(answer, "password");

		rk_buf_add(password, json_string_value(text), json_string_length(text));
		if (password->len == 0)
			r = fail(line, "the PDS gives no app password", "");
	} else if (r > 0 && r != RK_ACCOUNTS_PUT_OFF) {
		r = fail(line, "the PDS gives no app password", m->reply.message);
	}
	json_decref(answer);
	return r;
}

static int store(struct rk_accounts_maker *m, struct rk_accounts_line *line, const char *password)
{
	const struct rk_mongo_account account = {
		.user = line->person->id, .did = line->did, .password = password};
	char refused[256];
	int r;

	for (;;) {
		r = rk_mongo_account_store(m->mongo, refused, &account);
		if (r != -EIO)
			break;
		r = hold_on(m, "MongoDB", rk_mongo_error(m->mongo));
		if (r)
			break;
	}
	if (r)
		return r;
	m->failures = 0;
	if (refused[0])
		fail(line, "the account is there, but it is not stored", refused);
	return 0;
}

/* An account that could not be stored is not made. */
static int room(struct rk_accounts_maker *m, struct rk_accounts_line *line)
{
	bool there = false;
	int r;

	while ((r = rk_mongo_account_has_room(m->mongo, &there, line->person->id)) == -EIO) {
		r = hold_on(m, "MongoDB", rk_mongo_error(m->mongo));
		if (r)
			return r;
	}
	if (r)
		return r;
	m->failures = 0;
	return there
		? 0
		: fail(line, "users.atproto takes no account: it is no object, or has a did", "");
}

int rk_accounts_maker_make(struct rk_accounts_maker *m, struct rk_accounts_line *line)
{
	struct rk_buf password = {0};
	bool noted = true;
	int r;

	line->outcome = RK_ACCOUNTS_CREATED;
	if (!line->person->known) {
		fail(line, "users has no such user", "");
		return 0;
	}
	r = room(m, line);
	if (r)
		return r == NAME_FAILED ? 0 : r;
	r = NAME_TAKEN;
	for (unsigned i = 0; r == NAME_TAKEN && i < RK_ACCOUNTS_NAMES; i++) {
		if (rk_accounts_name(
			    line->name, line->person->handle, line->person->id, m->domain, i))
			r = name_settle(m, line);
	}
	if (r == NAME_TAKEN)
		fail(line, "every handle that could be the user's is taken", "");
	if (r < 0 || r == RK_ACCOUNTS_PUT_OFF)
		return r;
	if (line->outcome == RK_ACCOUNTS_FAILED || m->request->dry_run)
		return 0;
	noted = m->request->note(m->request->context, RK_ACCOUNTS_MADE, line);
	r = app_password(m, line, &password);
	if (r == 0)
		r = rk_buf_failed(&password);
	if (r == 0)
		r = store(m, line, rk_buf_cstr(&password));
	rk_buf_wipe(&password);
	if (r < 0 || r == RK_ACCOUNTS_PUT_OFF)
		return r;
	if (line->outcome != RK_ACCOUNTS_FAILED)
		noted = m->request->note(m->request->context, RK_ACCOUNTS_STORED, line) && noted;
	return noted ? 0 : unnoted(m);
}
