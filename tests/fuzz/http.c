/*
 * HTTP answers as bytes on a socket, through libcurl: no answer takes more memory or time than the
 * request allows, and what its headers say stays within bounds. A thread serves the input on
 * 127.0.0.1 and closes; a second request on the same client sees it again.
 */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http.h"

enum { BODY_MOST = 500, TIMEOUT_MS = 5000, REFUSAL_MOST = 64 << 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the next two */
static uint8_t input[32 << 10];                          /* fits a socket's buffer */
static size_t input_len;
static int listener = -1;
static struct rk_http *http;
static char url[64];

static void *serve(void *unused)
{
	for (;;) {
		char request[4096];
		size_t len = 0;
		ssize_t n;
		int fd = accept(listener, NULL, NULL);

		fuzz_must(fd >= 0);
		while (len < sizeof(request) &&
			(n = recv(fd, request + len, sizeof(request) - len, 0)) > 0) {
			len += (size_t)n;
			if (memmem(request, len, "\r\n\r\n", 4))
				break;
		}
		pthread_mutex_lock(&lock);
		send(fd, input, input_len, MSG_NOSIGNAL);
		pthread_mutex_unlock(&lock);
		shutdown(fd, SHUT_WR);
		/* The client closes first, so that no port waits for late bytes. */
		while (recv(fd, request, sizeof(request), 0) > 0)
			continue;
		close(fd);
	}
	return NULL;
}

static void start(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static const struct rk_http_options options = {.allow_private = true};
	socklen_t len = sizeof(address);
	pthread_t thread;

	fuzz_must(rk_http_global_init() == 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fuzz_must(
		bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 8) == 0);
	fuzz_must(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	http = rk_http_create(&options);
	fuzz_must(http && pthread_create(&thread, NULL, serve, NULL) == 0);
	pthread_detach(thread);
}

static void ask(int body_fd)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http_response response;
	off_t written;
	int result;

	request.url = url;
	request.body_most = BODY_MOST;
	request.body_fd = body_fd;
	request.timeout_ms = TIMEOUT_MS;
	result = rk_http_perform(http, &response, &request);
	fuzz_must(result <= 0);
	fuzz_must(result != 0 || response.status > 0);
	fuzz_must(result == 0 || response.error[0] != '\0');
	fuzz_must(result == 0 || response.body.len == 0);
	fuzz_must(response.body.len <= (body_fd >= 0 ? REFUSAL_MOST : BODY_MOST));
	fuzz_must(
		response.retry_after_ms >= -1 && response.retry_after_ms <= RK_HTTP_RETRY_MOST_MS);
	fuzz_must(response.ratelimit_remaining >= -1 && response.ratelimit_reset >= -1);
	fuzz_must(memchr(response.content_type, '\0', sizeof(response.content_type)));
	fuzz_must(memchr(response.error, '\0', sizeof(response.error)));
	if (body_fd >= 0) {
		written = lseek(body_fd, 0, SEEK_END);
		fuzz_must(written >= 0 && written <= BODY_MOST);
		fuzz_must(written == 0 || response.status / 100 == 2);
	}
	rk_http_response_finish(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int spool = memfd_create("spool", MFD_CLOEXEC);

	if (listener < 0)
		start();
	if (size > sizeof(input))
		size = sizeof(input);
	pthread_mutex_lock(&lock);
	memcpy(input, data, size);
	input_len = size;
	pthread_mutex_unlock(&lock);
	fuzz_must(spool >= 0);
	ask(-1);
	ask(spool);
	close(spool);
	return 0;
}
