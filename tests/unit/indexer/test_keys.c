/* Rules of indexer/keys: whose account it is, by what its DID document names. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "atproto/did_doc.h"
#include "indexer/keys.h"

static const char *const ours[] = {"https://pds.example", "http://10.0.0.1:2583", NULL};

/* Of a document whose service list is so. */
static bool is_elsewhere(const char *const *origins, const char *services)
{
	const struct rk_did did = {.text = RK_SLICE_LIT("did:plc:abcdefghijklmnopqrstuvwx")};
	struct rk_did_doc doc;
	char json[1024];

	snprintf(json, sizeof(json), "{\"id\":\"%.*s\",\"service\":%s}", RK_SLICE_ARG(did.text),
		services);
	assert_true(rk_did_doc_parse(&doc, did, rk_slice_str(json)));
	return rk_keys_elsewhere(origins, rk_slice_str(doc.pds));
}

static bool endpoint_is_elsewhere(const char *const *origins, const char *endpoint)
{
	char services[512];

	snprintf(services, sizeof(services),
		"[{\"id\":\"#atproto_pds\",\"type\":\"AtprotoPersonalDataServer\",\"serviceEndpoint\":%s}]",
		endpoint);
	return is_elsewhere(origins, services);
}

static void what_spells_our_origin_is_ours(void **state)
{
	static const char *const endpoints[] = {
		"\"https://pds.example\"",
		"\"https://pds.example/\"",
		"\"HTTPS://PDS.Example\"",
		"\"https://pds.example:443/\"",
		"\"http://10.0.0.1:2583\"",
	};

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		assert_false(endpoint_is_elsewhere(ours, endpoints[i]));
}

static void all_else_is_elsewhere(void **state)
{
	static const char *const endpoints[] = {
		"\"https://other.example\"",
		"\"https://pds.example:444\"",
		"\"http://pds.example\"",
		"\"https://pds.example/pds\"",
		"\"https://pds.example//\"",
		"\"https://user@pds.example\"",
		"\"https://pds.example?x\"",
		"\"https://pds.example/#x\"",
		"\"https://pds.example:0\"",
		"\"https://other.example/pds\"",
		"\"ftp://pds.example\"",
		"\"pds.example\"",
		"\"\"",
		"{}",
		"[\"https://pds.example\"]",
		"null",
		"7",
	};

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		assert_true(endpoint_is_elsewhere(ours, endpoints[i]));
}

static void who_names_none_is_elsewhere(void **state)
{
	static const char *const services[] = {
		"[]",
		"null",
		"{}",
		"[{\"id\":\"#other\",\"type\":\"AtprotoPersonalDataServer\",\"serviceEndpoint\":"
		"\"https://pds.example\"}]",
		"[{\"id\":\"#atproto_pds\",\"type\":\"Other\",\"serviceEndpoint\":"
		"\"https://pds.example\"}]",
	};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		assert_true(is_elsewhere(ours, services[i]));
}

static void behind_a_relay_nobody_is(void **state)
{
	static const char *const none[] = {NULL};

	assert_false(endpoint_is_elsewhere(none, "\"https://other.example\""));
	assert_false(is_elsewhere(none, "[]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_spells_our_origin_is_ours),
		cmocka_unit_test(all_else_is_elsewhere),
		cmocka_unit_test(who_names_none_is_elsewhere),
		cmocka_unit_test(behind_a_relay_nobody_is),
	};
	return cmocka_run_group_tests_name("indexer/keys", tests, NULL, NULL);
}
