/* URLs as both clients see them: origins to compare. */
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>

#include "net/http.h"

static const struct {
	const char *scheme, *as, *port;
} schemes[] = {
	{"http", "http", "80"},
	{"https", "https", "443"},
	{"ws", "http", "80"},
	{"wss", "https", "443"},
};

bool rk_http_origin(char *out, size_t size, const char *url)
{
	CURLU *parts = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *zone = NULL;
	size_t i, count = sizeof(schemes) / sizeof(schemes[0]);
	bool ok = false;
	int len;

	if (!parts || !url ||
		curl_url_set(parts, CURLUPART_URL, url,
			CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER) ||
		curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ||
		curl_url_get(parts, CURLUPART_HOST, &host, 0) || host[0] == '\0' ||
		/* A zone names an interface of this machine: no origin of the network has one. */
		curl_url_get(parts, CURLUPART_ZONEID, &zone, 0) != CURLUE_NO_ZONEID)
		goto out;
	for (i = 0; i < count && strcmp(scheme, schemes[i].scheme) != 0; i++)
		;
	if (i == count)
		goto out;
	if (curl_url_get(parts, CURLUPART_PORT, &port, 0) == CURLUE_OK &&
		strcmp(port, schemes[i].port) != 0)
		len = snprintf(out, size, "%s://%s:%s", schemes[i].as, host, port);
	else
		len = snprintf(out, size, "%s://%s", schemes[i].as, host);
	ok = len > 0 && (size_t)len < size;
	for (char *c = out; ok && *c; c++)
		*c = (char)tolower((unsigned char)*c);
out:
	curl_free(zone);
	curl_free(port);
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(parts);
	return ok;
}
