/* See pds.h. An answer's meaning is decided in one place: pds_answer.c. */
#include "net/pds.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/encode.h"
#include "net/pds_answer.h"
#include "net/spool.h"

enum {
	ANSWER_MOST = 64 << 10, /* of the small calls */
	PAGE_MOST = 1 << 20,    /* of one page of repos: 500 entries are about 100 KB */
	PAGE_REPOS = 500,
	DID_MOST = 2048,
	ORIGIN_SIZE = 512,
	PLC_ID_LEN = 24,
	TIMEOUT_MS = 30 * 1000,
	IDLE_MS = 15 * 1000,
	REPO_TIMEOUT_MS = 20 * 60 * 1000,
	REPO_RATE_LEAST = 16 << 10, /* a host that sends less would hold a thread for nothing */
};

struct rk_pds {
	struct rk_http *http;
	struct rk_pds_options options;
	struct rk_buf bypass; /* a whole header line; empty: none */
	char bypass_origin[ORIGIN_SIZE];
};

static long or_default(long value, long otherwise)
{
	return value > 0 ? value : otherwise;
}

struct rk_pds *rk_pds_create(const struct rk_pds_options *options)
{
	struct rk_pds *pds = calloc(1, sizeof(*pds));

	if (!pds)
		return NULL;
	pds->options = *options;
	pds->options.timeout_ms = or_default(options->timeout_ms, TIMEOUT_MS);
	pds->options.idle_ms = or_default(options->idle_ms, IDLE_MS);
	pds->options.repo_timeout_ms = or_default(options->repo_timeout_ms, REPO_TIMEOUT_MS);
	pds->http = rk_http_create(&options->http);
	if (options->bypass_key &&
		rk_http_origin(pds->bypass_origin, ORIGIN_SIZE, options->bypass_origin))
		rk_buf_printf(&pds->bypass, "x-ratelimit-bypass: %s", options->bypass_key);
	if (!pds->http || rk_buf_failed(&pds->bypass)) {
		rk_pds_destroy(pds);
		return NULL;
	}
	return pds;
}

void rk_pds_destroy(struct rk_pds *pds)
{
	if (!pds)
		return;
	rk_buf_wipe(&pds->bypass);
	rk_http_destroy(pds->http);
	free(pds);
}

/* One GET. *response is the caller's to finish, whatever the result. */
static int ask(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_http_response *response,
	struct rk_http_request *request, struct rk_buf *url, bool xrpc)
{
	const char *headers[2] = {0};
	char origin[ORIGIN_SIZE];
	int rc;

	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	*response = (struct rk_http_response){0};
	if (rk_buf_failed(url))
		return -ENOMEM;
	request->url = rk_buf_cstr(url);
	request->idle_ms = pds->options.idle_ms;
	request->headers = headers;
	if (xrpc && pds->bypass.len && rk_http_origin(origin, sizeof(origin), request->url) &&
		strcmp(origin, pds->bypass_origin) == 0)
		headers[0] = rk_buf_cstr(&pds->bypass);
	rc = rk_http_perform(pds->http, response, request);
	request->headers = NULL;
	rc = rk_pds_answer(reply, response, rc, xrpc);
	if (headers[0])
		rk_pds_secret_hide(reply, response, pds->options.bypass_key);
	return rc;
}

static void add_origin(struct rk_buf *url, const char *origin)
{
	size_t len = strlen(origin);

	while (len && origin[len - 1] == '/')
		len--;
	rk_buf_add(url, origin, len);
}

static void add_method(struct rk_buf *url, const char *origin, const char *nsid)
{
	add_origin(url, origin);
	rk_buf_add_str(url, "/xrpc/");
	rk_buf_add_str(url, nsid);
}

/* A small answer as a JSON object. *root is the caller's, NULL unless the result is RK_PDS_OK. */
static int ask_json(struct rk_pds *pds, struct rk_pds_reply *reply, json_t **root,
	struct rk_buf *url, size_t body_most)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http_response response;
	int rc;

	*root = NULL;
	request.body_most = body_most;
	request.timeout_ms = pds->options.timeout_ms;
	rc = ask(pds, reply, &response, &request, url, true);
	if (rc == RK_PDS_OK) {
		*root = json_loadb((const char *)response.body.data, response.body.len, 0, NULL);
		if (!json_is_object(*root)) {
			json_decref(*root);
			*root = NULL;
			rc = rk_pds_wrong(reply, "the answer is not a JSON object");
		}
	}
	rk_http_response_finish(&response);
	return rc;
}

static struct rk_slice json_slice(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return rk_slice_make(json_string_value(value), json_string_length(value));
}

/* A call whose answer is {did}. Takes url's memory. */
static int ask_did(
	struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_buf *did, struct rk_buf *url)
{
	struct rk_slice value;
	json_t *root;
	int rc = ask_json(pds, reply, &root, url, ANSWER_MOST);

	rk_buf_finish(url);
	if (rc != RK_PDS_OK)
		return rc;
	value = json_slice(root, "did");
	if (value.len == 0 || value.len > DID_MOST) {
		rc = rk_pds_wrong(reply, "the answer has no did");
	} else {
		rk_buf_add_slice(did, value);
		rc = rk_buf_failed(did);
	}
	json_decref(root);
	return rc;
}

int rk_pds_describe_server(
	struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_buf *did, const char *origin)
{
	struct rk_buf url = {0};

	add_method(&url, origin, "com.atproto.server.describeServer");
	return ask_did(pds, reply, did, &url);
}

int rk_pds_resolve_handle(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_buf *did,
	const char *origin, const char *handle)
{
	struct rk_buf url = {0};
	int rc;

	add_method(&url, origin, "com.atproto.identity.resolveHandle?handle=");
	rk_percent_encode(&url, rk_slice_str(handle));
	rc = ask_did(pds, reply, did, &url);
	/* The reference PDS has no name for "not found" here. */
	if (rc == RK_PDS_WRONG && reply->http_status == 400 &&
		strcmp(reply->error, "InvalidRequest") == 0)
		return RK_PDS_ABSENT;
	return rc;
}

/* Listing */

/* Brent's way of noticing that cursors go round: one is remembered, and replaced at each power of
 * two pages. */
struct cursor_watch {
	struct rk_buf seen;
	unsigned long pages, replace_at;
};

static bool cursor_repeats(struct cursor_watch *watch, struct rk_slice cursor)
{
	if (watch->pages > 0 && rk_slice_equal(rk_buf_slice(&watch->seen), cursor))
		return true;
	if (watch->pages++ >= watch->replace_at) {
		watch->replace_at = watch->replace_at ? watch->replace_at * 2 : 1;
		rk_buf_clear(&watch->seen);
		rk_buf_add_slice(&watch->seen, cursor);
	}
	return false;
}

/* The number of entries that were new, or negative. */
static ssize_t visit_page(const json_t *repos, rk_pds_visit_repo *visit, void *user)
{
	const json_t *item;
	ssize_t fresh = 0;
	size_t i;
	int rc;

	json_array_foreach(repos, i, item)
	{
		const json_t *active = json_object_get(item, "active");
		struct rk_pds_repo repo = {
			.did = json_slice(item, "did"),
			.head = json_slice(item, "head"),
			.rev = json_slice(item, "rev"),
			.status = json_slice(item, "status"),
			.active = !json_is_false(active),
		};

		if (repo.did.len == 0)
			continue;
		rc = visit(user, &repo);
		if (rc < 0)
			return rc;
		fresh += rc == 0;
	}
	return fresh;
}

/* method: with the start of its query, "com.atproto.sync.listRepos?". */
static int list(struct rk_pds *pds, struct rk_pds_reply *reply, const char *origin,
	const char *method, rk_pds_visit_repo *visit, void *user)
{
	struct cursor_watch watch = {0};
	struct rk_buf url = {0}, cursor = {0};
	bool more = true;
	int rc = 0;

	while (more) {
		struct rk_slice next;
		json_t *root, *repos;
		ssize_t fresh = 0;

		rk_buf_clear(&url);
		add_method(&url, origin, method);
		rk_buf_printf(&url, "limit=%d", PAGE_REPOS);
		if (cursor.len > 0) {
			rk_buf_add_str(&url, "&cursor=");
			rk_percent_encode(&url, rk_buf_slice(&cursor));
		}
		rc = ask_json(pds, reply, &root, &url, PAGE_MOST);
		if (rc != RK_PDS_OK)
			break;
		repos = json_object_get(root, "repos");
		next = json_slice(root, "cursor");
		if (json_is_array(repos))
			fresh = visit_page(repos, visit, user);
		else
			rc = rk_pds_wrong(reply, "the answer has no repos");
		if (fresh < 0)
			rc = (int)fresh;
		more = fresh > 0 && next.len > 0 && !cursor_repeats(&watch, next);
		rk_buf_clear(&cursor);
		rk_buf_add_slice(&cursor, next);
		json_decref(root);
		if (rc == 0)
			rc = rk_buf_failed(&cursor);
		more = more && rc == 0;
	}
	rk_buf_finish(&watch.seen);
	rk_buf_finish(&cursor);
	rk_buf_finish(&url);
	return rc;
}

int rk_pds_list_repos(struct rk_pds *pds, struct rk_pds_reply *reply, const char *origin,
	rk_pds_visit_repo *visit, void *user)
{
	return list(pds, reply, origin, "com.atproto.sync.listRepos?", visit, user);
}

int rk_pds_list_repos_by_collection(struct rk_pds *pds, struct rk_pds_reply *reply,
	const char *origin, const char *collection, rk_pds_visit_repo *visit, void *user)
{
	struct rk_buf method = {0};
	int rc;

	rk_buf_add_str(&method, "com.atproto.sync.listReposByCollection?collection=");
	rk_percent_encode(&method, rk_slice_str(collection));
	rk_buf_add_byte(&method, '&');
	rc = rk_buf_failed(&method);
	if (rc == 0)
		rc = list(pds, reply, origin, rk_buf_cstr(&method), visit, user);
	rk_buf_finish(&method);
	return rc;
}

/* Repos */

/* What does not fit is no text that is expected: left empty. */
static void take_text(char *out, size_t size, struct rk_slice text)
{
	out[0] = '\0';
	if (text.len < size)
		snprintf(out, size, "%.*s", (int)text.len, (const char *)text.data);
}

int rk_pds_repo_status(struct rk_pds *pds, struct rk_pds_reply *reply, char rev[RK_PDS_REV_SIZE],
	const char *origin, const char *did)
{
	struct rk_buf url = {0};
	json_t *root;
	int rc;

	rev[0] = '\0';
	add_method(&url, origin, "com.atproto.sync.getRepoStatus?did=");
	rk_percent_encode(&url, rk_slice_str(did));
	rc = ask_json(pds, reply, &root, &url, ANSWER_MOST);
	rk_buf_finish(&url);
	if (rc != RK_PDS_OK)
		return rc;
	if (!rk_slice_equal_str(json_slice(root, "did"), did) ||
		!json_is_boolean(json_object_get(root, "active"))) {
		rc = rk_pds_wrong(
			reply, "the answer is of no account, or does not say if it is active");
	} else if (json_is_false(json_object_get(root, "active"))) {
		take_text(reply->account_status, sizeof(reply->account_status),
			json_slice(root, "status"));
		snprintf(reply->message, sizeof(reply->message), "the account is not active");
		rc = RK_PDS_INACTIVE;
	} else {
		take_text(rev, RK_PDS_REV_SIZE, json_slice(root, "rev"));
	}
	json_decref(root);
	return rc;
}

int rk_pds_get_repo(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_pds_spool *spool,
	const char *origin, const char *did)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http_response response;
	struct rk_buf url = {0};
	off_t end;
	int rc;

	spool->fd = -1;
	spool->size = 0;
	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	request.body_fd = rk_spool_open(spool->dir);
	if (request.body_fd < 0) {
		snprintf(reply->message, sizeof(reply->message), "spool file: %s",
			strerror(-request.body_fd));
		return request.body_fd;
	}
	request.watch = spool->watch;
	request.watch_context = spool->watch_context;
	request.body_most = spool->bytes_most;
	request.timeout_ms = pds->options.repo_timeout_ms;
	request.rate_least = REPO_RATE_LEAST;
	add_method(&url, origin, "com.atproto.sync.getRepo?did=");
	rk_percent_encode(&url, rk_slice_str(did));
	rc = ask(pds, reply, &response, &request, &url, true);
	if (rc == RK_PDS_OK) {
		end = lseek(request.body_fd, 0, SEEK_CUR);
		if (end < 0 || lseek(request.body_fd, 0, SEEK_SET) < 0)
			rc = -errno;
		else
			spool->size = (size_t)end;
	}
	if (rc == RK_PDS_OK)
		spool->fd = request.body_fd;
	else
		close(request.body_fd);
	rk_http_response_finish(&response);
	rk_buf_finish(&url);
	return rc;
}

/* DID documents */

static bool plc_url(struct rk_buf *url, const char *directory, const char *did)
{
	const char *id = did + strlen("did:plc:");

	if (strlen(id) != PLC_ID_LEN ||
		strspn(id, "abcdefghijklmnopqrstuvwxyz234567") != PLC_ID_LEN)
		return false;
	add_origin(url, directory);
	rk_buf_add_byte(url, '/');
	rk_buf_add_str(url, did);
	return true;
}

/* A host name, or localhost with "%3A" and a port; localhost is for development, without TLS. */
static bool web_url(struct rk_buf *url, const char *did)
{
	const char *id = did + strlen("did:web:");
	size_t host =
		strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
	bool local = host == strlen("localhost") && memcmp(id, "localhost", host) == 0;
	const char *port = id + host;

	if (host == 0 || host > 253)
		return false;
	rk_buf_add_str(url, local ? "http://" : "https://");
	rk_buf_add(url, id, host);
	if (*port) {
		size_t digits;

		if (!local || (strncmp(port, "%3A", 3) != 0 && strncmp(port, "%3a", 3) != 0))
			return false;
		port += 3;
		digits = strspn(port, "0123456789");
		if (digits == 0 || digits > 5 || port[digits])
			return false;
		rk_buf_add_byte(url, ':');
		rk_buf_add_str(url, port);
	}
	rk_buf_add_str(url, "/.well-known/did.json");
	return true;
}

static bool did_url(struct rk_buf *url, const char *directory, const char *did)
{
	if (strncmp(did, "did:plc:", 8) == 0)
		return plc_url(url, directory, did);
	return strncmp(did, "did:web:", 8) == 0 && web_url(url, did);
}

bool rk_pds_did_is_known(const char *did)
{
	struct rk_buf url = {0};
	bool known = did_url(&url, "", did);

	rk_buf_finish(&url);
	return known;
}

int rk_pds_did_document(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_buf *json,
	const char *directory, const char *did)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http_response response = {0};
	struct rk_buf url = {0};
	int rc;

	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	if (!did_url(&url, directory, did)) {
		rk_buf_finish(&url);
		return rk_pds_wrong(reply, "not a did:plc, nor a did:web of a host");
	}
	request.body_most = RK_PDS_DID_DOCUMENT_MOST;
	request.timeout_ms = pds->options.timeout_ms;
	rc = ask(pds, reply, &response, &request, &url, false);
	if (rc == RK_PDS_OK) {
		rk_buf_add_slice(json, rk_buf_slice(&response.body));
		rc = rk_buf_failed(json);
	}
	rk_http_response_finish(&response);
	rk_buf_finish(&url);
	return rc;
}
