/* The MongoDB server of a whole program of tests: scripts/setup-mongo says which. */
#ifndef RK_TESTS_SERVICE_MIRROR_SERVER_H
#define RK_TESTS_SERVICE_MIRROR_SERVER_H

#include <stdbool.h>
#include <stdint.h>

int server_setup(void **state);
int server_teardown(void **state);
void server_kill(void); /* nothing where the server is not ours */
void server_start(void);
void server_freeze(bool frozen); /* it stays connected and says nothing */
bool server_is_ours(void);

/* Both are valid until the program ends. */
const char *server_uri(
	void); /* as the mirror is to have it: it hears soon that the server is away */
const char *server_patient_uri(void); /* as a test is to have it */

/* Whether it has been too long since then (rk_clock_mono_ms), after a short rest. */
bool is_late(int64_t started_ms);

void remove_tree(const char *dir);

#endif
