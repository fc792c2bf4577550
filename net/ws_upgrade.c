/* See ws_upgrade.h. */
#include "net/ws_upgrade.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>
#include <sys/random.h>

#include "base/encode.h"
#include "net/http.h"

enum { ERROR_SIZE = 256, ORIGIN_MOST = 512 };

static void add_base64(struct rk_buf *out, const uint8_t *bytes, size_t len)
{
	rk_base64_encode(out, rk_slice_make(bytes, len));
	for (; len % 3; len++)
		rk_buf_add_byte(out, '=');
}

int rk_ws_upgrade_key(char key[RK_WS_KEY_SIZE])
{
	uint8_t bytes[16];
	struct rk_buf text = {0};
	int rc;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	add_base64(&text, bytes, sizeof(bytes));
	rc = rk_buf_failed(&text);
	snprintf(key, RK_WS_KEY_SIZE, "%s", rk_buf_cstr(&text));
	rk_buf_finish(&text);
	return rc;
}

void rk_ws_upgrade_accept(struct rk_buf *out, const char *key)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;
	char text[RK_WS_KEY_SIZE + 36];

	snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	if (EVP_Digest(text, strlen(text), digest, &digest_len, EVP_sha1(), NULL) == 1)
		add_base64(out, digest, digest_len);
	else
		out->failed = true;
}

bool rk_ws_upgrade_request(struct rk_buf *out, const char *url, const char *agent, const char *key)
{
	CURLU *parts = curl_url();
	char origin[ORIGIN_MOST];
	char *path = NULL, *query = NULL;
	bool ok = parts && rk_http_origin(origin, sizeof(origin), url) &&
		curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK;

	for (const char *c = origin; ok && *c; c++)
		ok = *c > ' ' && *c < 0x7f;
	if (ok) {
		rk_buf_printf(out, "GET %s", path);
		if (curl_url_get(parts, CURLUPART_QUERY, &query, 0) == CURLUE_OK)
			rk_buf_printf(out, "?%s", query);
		rk_buf_printf(out,
			" HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nUpgrade: websocket\r\n"
			"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
			"%s\r\n\r\n",
			strstr(origin, "://") + 3, agent, key);
	}
	curl_free(query);
	curl_free(path);
	curl_url_cleanup(parts);
	return ok;
}

size_t rk_ws_upgrade_header_len(struct rk_slice in)
{
	const uint8_t *end = in.len ? memmem(in.data, in.len, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end - in.data) + 4 : 0;
}

static bool equals(struct rk_slice a, const char *text)
{
	return a.len == strlen(text) && strncasecmp((const char *)a.data, text, a.len) == 0;
}

static struct rk_slice trimmed(struct rk_slice s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = rk_slice_sub(s, 1, s.len - 1);
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Up to the separator, which is dropped from *rest with it. */
static struct rk_slice split(struct rk_slice *rest, const char *separator)
{
	size_t len = strlen(separator);
	const uint8_t *at = rest->len ? memmem(rest->data, rest->len, separator, len) : NULL;
	struct rk_slice head = *rest;

	if (!at) {
		*rest = (struct rk_slice){0};
		return head;
	}
	head.len = (size_t)(at - rest->data);
	*rest = rk_slice_sub(*rest, head.len + len, rest->len - head.len - len);
	return head;
}

static bool list_has(struct rk_slice list, const char *token)
{
	while (list.len) {
		if (equals(trimmed(split(&list, ",")), token))
			return true;
	}
	return false;
}

static int refuse(char *error, const char *what, struct rk_slice text)
{
	int len = text.len > 120 ? 120 : (int)text.len;

	snprintf(error, ERROR_SIZE, "%s%.*s", what, len, len ? (const char *)text.data : "");
	return -EPROTO;
}

int rk_ws_upgrade_check(struct rk_slice header, const char *key, char *error)
{
	static const struct rk_slice expected = RK_SLICE_LIT("HTTP/1.1 101");
	bool upgrade = false, connection = false, accept = false;
	struct rk_slice line = split(&header, "\r\n");
	struct rk_buf want = {0};
	int rc = 0;

	if (!rk_slice_starts(line, expected) ||
		(line.len > expected.len && line.data[expected.len] != ' '))
		return refuse(error, "no upgrade but ", line);
	rk_ws_upgrade_accept(&want, key);
	while (rc == 0 && (line = split(&header, "\r\n")).len) {
		struct rk_slice value = line, name = split(&value, ":");

		value = trimmed(value);
		if (equals(name, "upgrade"))
			upgrade = upgrade || list_has(value, "websocket");
		else if (equals(name, "connection"))
			connection = connection || list_has(value, "upgrade");
		else if (equals(name, "sec-websocket-accept"))
			accept = rk_slice_equal(value, rk_buf_slice(&want));
		else if (equals(name, "sec-websocket-extensions") ||
			equals(name, "sec-websocket-protocol"))
			rc = refuse(error, "upgraded to what was not asked for: ", line);
	}
	if (rc == 0 && rk_buf_failed(&want))
		rc = refuse(error, "no memory", (struct rk_slice){0});
	if (rc == 0 && !upgrade)
		rc = refuse(error, "101 without Upgrade: websocket", (struct rk_slice){0});
	if (rc == 0 && !connection)
		rc = refuse(error, "101 without Connection: Upgrade", (struct rk_slice){0});
	if (rc == 0 && !accept)
		rc = refuse(
			error, "101 with a wrong or no Sec-WebSocket-Accept", (struct rk_slice){0});
	rk_buf_finish(&want);
	return rc;
}
