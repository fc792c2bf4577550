/* See tail_event.h: filters, the verdict, the line; in this order below. */
#include "cli/tail_event.h"

#include <errno.h>

#include "atproto/data.h"
#include "base/clock.h"

enum {
	FRESH_MS = 24 * 3600 * 1000, /* a DID document is good for so long */
	TRUST_MS = 60 *
		1000, /* one read so recently is not read again because something does not fit */
};

static bool in_list(const char *const *list, struct rk_slice text)
{
	for (; list && *list; list++) {
		if (rk_slice_equal_str(text, *list))
			return true;
	}
	return false;
}

static bool op_is_wanted(const struct rk_tail_judge *judge, const struct rk_event_op *op)
{
	const char *const *collections = judge->options->collections;

	return !collections || in_list(collections, op->collection);
}

static bool is_wanted(const struct rk_tail_judge *judge, const struct rk_event *event)
{
	const char *const *dids = judge->options->dids;

	if (dids && !in_list(dids, event->did.text))
		return false;
	if (!judge->options->collections)
		return true;
	if (event->type != RK_EVENT_COMMIT)
		return false;
	for (size_t i = 0; i < event->op_count; i++) {
		if (op_is_wanted(judge, &event->ops[i]))
			return true;
	}
	return event->too_big; /* it does not say what it did */
}

/* Frames of these types say something about an account. */
static bool has_account(const struct rk_event *event)
{
	return event->type == RK_EVENT_COMMIT || event->type == RK_EVENT_SYNC ||
		event->type == RK_EVENT_IDENTITY || event->type == RK_EVENT_ACCOUNT;
}

static int signed_judge(struct rk_tail_judge *judge, struct rk_verified *verified,
	const struct rk_event *event, const struct rk_tail_signer *signer)
{
	const struct rk_verify_options options = {
		.key = signer->known ? &signer->key : NULL,
		.key_needed = true,
		.checker = judge->checker,
		.now_ms = rk_clock_wall_ms(),
	};

	/* A commit too big for the stream has only its commit object: believed like a #sync. */
	if (event->type == RK_EVENT_COMMIT && !event->too_big)
		return rk_verify_commit(verified, &judge->arena, event, &options);
	return rk_verify_sync(verified, &judge->arena, event, &options);
}

/* A verdict, or negative. */
static int account_judge(struct rk_tail_judge *judge, struct rk_verified *verified,
	const struct rk_event *event, const struct rk_tail_signer *signer)
{
	if (signer->known && signer->elsewhere)
		return RK_VERDICT_REPO_ELSEWHERE;
	if (event->type == RK_EVENT_COMMIT || event->type == RK_EVENT_SYNC)
		return signed_judge(judge, verified, event, signer);
	return signer->known ? RK_VERDICT_OK : RK_VERDICT_KEY_UNKNOWN;
}

/* Whether another DID document than the one held could make the event good. */
static bool is_curable(int verdict)
{
	return verdict == RK_VERDICT_KEY_UNKNOWN || verdict == RK_VERDICT_KEY_MISSING ||
		verdict == RK_VERDICT_SIGNATURE_WRONG || verdict == RK_VERDICT_REPO_ELSEWHERE;
}

static void cid_add(struct rk_buf *line, const struct rk_cid *cid)
{
	rk_buf_add_str(line, "\"");
	rk_cid_format(line, cid);
	rk_buf_add_str(line, "\"");
}

/* verified NULL: the records are not proven and left out. OK, or why a record cannot be shown. */
static enum rk_verdict ops_add(struct rk_buf *line, const struct rk_tail_judge *judge,
	const struct rk_event *event, const struct rk_verified *verified)
{
	static const char *const actions[] = {"create", "update", "delete"};
	const char *comma = "";

	rk_buf_add_str(line, ",\"ops\":[");
	for (size_t i = 0; i < event->op_count; i++) {
		const struct rk_event_op *op = &event->ops[i];
		struct rk_slice block;

		if (!op_is_wanted(judge, op))
			continue;
		rk_buf_printf(
			line, "%s{\"action\":\"%s\",\"collection\":", comma, actions[op->action]);
		rk_buf_add_json(line, op->collection);
		rk_buf_add_str(line, ",\"rkey\":");
		rk_buf_add_json(line, op->rkey);
		comma = ",";
		if (op->action != RK_OP_DELETE) {
			rk_buf_add_str(line, ",\"cid\":");
			cid_add(line, &op->cid);
		}
		if (op->action != RK_OP_DELETE && verified) {
			rk_buf_add_str(line, ",\"record\":");
			if (!rk_blocks_find(&verified->blocks, &op->cid, &block))
				return RK_VERDICT_RECORD_MISSING;
			if (!rk_data_cbor_to_json(line, block) && !line->failed)
				return RK_VERDICT_RECORD_MALFORMED;
		}
		rk_buf_add_str(line, "}");
	}
	rk_buf_add_str(line, "]");
	return RK_VERDICT_OK;
}

static void tid_add(struct rk_buf *line, const char *name, uint64_t tid)
{
	char text[RK_TID_LEN + 1];

	rk_tid_format(text, tid);
	rk_buf_printf(line, ",\"%s\":\"%s\"", name, text);
}

static void text_add(struct rk_buf *line, const char *name, struct rk_slice text)
{
	if (text.len == 0)
		return;
	rk_buf_printf(line, ",\"%s\":", name);
	rk_buf_add_json(line, text);
}

static void head_add(struct rk_buf *line, const char *kind, const struct rk_event *event)
{
	char time[RK_CLOCK_ISO_SIZE];

	rk_buf_printf(line, "{\"kind\":\"%s\"", kind);
	if (event->seq > 0)
		rk_buf_printf(line, ",\"seq\":%lld", (long long)event->seq);
	text_add(line, "did", event->did.text);
	if (event->time_ms) {
		rk_clock_iso(time, event->time_ms);
		rk_buf_printf(line, ",\"time\":\"%s\"", time);
	}
}

/* What follows the head; signer NULL or verified NULL: not proven. */
static enum rk_verdict body_add(struct rk_buf *line, const struct rk_tail_judge *judge,
	const struct rk_event *event, const struct rk_verified *verified,
	const struct rk_tail_signer *signer)
{
	switch (event->type) {
	case RK_EVENT_COMMIT:
		tid_add(line, "rev", event->rev);
		if (event->since)
			tid_add(line, "since", event->since);
		rk_buf_add_str(line, ",\"commit\":");
		cid_add(line, &event->commit);
		if (event->too_big)
			rk_buf_add_str(line, ",\"tooBig\":true");
		if (verified && verified->legacy)
			rk_buf_add_str(line, ",\"legacy\":true");
		return ops_add(line, judge, event, verified);
	case RK_EVENT_SYNC:
		tid_add(line, "rev", event->rev);
		break;
	case RK_EVENT_IDENTITY:
		/* What the account's DID document says, not the source. */
		text_add(line, "handle", signer ? rk_slice_str(signer->doc.handle) : event->handle);
		text_add(line, "pds", rk_slice_str(signer ? signer->doc.pds : NULL));
		break;
	case RK_EVENT_ACCOUNT:
		rk_buf_printf(line, ",\"active\":%s", event->active ? "true" : "false");
		text_add(line, "status", event->status);
		break;
	default:
		break;
	}
	return RK_VERDICT_OK;
}

static void tail_add(
	struct rk_buf *line, const struct rk_tail_judge *judge, enum rk_verdict verdict)
{
	if (judge->options->unverified)
		rk_buf_printf(line, ",\"verdict\":\"%s\"", rk_verdict_rows[verdict].name);
	rk_buf_add_str(line, "}\n");
}

static const char *kind_of(const struct rk_event *event)
{
	switch (event->type) {
	case RK_EVENT_COMMIT:
		return "commit";
	case RK_EVENT_SYNC:
		return "sync";
	case RK_EVENT_IDENTITY:
		return "identity";
	default:
		return "account";
	}
}

static int line_add(struct rk_buf *line, const struct rk_tail_judge *judge,
	struct rk_tail_judged *out, const struct rk_verified *verified,
	const struct rk_tail_signer *signer)
{
	bool good = out->verdict == RK_VERDICT_OK;
	size_t before = line->len;
	enum rk_verdict shown;

	if (!good && !judge->options->unverified)
		return 0;
	head_add(line, kind_of(&out->event), &out->event);
	shown = body_add(line, judge, &out->event, good ? verified : NULL, good ? signer : NULL);
	if (shown != RK_VERDICT_OK) {
		line->len = before;
		out->verdict = shown;
		return line_add(line, judge, out, NULL, NULL);
	}
	tail_add(line, judge, out->verdict);
	return line->failed ? -ENOMEM : 0;
}

void rk_tail_judge_other(struct rk_tail_judge *judge, struct rk_tail_judged *out,
	struct rk_buf *line, enum rk_verdict verdict, size_t len)
{
	out->verdict = verdict;
	out->wanted = !judge->options->collections &&
		(!judge->options->dids || in_list(judge->options->dids, out->event.did.text));
	if (!out->wanted || !judge->options->unverified)
		return;
	head_add(line, "malformed", &out->event);
	rk_buf_printf(line, ",\"bytes\":%zu", len);
	tail_add(line, judge, verdict);
}

int rk_tail_judge(struct rk_tail_judge *judge, struct rk_tail_judged *out, struct rk_buf *line,
	struct rk_slice frame)
{
	const struct rk_tail_signer *signer = NULL;
	struct rk_verified verified = {0};
	int r, verdict;

	*out = (struct rk_tail_judged){0};
	rk_arena_reset(&judge->arena);
	r = rk_event_parse(&out->event, &judge->arena, frame);
	if (r < 0)
		return r;
	verdict = rk_verdict_of_event((enum rk_event_result)r);
	if (verdict != RK_VERDICT_OK) {
		/* Nothing of it is to be relied on, nor shown. */
		out->event = (struct rk_event){0};
		rk_tail_judge_other(judge, out, line, (enum rk_verdict)verdict, frame.len);
		return line->failed ? -ENOMEM : 0;
	}
	if (!has_account(&out->event) || !is_wanted(judge, &out->event))
		return 0;
	out->wanted = true;
	r = rk_tail_signers_find(judge->signers, &signer, out->event.did,
		out->event.type == RK_EVENT_IDENTITY ? TRUST_MS : FRESH_MS);
	if (r)
		return r;
	verdict = account_judge(judge, &verified, &out->event, signer);
	if (is_curable(verdict) && signer->age_ms > TRUST_MS) {
		r = rk_tail_signers_find(judge->signers, &signer, out->event.did, TRUST_MS);
		if (r)
			return r;
		verdict = account_judge(judge, &verified, &out->event, signer);
	}
	if (verdict < 0)
		return verdict;
	out->verdict = (enum rk_verdict)verdict;
	return line_add(line, judge, out, &verified, signer);
}
