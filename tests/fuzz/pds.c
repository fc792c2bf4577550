/*
 * Answers of a PDS or a DID directory: whatever its status, waiting times and body, a call comes to
 * one of its results, with texts that end and waits within the bound. The HTTP client of pds.c is
 * put in place here: an input is a line of numbers for each answer, and its body up to a NUL.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <unistd.h>

#include "net/pds.h"

static struct rk_slice answers; /* of the input, not given yet */
static unsigned asked;

enum { ASKED_MOST = 64 };

/* In place of net/http.c. */

struct rk_http {
	int unused;
};

struct rk_http *rk_http_create(const struct rk_http_options *options)
{
	return calloc(1, sizeof(struct rk_http));
}

void rk_http_destroy(struct rk_http *http)
{
	free(http);
}

void rk_http_response_finish(struct rk_http_response *response)
{
	rk_buf_finish(&response->body);
}

static struct rk_slice until(uint8_t end)
{
	const uint8_t *at = answers.len ? memchr(answers.data, end, answers.len) : NULL;
	size_t len = at ? (size_t)(at - answers.data) : answers.len, step = at ? len + 1 : len;
	struct rk_slice part = rk_slice_sub(answers, 0, len);

	answers = rk_slice_sub(answers, step, answers.len - step);
	return part;
}

static int64_t number(struct rk_slice *line)
{
	int64_t value = 0;

	while (line->len && line->data[0] == ' ')
		*line = rk_slice_sub(*line, 1, line->len - 1);
	if (line->len && line->data[0] == '-') {
		*line = rk_slice_sub(*line, 1, line->len - 1);
		return -1;
	}
	for (; line->len && line->data[0] >= '0' && line->data[0] <= '9' &&
		value < INT64_C(99999999999999);
		*line = rk_slice_sub(*line, 1, line->len - 1))
		value = value * 10 + line->data[0] - '0';
	return value;
}

int rk_http_perform(
	struct rk_http *http, struct rk_http_response *out, const struct rk_http_request *request)
{
	static const int failures[] = {
		-ECONNREFUSED, -ETIMEDOUT, -EFBIG, -EACCES, -EINVAL, -ENOMEM, -ENOSPC, -EIO};
	struct rk_slice line = until('\n'), body = until('\0');
	int64_t status = number(&line) & INT32_MAX;

	fuzz_must(request->url && request->url[0]);
	for (const char *c = request->url; *c; c++)
		fuzz_must(*c > ' ' && *c < 0x7f);
	*out = (struct rk_http_response){.retry_after_ms = -1, .ratelimit_remaining = -1};
	out->ratelimit_reset = -1;
	if (++asked > ASKED_MOST)
		return -ECANCELED;
	if (status < 8) {
		snprintf(out->error, sizeof(out->error), "failed");
		out->status = number(&line) % 1000;
		return failures[status];
	}
	out->status = status % 1000;
	/* As net/http.c gives them: within its bounds. */
	out->retry_after_ms = number(&line);
	if (out->retry_after_ms > RK_HTTP_RETRY_MOST_MS)
		out->retry_after_ms = RK_HTTP_RETRY_MOST_MS;
	out->ratelimit_reset = number(&line);
	if (request->body_fd >= 0 && out->status / 100 == 2) {
		if (body.len > request->body_most)
			return -EFBIG;
		fuzz_must(write(request->body_fd, body.data, body.len) == (ssize_t)body.len);
		return 0;
	}
	rk_buf_add_slice(&out->body, body);
	return 0;
}

/* The calls */

static void judge(const struct rk_pds_reply *reply, int result)
{
	fuzz_must(result <= RK_PDS_WRONG);
	fuzz_must(strnlen(reply->error, sizeof(reply->error)) < sizeof(reply->error));
	fuzz_must(strnlen(reply->message, sizeof(reply->message)) < sizeof(reply->message));
	fuzz_must(strnlen(reply->account_status, sizeof(reply->account_status)) <
		sizeof(reply->account_status));
	fuzz_must(reply->retry_after_ms >= -1 && reply->retry_after_ms <= RK_HTTP_RETRY_MOST_MS);
	fuzz_must(reply->retry_after_ms == -1 || result == RK_PDS_RETRY);
	fuzz_must((reply->account_status[0] != '\0') == (result == RK_PDS_INACTIVE));
}

static int visit(void *user, const struct rk_pds_repo *repo)
{
	fuzz_must(repo->did.len > 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rk_pds_options options = {.timeout_ms = 1};
	static const char origin[] = "http://127.0.0.1:1";
	struct rk_pds *pds = rk_pds_create(&options);
	struct rk_pds_reply reply;
	struct rk_buf text = {0};
	struct rk_pds_spool spool = {.dir = "/tmp", .bytes_most = 1000};
	int result;

	fuzz_must(pds);
	answers = rk_slice_make(data, size);
	asked = 0;
	result = rk_pds_describe_server(pds, &reply, &text, origin);
	judge(&reply, result);
	fuzz_must((result == RK_PDS_OK) == (text.len > 0));
	rk_buf_clear(&text);

	answers = rk_slice_make(data, size);
	result = rk_pds_resolve_handle(pds, &reply, &text, origin, "alice.test");
	judge(&reply, result);
	fuzz_must((result == RK_PDS_OK) == (text.len > 0));
	rk_buf_clear(&text);

	answers = rk_slice_make(data, size);
	judge(&reply, rk_pds_list_repos(pds, &reply, origin, visit, NULL));

	answers = rk_slice_make(data, size);
	result = rk_pds_get_repo(pds, &reply, &spool, origin, "did:web:a.test");
	judge(&reply, result);
	fuzz_must((result == RK_PDS_OK) == (spool.fd >= 0) && spool.size <= 1000);
	if (spool.fd >= 0)
		close(spool.fd);

	answers = rk_slice_make(data, size);
	judge(&reply,
		rk_pds_did_document(pds, &reply, &text, "http://127.0.0.1:1", "did:web:a.test"));
	rk_buf_finish(&text);
	rk_pds_destroy(pds);
	return 0;
}
