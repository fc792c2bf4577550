/* Rules of xrpc/call: which path and verb leads where, and what is answered when nothing is there. */
#include "tests/unit/xrpc/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "xrpc/methods.h"

#define M "/xrpc/" RK_XRPC_GROUP

static void routes(void **state)
{
	static const struct {
		const char *method, *target;
		int status;
		const char *part; /* of the body */
	} cases[] = {
		{"GET", "/", 200, "getByRef"},
		{"GET", "/?a=b", 200, "getByRef"},
		{"GET", "/xrpc/_health", 200, "{\"version\":\"" REFKEY_VERSION "\"}"},
		{"HEAD", "/xrpc/_health", 200, "version"},
		{"GET", "/metrics", 200, "# TYPE refkey_xrpc_requests_total counter\n"},
		{"GET", "/.well-known/did.json", 404, "{\"error\":\"NotFound\""},
		{"GET", M "getStatus", 200, "{\"version\""},
		{"HEAD", M "getStatus", 200, "{\"version\""},
		{"GET", M "getStatus?", 200, "{\"version\""},
		{"GET", "http://refkey.test" M "getStatus?", 200, "{\"version\""},
		{"GET", "https://refkey.test:8/", 200, "getByRef"},
		{"GET", "https://refkey.test", 200, "getByRef"},
		{"GET", "https://refkey.test?a=b", 200, "getByRef"},
		{"GET", "HTTP://refkey.test" M "getStatus", 200, "{\"version\""},
		{"GET", "ftp://refkey.test/", 404, "NotFound"},
		{"GET", M "getStatus?a=1", 400,
			"{\"error\":\"InvalidRequest\",\"message\":\"a is not"},
		{"GET", M "getStatus/", 501, "{\"error\":\"MethodNotImplemented\""},
		{"GET", M "getstatus", 501, "{\"error\":\"MethodNotImplemented\""},
		{"GET", "/xrpc/com.atproto.repo.getRecord?x=1", 501,
			"{\"error\":\"MethodNotImplemented\""},
		{"POST", "/xrpc/com.atproto.repo.getRecord", 501,
			"{\"error\":\"MethodNotImplemented\""},
		{"GET", "/xrpc/", 501, "{\"error\":\"MethodNotImplemented\""},
		{"GET", "/xrpc", 404, "{\"error\":\"NotFound\""},
		{"GET", "/xrpc/../metrics", 501, "{\"error\":\"MethodNotImplemented\""},
		{"GET", "//", 404, "{\"error\":\"NotFound\""},
		{"GET", "/favicon.ico", 404, "{\"error\":\"NotFound\""},
		{"GET", "*", 404, "{\"error\":\"NotFound\""},
		{"POST", M "getStatus", 405, "{\"error\":\"MethodNotImplemented\""},
		{"DELETE", M "getStatus", 405, "{\"error\":\"MethodNotImplemented\""},
		{"get", M "getStatus", 405, "{\"error\":\"MethodNotImplemented\""},
		{"POST", "/metrics", 405, "{\"error\":\"MethodNotImplemented\""},
		{"GET", M "requestResync", 405, "{\"error\":\"MethodNotImplemented\""},
		{"GET", M "listIssues", 401, "{\"error\":\"AuthMissing\""},
		{"GET", M "listIssues?nonsense=1", 401, "{\"error\":\"AuthMissing\""},
		{"POST", M "requestResync", 401, "{\"error\":\"AuthMissing\""},
		{"POST", M "deleteRecord", 401, "{\"error\":\"AuthMissing\""},
		{"POST", M "forgetRepo", 401, "{\"error\":\"AuthMissing\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status;
		const char *body =
			kit_ask(*state, &status, cases[i].method, cases[i].target, false);

		if (status != cases[i].status || !strstr(body, cases[i].part))
			fail_msg("%s %s gives %d %s", cases[i].method, cases[i].target, status,
				body);
	}
}

static void no_password_opens_admin_methods_yet(void **state)
{
	static const char *const methods[] = {
		"listIssues", "requestResync", "deleteRecord", "forgetRepo"};

	for (size_t i = 0; i < 4; i++) {
		char target[128] = M;
		int status;

		strcat(target, methods[i]);
		assert_non_null(strstr(kit_ask(*state, &status, i ? "POST" : "GET", target, true),
			"{\"error\":\"AuthInvalid\""));
		assert_int_equal(status, 401);
	}
}

static void preflight_of_any_path(void **state)
{
	struct kit *k = *state;
	int status;

	assert_string_equal(kit_ask(k, &status, "OPTIONS", "/any", false), "");
	assert_int_equal(status, 204);
	assert_true(k->call->reply.preflight);
	kit_get(k, &status, "/");
	assert_false(k->call->reply.preflight);
}

static void says_which_verbs(void **state)
{
	struct kit *k = *state;

	kit_ask(k, NULL, "POST", M "getStatus", false);
	assert_string_equal(k->call->reply.allow, "GET, HEAD");
	kit_ask(k, NULL, "GET", M "forgetRepo", false);
	assert_string_equal(k->call->reply.allow, "POST");
	kit_get(k, NULL, "/");
	assert_null(k->call->reply.allow);
}

static void target_32k_ok_more_refused(void **state)
{
	struct kit *k = *state;
	char *target = malloc(RK_QUERY_MOST + 2);
	int status;

	memset(target, '&', RK_QUERY_MOST + 1);
	memcpy(target, M "getStatus?", strlen(M "getStatus?"));
	target[RK_QUERY_MOST] = '\0';
	kit_get(k, &status, target);
	assert_int_equal(status, 200);
	target[RK_QUERY_MOST] = '&';
	target[RK_QUERY_MOST + 1] = '\0';
	assert_non_null(strstr(kit_get(k, &status, target), "{\"error\":\"UriTooLong\""));
	assert_int_equal(status, 414);
	free(target);
}

static void health_names_the_reasons(void **state)
{
	struct kit *k = *state;
	int status;

	k->status.ready = false;
	strcpy(k->status.reasons, "2 repos are \"still\" to be fetched");
	assert_string_equal(kit_get(k, &status, "/xrpc/_health"),
		"{\"error\":\"NotReady\",\"message\":\"not ready: 2 repos are \\\"still\\\" to be fetched\","
		"\"version\":\"" REFKEY_VERSION "\"}");
	assert_int_equal(status, 503);
}

static void did_document_of_the_host(void **state)
{
	struct kit *k = *state;

	k->service.hostname = rk_slice_str("refkey.test");
	assert_string_equal(kit_get(k, NULL, "/.well-known/did.json"),
		"{\"@context\":[\"https://www.w3.org/ns/did/v1\"],\"id\":\"did:web:refkey.test\",\"service\":"
		"[{\"id\":\"#refkey\",\"type\":\"RefkeyService\","
		"\"serviceEndpoint\":\"https://refkey.test\"}]}");
	k->service.hostname = rk_slice_str("localhost:3900");
	assert_non_null(
		strstr(kit_get(k, NULL, "/.well-known/did.json"), "\"did:web:localhost%3A3900\""));
}

static void metrics_are_lines_of_their_format(void **state)
{
	char *body = strdup(kit_get(*state, NULL, "/metrics")), *rest = body;
	size_t values = 0;

	for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
		char name[128], value[32];

		if (*line == '#')
			continue;
		if (sscanf(line, "refkey_%127[a-z_{}=\"] %31[0-9-]", name, value) != 2)
			fail_msg("%s", line);
		values++;
	}
	assert_true(values > RK_METRIC_COUNT);
	free(body);
}

static void counts_requests_and_refusals(void **state)
{
	int64_t all = rk_metric_get(RK_METRIC_REQUESTS),
		refused = rk_metric_get(RK_METRIC_REQUESTS_REFUSED);

	kit_get(*state, NULL, M "getStatus");
	kit_get(*state, NULL, M "getStatus?a=1");
	assert_int_equal(rk_metric_get(RK_METRIC_REQUESTS) - all, 2);
	assert_int_equal(rk_metric_get(RK_METRIC_REQUESTS_REFUSED) - refused, 1);
}

static void methods_are_named_once(void **state)
{
	assert_int_equal(rk_xrpc_method_count(), 11);
	assert_null(rk_xrpc_method_row(11));
	for (size_t i = 0; i < rk_xrpc_method_count(); i++) {
		const struct rk_method *method = &rk_methods[i];
		struct rk_nsid nsid;

		assert_true(rk_nsid_parse(&nsid, rk_slice_str(method->row.nsid)));
		assert_ptr_equal(rk_method_find(nsid.text), method);
		assert_true(method->row.admin == !method->run);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(routes),
		TEST(no_password_opens_admin_methods_yet),
		TEST(preflight_of_any_path),
		TEST(says_which_verbs),
		TEST(target_32k_ok_more_refused),
		TEST(health_names_the_reasons),
		TEST(did_document_of_the_host),
		TEST(metrics_are_lines_of_their_format),
		TEST(counts_requests_and_refusals),
		TEST(methods_are_named_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
