/* See http.h. What libcurl may do is set in transfer.c; here an answer is taken in. */
#include "net/http.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/transfer.h"

enum {
	HEADER_MOST = 64 << 10,       /* all header lines of an answer together */
	REFUSAL_MOST = 64 << 10,      /* body of an answer that is not 2xx, kept for its reason */
	RELATIVE_RESET_MOST = 1 << 30 /* RateLimit-Reset up to this is seconds from now */
};

struct rk_http {
	struct rk_transfer transfer;
};

struct exchange {
	struct rk_transfer *transfer;
	const struct rk_http_request *request;
	struct rk_http_response *out;
	size_t header_bytes, body_bytes;
	int failed; /* what a callback found; it ends the transfer */
};

int rk_http_global_init(void)
{
	/* libcurl under NOSIGNAL leaves SIGPIPE, which OpenSSL's writes can raise, to its user. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

struct rk_http *rk_http_create(const struct rk_http_options *options)
{
	struct rk_http *http = calloc(1, sizeof(*http));

	if (http && rk_transfer_init(&http->transfer, options) != 0) {
		free(http);
		return NULL;
	}
	return http;
}

void rk_http_destroy(struct rk_http *http)
{
	if (!http)
		return;
	rk_transfer_finish(&http->transfer);
	free(http);
}

/* Header values */

static void take_content_type(struct rk_http_response *out, const char *value)
{
	size_t len = strcspn(value, "; \t");

	out->content_type[0] = '\0';
	if (len >= sizeof(out->content_type))
		return;
	for (size_t i = 0; i < len; i++)
		out->content_type[i] = (char)tolower((unsigned char)value[i]);
	out->content_type[len] = '\0';
}

/* A number of at most 15 digits, at the start of the value; -1 if there is none. */
static int64_t take_number(const char *value)
{
	size_t digits = strspn(value, "0123456789");

	if (digits == 0)
		return -1;
	return digits > 15 ? INT64_C(999999999999999) : strtoll(value, NULL, 10);
}

static void take_retry_after(struct rk_http_response *out, const char *value)
{
	int64_t wait = take_number(value);

	if (wait >= 0) {
		wait *= 1000;
	} else {
		time_t when = curl_getdate(value, NULL);

		if (when == (time_t)-1)
			return;
		wait = (int64_t)when * 1000 - rk_clock_wall_ms();
	}
	if (wait > RK_HTTP_RETRY_MOST_MS)
		wait = RK_HTTP_RETRY_MOST_MS;
	out->retry_after_ms = wait < 0 ? 0 : wait;
}

static void take_ratelimit_remaining(struct rk_http_response *out, const char *value)
{
	out->ratelimit_remaining = take_number(value);
}

/* The reference PDS sends Unix time, the IETF draft seconds from now. */
static void take_ratelimit_reset(struct rk_http_response *out, const char *value)
{
	int64_t reset = take_number(value);

	if (reset >= 0 && reset < RELATIVE_RESET_MOST)
		reset += rk_clock_wall_ms() / 1000;
	out->ratelimit_reset = reset;
}

/* "LIMIT;w=SECONDS" */
static void take_ratelimit_policy(struct rk_http_response *out, const char *value)
{
	const char *window = strstr(value, ";w=");

	out->ratelimit_window = window ? take_number(window + 3) : -1;
}

static const struct {
	const char *name;
	void (*take)(struct rk_http_response *out, const char *value);
} taken_headers[] = {
	{"content-type", take_content_type},
	{"retry-after", take_retry_after},
	{"ratelimit-remaining", take_ratelimit_remaining},
	{"ratelimit-reset", take_ratelimit_reset},
	{"ratelimit-policy", take_ratelimit_policy},
};

static void reset_headers(struct rk_http_response *out)
{
	out->retry_after_ms = -1;
	out->ratelimit_remaining = -1;
	out->ratelimit_reset = -1;
	out->ratelimit_window = -1;
	out->content_type[0] = '\0';
}

static void take_header(struct rk_http_response *out, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	char value[256];
	size_t name_len, value_len;

	if (!colon)
		return;
	name_len = (size_t)(colon - line);
	value_len = len - name_len - 1;
	colon++;
	while (value_len && (*colon == ' ' || *colon == '\t')) {
		colon++;
		value_len--;
	}
	while (value_len && isspace((unsigned char)colon[value_len - 1]))
		value_len--;
	if (value_len >= sizeof(value))
		return;
	memcpy(value, colon, value_len);
	value[value_len] = '\0';
	for (size_t i = 0; i < sizeof(taken_headers) / sizeof(taken_headers[0]); i++) {
		if (strlen(taken_headers[i].name) == name_len &&
			strncasecmp(taken_headers[i].name, line, name_len) == 0)
			taken_headers[i].take(out, value);
	}
}

/* libcurl's callbacks; a return other than the length ends the transfer */

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
	struct exchange *x = user;
	size_t len = size * count;

	rk_transfer_touch(x->transfer, len);
	x->header_bytes += len;
	if (x->header_bytes > HEADER_MOST) {
		snprintf(x->out->error, sizeof(x->out->error), "header of more than %d bytes",
			HEADER_MOST);
		x->failed = -EFBIG;
		return 0;
	}
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0) /* also of a 100 before the answer */
		reset_headers(x->out);
	else
		take_header(x->out, line, len);
	return len;
}

static int write_whole(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct exchange *x = user;
	size_t len = size * count, most = x->request->body_most;
	bool to_fd = x->request->body_fd >= 0;
	long status = 0;
	int rc;

	rk_transfer_touch(x->transfer, len);
	curl_easy_getinfo(x->transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (to_fd && status / 100 != 2) {
		to_fd = false;
		most = REFUSAL_MOST;
	}
	if (len > most || x->body_bytes > most - len) {
		snprintf(x->out->error, sizeof(x->out->error), "answer of more than %zu bytes",
			most);
		x->failed = -EFBIG;
		return 0;
	}
	if (to_fd && x->request->watch &&
		!x->request->watch(
			x->request->watch_context, rk_slice_make(data, len), x->body_bytes)) {
		snprintf(x->out->error, sizeof(x->out->error), "the rest is not wanted");
		x->failed = -ECONNABORTED;
		return 0;
	}
	x->body_bytes += len;
	if (to_fd) {
		rc = write_whole(x->request->body_fd, data, len);
		if (rc < 0) {
			snprintf(x->out->error, sizeof(x->out->error),
				"writing the answer down: %s", strerror(-rc));
			x->failed = -ENOSPC;
			return 0;
		}
		return len;
	}
	rk_buf_add(&x->out->body, data, len);
	if (rk_buf_failed(&x->out->body)) {
		snprintf(x->out->error, sizeof(x->out->error), "no memory for the answer");
		x->failed = -ENOMEM;
		return 0;
	}
	return len;
}

static bool header_add(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer)
		*list = longer;
	return longer != NULL;
}

/* Everything the request asks for, on top of the rules. */
static int set_request(CURL *easy, struct exchange *x, struct curl_slist **headers)
{
	const struct rk_http_request *r = x->request;
	const char *method = r->method ? r->method : "GET";
	size_t most = r->body_most;
	bool ok = true;

	for (const char *const *h = r->headers; h && *h; h++) {
		if (strpbrk(*h, "\r\n")) {
			snprintf(x->out->error, sizeof(x->out->error), "line break in a header");
			return -EINVAL;
		}
		ok = header_add(headers, *h) && ok;
	}
#define SET(option, value) ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok
	if (r->body.data) {
		ok = header_add(headers, "Expect:") && ok;
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, (const char *)r->body.data);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
	}
	SET(CURLOPT_CUSTOMREQUEST, method);
	if (*headers)
		SET(CURLOPT_HTTPHEADER, *headers);
	/* Some answers are known to be too long before their first byte; on_body judges all. */
	if (r->body_fd >= 0 && most < REFUSAL_MOST)
		most = REFUSAL_MOST;
	if (most > 0)
		SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)most);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, x);
#undef SET
	return ok ? 0 : -ENOMEM;
}

int rk_http_perform(
	struct rk_http *http, struct rk_http_response *out, const struct rk_http_request *request)
{
	struct exchange x = {.transfer = &http->transfer, .request = request, .out = out};
	struct curl_slist *headers = NULL;
	int rc;

	*out = (struct rk_http_response){0};
	reset_headers(out);
	rc = rk_transfer_prepare(&http->transfer, request->url, out->error);
	if (rc == 0)
		rc = set_request(http->transfer.easy, &x, &headers);
	if (rc == 0) {
		char error[sizeof(out->error)] = "";

		http->transfer.rate_least = request->rate_least;
		rc = rk_transfer_run(&http->transfer, request->timeout_ms, request->idle_ms, error);
		if (x.failed)
			rc = x.failed; /* and its own text */
		else if (rc < 0)
			memcpy(out->error, error, sizeof(error));
	}
	curl_easy_getinfo(http->transfer.easy, CURLINFO_RESPONSE_CODE, &out->status);
	/* libcurl takes "HTTP/200 OK" for an answer without a status. */
	if (rc == 0 && out->status == 0) {
		snprintf(out->error, sizeof(out->error), "an answer without a status");
		rc = -EIO;
	}
	if (rc < 0)
		rk_buf_finish(&out->body);
	rk_transfer_release(&http->transfer);
	curl_slist_free_all(headers);
	return rc;
}

void rk_http_response_finish(struct rk_http_response *response)
{
	if (response)
		rk_buf_finish(&response->body);
}
