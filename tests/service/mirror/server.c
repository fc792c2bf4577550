/* See server.h. */
#include "tests/service/mirror/server.h"

#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <mongoc/mongoc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* Other builds may share the machine, or it may stand still for a while. */
enum { LATE_MS = 120000 };

static struct {
	char program[512], uri[512], patient_uri[512], dir[64];
	int port;
	pid_t pid;
	bool ours, ferretdb;
} server;

static void nap(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

bool is_late(int64_t started_ms)
{
	nap(10);
	return rk_clock_mono_ms() - started_ms > LATE_MS;
}

/* As tests/kit/wait.mjs: this process's as long as it lives, and never the kernel's for outgoing connections. */
static bool port_claim(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
		.sin_port = htons((uint16_t)port)};
	struct sockaddr_un claim = {.sun_family = AF_UNIX};
	int len = snprintf(
		claim.sun_path + 1, sizeof(claim.sun_path) - 1, "refkey-test-port-%d", port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int kept = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	assert_true(fd >= 0 && kept >= 0);
	ok = bind(kept, (struct sockaddr *)&claim,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0 &&
		bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	if (!ok)
		close(kept);
	return ok;
}

static int free_port(void)
{
	int port = 16000 + (int)getpid() % 16000;

	while (!port_claim(port))
		port = port < 31999 ? port + 1 : 16000;
	return port;
}

static bool answers(void)
{
	mongoc_client_t *client = mongoc_client_new(server.uri);
	bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
	bool ok = mongoc_client_command_simple(client, "admin", ping, NULL, NULL, NULL);

	bson_destroy(ping);
	mongoc_client_destroy(client);
	return ok;
}

void server_start(void)
{
	char address[32], port[16];
	int64_t started_ms;

	if (!server.ours || server.pid)
		return;
	snprintf(address, sizeof(address), "127.0.0.1:%d", server.port);
	snprintf(port, sizeof(port), "%d", server.port);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 1);
		dup2(null, 2);
		if (server.ferretdb)
			execl(server.program, server.program, address, server.dir, (char *)NULL);
		else
			execl(server.program, server.program, "--port", port, "--dbpath",
				server.dir, "--bind_ip", "127.0.0.1", (char *)NULL);
		_exit(127);
	}
	started_ms = rk_clock_mono_ms();
	while (!answers())
		assert_false(is_late(started_ms));
}

void server_kill(void)
{
	if (!server.ours || !server.pid)
		return;
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	server.pid = 0;
}

void server_freeze(bool frozen)
{
	if (server.ours && server.pid)
		kill(server.pid, frozen ? SIGSTOP : SIGCONT);
}

bool server_is_ours(void)
{
	return server.ours;
}

static void quiet(mongoc_log_level_t level, const char *domain, const char *text, void *unused)
{
}

int server_setup(void **state)
{
	const char *root = getenv("REFKEY_SOURCE_ROOT");
	char command[600], line[600] = "", kind[16] = "";
	FILE *setup;

	mongoc_init();
	mongoc_log_set_handler(quiet, NULL);
	rk_log_setup(getenv("REFKEY_TEST_LOG") ? RK_LOG_DEBUG : RK_LOG_ERROR, RK_LOG_TEXT);
	snprintf(command, sizeof(command), "%s/scripts/setup-mongo", root ? root : ".");
	setup = popen(command, "r");
	if (!setup || !fgets(line, sizeof(line), setup) ||
		sscanf(line, "%15s %511s", kind, server.program) != 2) {
		fprintf(stderr, "no MongoDB server: %s\n", line);
		return -1;
	}
	pclose(setup);
	if (strcmp(kind, "uri") == 0) {
		snprintf(server.uri, sizeof(server.uri), "%s", server.program);
		snprintf(server.patient_uri, sizeof(server.patient_uri), "%s", server.program);
		return answers() ? 0 : -1;
	}
	server.ours = true;
	server.ferretdb = strcmp(kind, "ferretdb") == 0;
	snprintf(server.dir, sizeof(server.dir), "/tmp/refkey-mirror-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	server.port = free_port();
	snprintf(server.uri, sizeof(server.uri),
		"mongodb://127.0.0.1:%d/?serverSelectionTimeoutMS=1000&connectTimeoutMS=1000",
		server.port);
	snprintf(server.patient_uri, sizeof(server.patient_uri),
		"mongodb://127.0.0.1:%d/?serverSelectionTryOnce=false&"
		"serverSelectionTimeoutMS=%d&connectTimeoutMS=%d",
		server.port, LATE_MS, LATE_MS);
	server_start();
	return 0;
}

void remove_tree(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

int server_teardown(void **state)
{
	server_kill();
	if (server.dir[0])
		remove_tree(server.dir);
	return 0;
}

const char *server_uri(void)
{
	return server.uri;
}

const char *server_patient_uri(void)
{
	return server.patient_uri;
}
