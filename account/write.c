/* See account.h: writing, until it is known of each write whether it is done. */
#include "account/inside.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

enum { WRITE_BYTES = 256 }; /* of one in a request, besides its record and key */

void rk_account_settle(
	struct rk_account_write *write, enum rk_account_state state, const char *reason)
{
	write->state = state;
	snprintf(write->reason, sizeof(write->reason), "%s", reason);
}

struct writing {
	struct rk_account_client *account;
	rk_account_look *look;
	void *context;
};

static void keep_open(struct rk_account_write **writes, size_t *count)
{
	size_t left = 0;

	for (size_t i = 0; i < *count; i++) {
		if (writes[i]->state == RK_ACCOUNT_OPEN)
			writes[left++] = writes[i];
	}
	*count = left;
}

/* Settles what is there. What the repo has is then known from itself, whatever its commit is. */
static int look_at(const struct writing *w, struct rk_account_write **writes, size_t count)
{
	int r = w->look ? w->look(w->context, writes, count)
			: rk_account_look_up(w->account, writes, count);

	if (r == 0)
		rk_buf_clear(&w->account->expected);
	return r;
}

/* … and leaves what is open in writes. */
static int look_again(const struct writing *w, struct rk_account_write **writes, size_t *count)
{
	int r = look_at(w, writes, *count);

	keep_open(writes, count);
	/* What the next write says will do. */
	return r == RK_ACCOUNT_PUT_OFF || r < 0 ? r : 0;
}

static void settle_open(struct rk_account_write **writes, size_t count, const char *reason)
{
	for (size_t i = 0; i < count; i++) {
		if (writes[i]->state != RK_ACCOUNT_OPEN)
			continue;
		rk_account_settle(writes[i], RK_ACCOUNT_FAILED, reason);
		writes[i]->of_account = true;
	}
}

/* The repo is at another commit than was expected: nothing is written before it was looked at. */
static int look_first(const struct writing *w, struct rk_account_write **writes, size_t *count)
{
	int r = look_at(w, writes, *count);

	if (r > 0 && r != RK_ACCOUNT_PUT_OFF) {
		settle_open(writes, *count, w->account->error);
		r = 0;
	}
	keep_open(writes, count);
	return r;
}

/* After a yes that did not say to what. */
static int look_after_yes(const struct writing *w, struct rk_account_write **writes, size_t count)
{
	int r = look_at(w, writes, count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (writes[i]->state == RK_ACCOUNT_OPEN)
			rk_account_settle(writes[i], RK_ACCOUNT_FAILED,
				"the PDS said yes, and did not do it");
	}
	return r;
}

static int write_some(const struct writing *w, struct rk_account_write **writes, size_t count);

static int write_halves(const struct writing *w, struct rk_account_write **writes, size_t count)
{
	int r = write_some(w, writes, count / 2);

	return r ? r : write_some(w, writes + count / 2, count - count / 2);
}

static unsigned points_most(struct rk_account_write **writes, size_t count)
{
	unsigned most = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned points = rk_session_points(writes[i]->write.action);

		most = points > most ? points : most;
	}
	return most;
}

/* One request's, until it is known what became of them. */
static int write_some(const struct writing *w, struct rk_account_write **writes, size_t count)
{
	struct rk_account_client *account = w->account;
	struct rk_session_write batch[RK_SESSION_WRITES_MOST];
	unsigned tries = 0;
	int r = 0;

	while (r == 0 && count > 0) {
		bool told;
		int64_t wait;
		size_t n = rk_pace_writes(rk_session_pace(account->session), &wait, count,
			points_most(writes, count), rk_clock_wall_ms());

		if (n == 0) {
			r = rk_account_wait(account, wait);
			continue;
		}
		if (account->options.last_look) {
			r = account->options.last_look(account->options.context, writes, count);
			keep_open(writes, &count);
			n = n < count ? n : count;
			if (r || n == 0)
				continue;
		}
		if (rk_account_stopping(account))
			return -ECANCELED;
		for (size_t i = 0; i < n; i++)
			batch[i] = writes[i]->write;
		r = rk_session_apply_writes(account->session, &account->reply, &told, batch, n,
			account->expected.len ? rk_buf_cstr(&account->expected) : NULL);
		switch (r) {
		case RK_PDS_OK:
			account->failures = 0;
			rk_buf_clear(&account->expected);
			for (size_t i = 0; told && i < n; i++)
				rk_account_settle(writes[i], RK_ACCOUNT_DONE, "");
			if (!told)
				r = look_after_yes(w, writes, n);
			writes += n;
			count -= n;
			continue;
		case RK_PDS_RETRY:
			r = rk_account_after_failure(account);
			if (r == 0 && account->reply.http_status != 429) {
				const struct rk_pds_reply said = account->reply;

				r = look_again(w, writes, &count);
				account->reply = said;
			}
			if (r || account->reply.http_status < 500 || ++tries < RK_ACCOUNT_TRIES)
				continue;
			if (count > 1)
				return write_halves(w, writes, count);
			break;
		case RK_PDS_WRONG:
			if (account->expected.len &&
				strcmp(account->reply.error, RK_SESSION_SWAPPED) == 0) {
				r = look_first(w, writes, &count);
				continue;
			}
			r = 0;
			if (n > 1) {
				r = write_halves(w, writes, n);
				writes += n;
				count -= n;
				continue;
			}
			break;
		case RK_PDS_DENIED:
			if (account->resumed) {
				r = rk_account_login_anew(account);
				if (r > 0 && r != RK_ACCOUNT_PUT_OFF)
					snprintf(account->reply.message,
						sizeof(account->reply.message), "%s",
						account->error);
				if (r <= 0 || r == RK_ACCOUNT_PUT_OFF)
					continue;
			}
			/* fall through */
		case RK_PDS_ABSENT:
		case RK_PDS_INACTIVE:
			n = count; /* the account's, not the record's */
			for (size_t i = 0; i < n; i++)
				writes[i]->of_account = true;
			r = 0;
			break;
		default:
			continue;
		}
		for (size_t i = 0; i < n && i < count; i++)
			rk_account_settle(writes[i], RK_ACCOUNT_FAILED, account->reply.message);
		if (n >= count)
			return r;
		writes += n;
		count -= n;
	}
	return r;
}

int rk_account_write(struct rk_account_client *account, struct rk_account_write **writes,
	size_t count, rk_account_look *look, void *context)
{
	const struct writing w = {.account = account, .look = look, .context = context};
	struct rk_account_write *batch[RK_SESSION_WRITES_MOST];
	int r = 0;

	for (size_t at = 0; r == 0 && at < count;) {
		size_t n = 0, bytes = 0;

		for (; at < count && n < RK_SESSION_WRITES_MOST; at++) {
			size_t more = WRITE_BYTES + writes[at]->write.record.len +
				strlen(writes[at]->write.rkey);

			if (writes[at]->state != RK_ACCOUNT_OPEN)
				continue;
			if (n > 0 && bytes + more > RK_SESSION_BYTES_MOST)
				break;
			bytes += more;
			batch[n++] = writes[at];
		}
		if (n == 0)
			break;
		r = rk_account_login(account);
		if (r > 0 && r != RK_ACCOUNT_PUT_OFF) {
			settle_open(writes, count, account->error);
			return 0;
		}
		if (r == 0)
			r = write_some(&w, batch, n);
	}
	return r;
}
