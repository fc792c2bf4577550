/* The answer to a WebSocket's handshake, and URLs to shake hands with: what is believed has the
 * proof in it, what is asked is one header. */
#include "tests/fuzz/fuzz.h"

#include "net/http.h"
#include "net/ws_upgrade.h"

static const char key[] = "dGhlIHNhbXBsZSBub25jZQ=="; /* of RFC 6455 */

static void answer(struct rk_slice in)
{
	size_t len = rk_ws_upgrade_header_len(in);
	struct rk_buf proof = {0};
	char error[256] = "";
	int result;

	fuzz_must(len <= in.len);
	if (len > 0)
		fuzz_must(memcmp(in.data + len - 4, "\r\n\r\n", 4) == 0);
	result = rk_ws_upgrade_check(rk_slice_sub(in, 0, len), key, error);
	fuzz_must(strnlen(error, sizeof(error)) < sizeof(error));
	fuzz_must((result == 0) == (error[0] == '\0'));
	if (result == 0) {
		rk_ws_upgrade_accept(&proof, key);
		fuzz_must(memmem(in.data, len, proof.data, proof.len));
		rk_buf_finish(&proof);
	}
	/* Whole or not, nothing of it is out of bounds. */
	result = rk_ws_upgrade_check(in, key, error);
	(void)result;
}

static void request(struct rk_slice in)
{
	char *url = strndup(in.len ? (const char *)in.data : "", in.len), origin[512];
	struct rk_buf text = {0};

	fuzz_must(url);
	if (rk_ws_upgrade_request(&text, url, "refkey", key)) {
		fuzz_must(rk_ws_upgrade_header_len(rk_buf_slice(&text)) == text.len);
		fuzz_must(rk_slice_starts(rk_buf_slice(&text), rk_slice_str("GET /")));
		fuzz_must(rk_http_origin(origin, sizeof(origin), url));
		for (size_t i = 0; i < text.len; i++)
			fuzz_must(text.data[i] != '\0');
	}
	rk_buf_finish(&text);
	free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice in = rk_slice_make(data, size);

	answer(in);
	request(in);
	return 0;
}
