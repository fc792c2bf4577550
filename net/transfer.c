/* See transfer.h. */
#include "net/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"

enum { ERROR_SIZE = 256, CONNECTIONS_KEPT = 16 };

int rk_transfer_init(struct rk_transfer *t, const struct rk_http_options *options)
{
	*t = (struct rk_transfer){.options = *options};
	if (!t->options.user_agent)
		t->options.user_agent = "refkey/" REFKEY_VERSION;
	for (int i = 0; i < RK_HTTP_TRUSTED_MOST; i++) {
		if (options->trusted[i] &&
			!rk_http_origin(t->trusted[i], sizeof(t->trusted[i]), options->trusted[i]))
			return -EINVAL;
	}
	t->multi = curl_multi_init();
	t->easy = curl_easy_init();
	if (!t->multi || !t->easy) {
		rk_transfer_finish(t);
		return -ENOMEM;
	}
	curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	return 0;
}

void rk_transfer_release(struct rk_transfer *t)
{
	if (t->attached)
		curl_multi_remove_handle(t->multi, t->easy);
	t->attached = false;
}

void rk_transfer_finish(struct rk_transfer *t)
{
	rk_transfer_release(t);
	curl_easy_cleanup(t->easy);
	curl_multi_cleanup(t->multi);
	t->easy = NULL;
	t->multi = NULL;
}

/* The address is what the connection really goes to, whatever DNS said before. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct rk_transfer *t = user;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN ||
		(!t->allow_private && !rk_http_address_public(&address->addr))) {
		t->address_refused = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	t->sockets++;
	return fd;
}

int rk_transfer_prepare(struct rk_transfer *t, const char *url, char *error)
{
	char origin[RK_TRANSFER_ORIGIN_MOST];
	CURL *easy;
	bool ok = true;

	if (!rk_http_origin(origin, sizeof(origin), url)) {
		snprintf(error, ERROR_SIZE, "not a URL that can be asked");
		return -EINVAL;
	}
	rk_transfer_release(t);
	/* Never a handle that was used: before 8.1.1 libcurl, even where it was reset, goes on with the
	 * last answer's freed headers when the next one begins with a folded line (its issue 11101).
	 * Connections are the multi handle's. */
	curl_easy_cleanup(t->easy);
	t->easy = easy = curl_easy_init();
	if (!easy) {
		snprintf(error, ERROR_SIZE, "no memory");
		return -ENOMEM;
	}
	t->allow_private = t->options.allow_private;
	for (int i = 0; i < RK_HTTP_TRUSTED_MOST; i++)
		t->allow_private |= t->trusted[i][0] && strcmp(origin, t->trusted[i]) == 0;
	t->address_refused = false;
	t->sockets = 0;
	t->sent = 0;
	t->received = 0;
	t->rate_least = 0;
	t->error[0] = '\0';

#define SET(option, value) ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok
	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, ""); /* not even the environment's */
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* A cancelled request does not wait for the resolver's thread, which ends by itself. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_USERAGENT, t->options.user_agent);
	SET(CURLOPT_ERRORBUFFER, t->error);
	SET(CURLOPT_BUFFERSIZE, 64L << 10);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, t);
#undef SET
	if (!ok) {
		snprintf(error, ERROR_SIZE, "no memory");
		return -ENOMEM;
	}
	return 0;
}

void rk_transfer_touch(struct rk_transfer *t, size_t bytes)
{
	t->active_ms = rk_clock_mono_ms();
	t->received += (int64_t)bytes;
}

bool rk_transfer_cancelled(struct rk_transfer *t)
{
	int64_t now;

	if (!t->options.cancel || !atomic_load(t->options.cancel))
		return false;
	now = rk_clock_mono_ms();
	if (t->cancelled_ms == 0)
		t->cancelled_ms = now;
	return now - t->cancelled_ms >= t->options.cancel_after_ms;
}

static int connect_result(const struct rk_transfer *t)
{
	long os_errno = 0;

	if (t->address_refused && t->sockets == 0)
		return -EACCES;
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	return os_errno == ETIMEDOUT ? -ETIMEDOUT : -ECONNREFUSED;
}

static int result_of(const struct rk_transfer *t, CURLcode code, char *error)
{
	if (code == CURLE_OK)
		return 0;
	snprintf(error, ERROR_SIZE, "%s", t->error[0] ? t->error : curl_easy_strerror(code));
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		if (connect_result(t) == -EACCES)
			snprintf(error, ERROR_SIZE,
				"the address is not public, and REFKEY_ALLOW_PRIVATE is off");
		return connect_result(t);
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_FILESIZE_EXCEEDED:
		return -EFBIG;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* How long may be waited before something has to be looked at; 0: a bound is reached. */
static int64_t wait_ms(struct rk_transfer *t, int64_t deadline, long idle_ms, char *error)
{
	int64_t now = rk_clock_mono_ms(), left = deadline - now, slow;
	curl_off_t sent = 0;

	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (sent != t->sent)
		t->active_ms = now;
	t->sent = sent;
	if (left <= 0) {
		snprintf(error, ERROR_SIZE, "no whole answer in time");
		return 0;
	}
	if (idle_ms > 0 && t->active_ms + idle_ms - now < left)
		left = t->active_ms + idle_ms - now;
	if (left <= 0) {
		snprintf(error, ERROR_SIZE, "nothing came for %ld ms", idle_ms);
		return 0;
	}
	if (t->rate_least > 0) {
		slow = t->begun_ms + 2 * idle_ms + t->received * 1000 / t->rate_least - now;
		if (slow < left)
			left = slow;
	}
	if (left <= 0) {
		snprintf(error, ERROR_SIZE, "less than %ld bytes a second came", t->rate_least);
		return 0;
	}
	return t->options.cancel && left > RK_TRANSFER_TICK_MS ? RK_TRANSFER_TICK_MS : left;
}

int rk_transfer_run(struct rk_transfer *t, long timeout_ms, long idle_ms, char *error)
{
	int64_t deadline = rk_clock_mono_ms() + timeout_ms, wait;
	CURLcode code = CURLE_FAILED_INIT;
	CURLMsg *message;
	CURLMcode mc;
	int running;

	rk_transfer_touch(t, 0);
	t->begun_ms = t->active_ms;
	t->cancelled_ms = 0;
	/* libcurl shares this out among the host's addresses, so that one that is silent leaves
	 * time for the next. */
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
		idle_ms > 0 && idle_ms < timeout_ms ? idle_ms : timeout_ms);
	mc = curl_multi_add_handle(t->multi, t->easy);
	t->attached = mc == CURLM_OK;
	while (mc == CURLM_OK) {
		if (rk_transfer_cancelled(t)) {
			snprintf(error, ERROR_SIZE, "cancelled");
			rk_transfer_release(t);
			return -ECANCELED;
		}
		mc = curl_multi_perform(t->multi, &running);
		if (mc != CURLM_OK || running == 0)
			break;
		wait = wait_ms(t, deadline, idle_ms, error);
		if (wait == 0) {
			rk_transfer_release(t);
			return -ETIMEDOUT;
		}
		mc = curl_multi_poll(t->multi, NULL, 0, (int)(wait > 60000 ? 60000 : wait), NULL);
	}
	if (mc != CURLM_OK) {
		snprintf(error, ERROR_SIZE, "%s", curl_multi_strerror(mc));
		rk_transfer_release(t);
		return mc == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
	}
	while ((message = curl_multi_info_read(t->multi, &running))) {
		if (message->msg == CURLMSG_DONE)
			code = message->data.result;
	}
	return result_of(t, code, error);
}
