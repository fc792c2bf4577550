/* See origin.h. */
#include "atproto/origin.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "atproto/ascii.h"

static const struct {
	const char *scheme;
	uint16_t port;
} schemes[] = {{"https://", 443}, {"http://", 80}};

bool rk_host_valid(struct rk_slice host)
{
	size_t label = 0; /* bytes of the label so far */

	if (host.len == 0 || host.len > RK_HOST_MOST)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = host.data[i];
		bool edge = label == 0 || i + 1 == host.len || host.data[i + 1] == '.';

		if (c == '.') {
			if (label == 0 || i + 1 == host.len)
				return false;
			label = 0;
			continue;
		}
		if (++label > 63 || (!rk_ascii_is_alnum(c) && ((c != '-' && c != '_') || edge)))
			return false;
	}
	return true;
}

bool rk_port_parse(uint16_t *out, struct rk_slice in)
{
	uint32_t port = 0;

	if (in.len == 0 || in.len > 5 || (in.data[0] == '0' && in.len > 1))
		return false;
	for (size_t i = 0; i < in.len; i++) {
		if (!rk_ascii_is_digit(in.data[i]))
			return false;
		port = port * 10 + in.data[i] - '0';
	}
	if (port > UINT16_MAX)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* "[2001:DB8::1]" to "[2001:db8::1]". */
static bool ipv6_format(char out[RK_HOST_SIZE], struct rk_slice in)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (in.len < 4 || in.len - 2 >= sizeof(text) || in.data[in.len - 1] != ']')
		return false;
	memcpy(text, in.data + 1, in.len - 2);
	text[in.len - 2] = '\0';
	if (strlen(text) != in.len - 2 || inet_pton(AF_INET6, text, &address) != 1 ||
		!inet_ntop(AF_INET6, &address, text, sizeof(text)))
		return false;
	snprintf(out, RK_HOST_SIZE, "[%s]", text);
	return true;
}

bool rk_host_port_parse(char host[RK_HOST_SIZE], int32_t *port, struct rk_slice in)
{
	bool v6 = in.len > 0 && in.data[0] == '[';
	const uint8_t *end = in.len ? memchr(in.data, v6 ? ']' : ':', in.len) : NULL;
	struct rk_slice name = in;
	uint16_t value;

	if (end)
		name.len = (size_t)(end - in.data) + v6;
	if (v6 ? !ipv6_format(host, name) : !rk_host_valid(name))
		return false;
	if (!v6) {
		for (size_t i = 0; i < name.len; i++)
			host[i] = (char)rk_ascii_to_lower(name.data[i]);
		host[name.len] = '\0';
	}
	*port = -1;
	if (name.len == in.len)
		return true;
	if (in.data[name.len] != ':' ||
		!rk_port_parse(&value, rk_slice_sub(in, name.len + 1, in.len - name.len - 1)))
		return false;
	*port = value;
	return true;
}

/* The scheme's length and its row; 0 for other schemes. */
static size_t scheme_find(struct rk_slice url, size_t *row)
{
	for (*row = 0; *row < sizeof(schemes) / sizeof(schemes[0]); (*row)++) {
		const char *scheme = schemes[*row].scheme;
		size_t len = strlen(scheme), same = 0;

		while (same < len && same < url.len &&
			rk_ascii_to_lower(url.data[same]) == (uint8_t)scheme[same])
			same++;
		if (same == len)
			return len;
	}
	return 0;
}

bool rk_origin_parse(char out[RK_ORIGIN_MOST], struct rk_slice url)
{
	char host[RK_HOST_SIZE];
	size_t row, at = scheme_find(url, &row);
	int32_t port;

	if (at == 0)
		return false;
	url = rk_slice_sub(url, at, url.len - at);
	if (url.len && url.data[url.len - 1] == '/')
		url.len--;
	if (!rk_host_port_parse(host, &port, url) || port == 0)
		return false;
	if (port < 0 || port == schemes[row].port)
		snprintf(out, RK_ORIGIN_MOST, "%s%s", schemes[row].scheme, host);
	else
		snprintf(out, RK_ORIGIN_MOST, "%s%s:%d", schemes[row].scheme, host, (int)port);
	return true;
}
