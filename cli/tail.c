/*
 * refkey tail: the firehose as JSON lines, each event judged for itself; without an index, beside a
 * serve or without one. Connects again with back-off, from behind the last event seen.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/service.h"
#include "cli/tail_event.h"
#include "net/backoff.h"
#include "net/ws.h"
#include "records/collections.h"

enum {
	TICK_MS = 200, /* between looks at whether to stop, or whether anybody reads */
	BACKOFF_FIRST_MS = 200,
	BACKOFF_MOST_MS = 5000,
	HEALTHY_MS = 1000,
	UNREACHABLE_MS = 30000, /* without a first connection: it is not to be had */
	CONNECT_MS = 15000,
	PING_MS = 20000,
	PONG_MS = 20000,
	LINE_MOST = 64 << 20,
};

struct tail {
	const struct rk_command_call *call;
	const atomic_bool *stop;
	struct rk_tail_judge judge;
	struct rk_buf line;
	struct rk_backoff backoff;
	bool ended;      /* the limit, nobody reads, or a failure: code says */
	bool connected;  /* at least once */
	bool elsewhere;  /* it was said that accounts are refused that do not live at the source */
	bool future;     /* the source says that our cursor lies ahead of it */
	int64_t seq;     /* of the last event seen; -1: none, and no cursor was given */
	int64_t resumed; /* events up to this one were seen before this connection */
	uint64_t printed, passed_over, refused[RK_VERDICT_COUNT];
	int code;
};

static bool over(const struct tail *t)
{
	return t->ended || atomic_load(t->stop);
}

static void end(struct tail *t, int code)
{
	t->ended = true;
	t->code = code;
}

/* Whoever read us may be gone while nothing happens on the stream. */
static void reader_look(struct tail *t)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	if (poll(&out, 1, 0) > 0 && out.revents & (POLLERR | POLLHUP))
		end(t, RK_EXIT_DONE);
}

static void pause_ms(struct tail *t, int64_t ms)
{
	for (int64_t until = rk_clock_mono_ms() + ms; !over(t) && rk_clock_mono_ms() < until;) {
		poll(NULL, 0, TICK_MS);
		reader_look(t);
	}
}

static void line_print(struct tail *t)
{
	size_t sent = 0;

	while (sent < t->line.len && !(sent == 0 && atomic_load(t->stop))) {
		ssize_t n = write(STDOUT_FILENO, t->line.data + sent, t->line.len - sent);

		if (n > 0) {
			sent += (size_t)n;
		} else if (n < 0 && errno == EPIPE) {
			end(t, RK_EXIT_DONE); /* as of `head`: it has what it wanted */
			return;
		} else if (n < 0 && errno != EINTR) {
			fprintf(stderr, "refkey: cannot write: %s\n", strerror(errno));
			end(t, RK_EXIT_FINDINGS);
			return;
		} else if (atomic_load(t->stop)) {
			return;
		}
	}
	t->printed += sent > 0;
	if (t->call->options->limit && t->printed >= t->call->options->limit)
		end(t, RK_EXIT_DONE);
}

/* What the source says of itself. */
static void note_take(struct tail *t, const struct rk_event *event)
{
	rk_log(RK_LOG_WARN, "tail",
		event->type == RK_EVENT_INFO ? "the source says"
					     : "the source closes with an error",
		RK_LOG_SLICE("name", event->name), RK_LOG_SLICE("text", event->message));
	if (event->type == RK_EVENT_ERROR && rk_slice_equal_str(event->name, "FutureCursor"))
		t->future = true;
}

/* Perhaps all are, by a setting that is wrong: nothing else would show it before the end. */
static void elsewhere_note(struct tail *t, const struct rk_event *event)
{
	if (t->elsewhere)
		return;
	t->elsewhere = true;
	rk_log(RK_LOG_WARN, "tail",
		"events of accounts whose DID document names another PDS are refused: with "
		"REFKEY_SOURCE=relay they are taken, REFKEY_PDS_PUBLIC_URL says what this PDS is called",
		RK_LOG_SLICE("did", event->did.text));
}

static void frame_take(struct tail *t, int kind, struct rk_slice frame)
{
	struct rk_tail_judged judged = {0};
	int r = 0;

	rk_buf_clear(&t->line);
	if (kind == RK_WS_MESSAGE)
		r = rk_tail_judge(&t->judge, &judged, &t->line, frame);
	else
		rk_tail_judge_other(&t->judge, &judged, &t->line,
			kind == RK_WS_TEXT ? RK_VERDICT_FRAME_TEXT : RK_VERDICT_FRAME_TOO_LARGE,
			frame.len);
	if (r == -ECANCELED)
		return;
	if (r) {
		fprintf(stderr, "refkey: %s\n", strerror(-r));
		end(t, RK_EXIT_FINDINGS);
		return;
	}
	if (judged.event.type == RK_EVENT_INFO || judged.event.type == RK_EVENT_ERROR)
		note_take(t, &judged.event);
	if (judged.event.seq > 0 && judged.event.seq <= t->resumed)
		return;
	if (judged.event.seq > t->seq)
		t->seq = judged.event.seq;
	t->passed_over += !judged.wanted && judged.event.seq > 0;
	t->refused[judged.verdict]++;
	if (judged.verdict == RK_VERDICT_REPO_ELSEWHERE)
		elsewhere_note(t, &judged.event);
	if (t->line.len)
		line_print(t);
}

static void receive(struct tail *t, struct rk_ws *ws)
{
	int64_t opened = rk_clock_mono_ms();

	while (!over(t)) {
		uint8_t *frame = NULL;
		size_t len = 0;
		int r = rk_ws_receive(ws, &frame, &len, TICK_MS);

		if (r == RK_WS_IDLE) {
			reader_look(t);
		} else if (r == RK_WS_MESSAGE || r == RK_WS_TEXT || r == RK_WS_TOO_LARGE) {
			frame_take(t, r, rk_slice_make(frame, len));
		} else {
			free(frame);
			if (!over(t))
				rk_log(RK_LOG_WARN, "tail", "the connection ended",
					RK_LOG_STR(
						"reason", r < 0 ? strerror(-r) : rk_ws_error(ws)));
			return;
		}
		free(frame);
		if (rk_clock_mono_ms() - opened > HEALTHY_MS)
			rk_backoff_reset(&t->backoff);
	}
}

static void list_add(struct rk_buf *text, const char *before, const char *const *list)
{
	for (size_t i = 0; list && list[i]; i++)
		rk_buf_printf(text, "%s%s", i ? " or " : before, list[i]);
}

/* That it waits, and for what: nothing may come for long, also because of a typing error. */
static void waiting_print(const struct tail *t)
{
	const struct rk_command_options *options = t->call->options;
	struct rk_buf text = {0};

	rk_buf_add_str(&text, options->collections ? "commits" : "events");
	list_add(&text, " to ", options->collections);
	list_add(&text, " of ", options->dids);
	if (!rk_buf_failed(&text))
		fprintf(stderr, "refkey: waiting for %s; Ctrl-C ends it\n", rk_buf_cstr(&text));
	rk_buf_finish(&text);
	for (const char *const *nsid = options->collections; nsid && *nsid; nsid++) {
		if (rk_collection_find(rk_slice_str(*nsid)) >= 0)
			continue;
		fprintf(stderr, "refkey: %s is none of the collections that serve follows:", *nsid);
		for (int i = 0; i < RK_COLLECTION_COUNT; i++)
			fprintf(stderr, " %s", rk_collections[i].nsid);
		fputs("\n", stderr);
	}
}

static void connection(struct tail *t)
{
	const struct rk_settings *settings = t->call->settings;
	const struct rk_ws_options options = {
		.http =
			{
				.allow_private = settings->allow_private,
				.trusted = {settings->pds_url},
				.cancel = t->stop,
				.user_agent = RK_USER_AGENT,
			},
		.message_most = RK_FRAME_MOST,
		.connect_ms = CONNECT_MS,
		.ping_ms = PING_MS,
		.pong_ms = PONG_MS,
	};
	char url[RK_ORIGIN_MOST + 128], error[256] = "", cursor[32] = "live";
	struct rk_ws *ws = NULL;
	int len, r = rk_tail_signers_home(t->judge.signers);

	if (r)
		return;
	len = snprintf(
		url, sizeof(url), "%s/xrpc/com.atproto.sync.subscribeRepos", settings->pds_url);
	if (t->seq >= 0) {
		snprintf(cursor, sizeof(cursor), "%lld", (long long)t->seq);
		snprintf(url + len, sizeof(url) - (size_t)len, "?cursor=%s", cursor);
	}
	r = rk_ws_open(&ws, url, &options, error);
	if (r) {
		if (!over(t))
			rk_log(RK_LOG_WARN, "tail", "cannot connect", RK_LOG_STR("reason", error),
				RK_LOG_INT("tries", t->backoff.tries + 1));
		return;
	}
	rk_log(RK_LOG_INFO, "tail", "connected", RK_LOG_STR("source", settings->pds_url),
		RK_LOG_STR("cursor", cursor));
	if (!t->connected)
		waiting_print(t);
	t->resumed = t->connected ? t->seq : -1;
	t->connected = true;
	receive(t, ws);
	rk_ws_close(ws);
}

/* A cursor that was given is wrong usage; one that we were at means that the source began anew. */
static void future_take(struct tail *t)
{
	t->future = false;
	if (t->call->options->cursor != RK_CURSOR_NOW &&
		(uint64_t)t->seq == t->call->options->cursor) {
		fprintf(stderr, "refkey: --cursor is %lld; accepted: at most what the source has\n",
			(long long)t->seq);
		end(t, RK_EXIT_USAGE);
		return;
	}
	rk_log(RK_LOG_WARN, "tail", "the source's sequence was reset: going on from now");
	t->seq = -1;
}

static void summary_print(const struct tail *t)
{
	uint64_t refused = 0;

	for (int i = RK_VERDICT_OK + 1; i < RK_VERDICT_COUNT; i++)
		refused += t->refused[i];
	fprintf(stderr, "refkey: %llu events printed, %llu passed over, %llu refused",
		(unsigned long long)t->printed, (unsigned long long)t->passed_over,
		(unsigned long long)refused);
	for (int i = RK_VERDICT_OK + 1; i < RK_VERDICT_COUNT; i++) {
		if (t->refused[i])
			fprintf(stderr, "; %s %llu", rk_verdict_rows[i].name,
				(unsigned long long)t->refused[i]);
	}
	fputs("\n", stderr);
}

/* What is a DID by its syntax, but of no account, would be waited for in vain. */
static bool dids_check(const char *const *dids)
{
	for (; dids && *dids; dids++) {
		if (rk_pds_did_is_known(*dids))
			continue;
		fprintf(stderr,
			"refkey: --did is %s; accepted: did:plc: and 24 of a-z and 2-7, or did:web: and a host\n",
			*dids);
		return false;
	}
	return true;
}

int rk_command_tail(const struct rk_command_call *call)
{
	uint64_t cursor = call->options->cursor;
	struct tail t = {
		.call = call,
		.stop = rk_interrupt_take(0),
		.judge = {.options = call->options},
		.line = {.limit = LINE_MOST},
		.backoff = {.first_ms = BACKOFF_FIRST_MS, .most_ms = BACKOFF_MOST_MS},
		.seq = cursor == RK_CURSOR_NOW ? -1 : (int64_t)cursor,
	};

	if (!dids_check(call->options->dids))
		return RK_EXIT_USAGE;
	if (rk_http_global_init() != 0) {
		fputs("refkey: libcurl cannot be initialised\n", stderr);
		return RK_EXIT_FINDINGS;
	}
	t.judge.signers = rk_tail_signers_create(call->settings, t.stop);
	t.judge.checker = rk_key_checker_create();
	if (!t.judge.signers || !t.judge.checker) {
		fputs("refkey: out of memory\n", stderr);
		end(&t, RK_EXIT_FINDINGS);
	}
	for (int64_t started = rk_clock_mono_ms(); !over(&t);) {
		connection(&t);
		if (t.future)
			future_take(&t);
		if (!t.connected && !over(&t) && rk_clock_mono_ms() - started > UNREACHABLE_MS) {
			fprintf(stderr, "refkey: the source was not to be had for %d seconds\n",
				UNREACHABLE_MS / 1000);
			end(&t, RK_EXIT_UNREACHABLE);
		}
		if (!over(&t))
			pause_ms(&t, rk_backoff_next(&t.backoff, rk_backoff_random()));
	}
	if (t.judge.signers)
		summary_print(&t);
	rk_tail_signers_destroy(t.judge.signers);
	rk_key_checker_destroy(t.judge.checker);
	rk_arena_finish(&t.judge.arena);
	rk_buf_finish(&t.line);
	return t.ended ? t.code : t.connected ? RK_EXIT_DONE : RK_EXIT_UNREACHABLE;
}
