/*
 * Origins: scheme://host[:port], all that may be said of a PDS in a DID document and in settings.
 * Source: atproto.com/specs/did ("serviceEndpoint"), RFC 3986 for the parts.
 */
#ifndef RK_ATPROTO_ORIGIN_H
#define RK_ATPROTO_ORIGIN_H

#include "base/slice.h"

enum {
	RK_ORIGIN_MOST = 512, /* bytes with the NUL: scheme, host of at most 253, port */
	RK_HOST_MOST = 253,
	RK_HOST_SIZE = RK_HOST_MOST + 1,
};

/*
 * The origin an http:// or https:// URL names, in one spelling: scheme and host in lower case, IPv6
 * addresses in their shortest form, no port where it is the scheme's own. One slash may follow the
 * origin and is dropped; false if anything else does, or a user name or an invalid host is in it.
 */
bool rk_origin_parse(char out[RK_ORIGIN_MOST], struct rk_slice url);

/* A host name of dot-separated labels (letters, digits, inner hyphens and underscores), which covers
 * IPv4 addresses. */
bool rk_host_valid(struct rk_slice host);

/* A port without leading zeros, 0 to 65535. */
bool rk_port_parse(uint16_t *out, struct rk_slice in);

/* "host", "host:port", "[v6]" or "[v6]:port", as between a URL's slashes and in addresses to listen
 * on; the host in one spelling, as above. *port is -1 where there is none. */
bool rk_host_port_parse(char host[RK_HOST_SIZE], int32_t *port, struct rk_slice in);

#endif
