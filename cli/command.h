/*
 * The commands: one table of them and one of their options, and the reading of a command line against
 * both and the settings. What a command does is in its own file; main.c wires.
 */
#ifndef RK_CLI_COMMAND_H
#define RK_CLI_COMMAND_H

#include "cli/settings.h"

/* How the program ends. */
enum rk_exit {
	RK_EXIT_DONE = 0,
	RK_EXIT_FINDINGS = 1,    /* done, with failures or findings */
	RK_EXIT_USAGE = 2,       /* wrong usage or settings; the index is in use */
	RK_EXIT_UNREACHABLE = 3, /* a needed service stayed unreachable */
};

/* Bits of struct rk_command_row.options, in the order of their rows. */
enum {
	RK_OPTION_USER = 1 << 0,
	RK_OPTION_SKIP = 1 << 1,
	RK_OPTION_LIMIT = 1 << 2,
	RK_OPTION_BATCH_SIZE = 1 << 3,
	RK_OPTION_DELAY = 1 << 4,
	RK_OPTION_DRY_RUN = 1 << 5,
	RK_OPTION_JSON = 1 << 6,
	RK_OPTION_RESTORE = 1 << 7,
	RK_OPTION_COLLECTION = 1 << 8,
	RK_OPTION_DID = 1 << 9,
	RK_OPTION_CURSOR = 1 << 10,
	RK_OPTION_UNVERIFIED = 1 << 11,
	RK_OPTION_GUESTS = 1 << 12,
	RK_OPTION_MAX_WAIT = 1 << 13,
	RK_OPTION_REPORT = 1 << 14,
	RK_OPTION_VERBOSE = 1 << 15,
	RK_OPTION_CREATE = 1 << 16,
	RK_OPTION_ALL = 1 << 17,
	RK_OPTION_INDEX = 1 << 18,
	RK_OPTION_YES = 1 << 19,
	RK_OPTION_DUPLICATES = 1 << 20,
	RK_OPTION_ORPHANS = 1 << 21,
	RK_OPTION_UNLINKED = 1 << 22,
	RK_OPTION_VANISHED = 1 << 23,
	RK_OPTION_PLAN = 1 << 24,
	RK_OPTION_APPLY = 1 << 25,
	RK_OPTION_UNDO = 1 << 26,
	RK_OPTION_RECORDS = 1 << 27,
	RK_OPTION_SKIP_BLOBS = 1 << 28,
	RK_OPTION_WATCH = 1 << 29,
	RK_OPTION_SHARED = RK_OPTION_RESTORE - 1, /* what every command over records takes */
};

/* Lists are ended by NULL, or NULL where nothing was given. Texts are borrowed from argv. */
struct rk_command_options {
	const char *const *users; /* @handle, DID or users._id */
	const char *const *skip;
	uint64_t limit;      /* 0: none */
	uint64_t batch_size; /* 0: the setting */
	uint64_t delay_ms;
	bool dry_run, json, restore;
	const char *const *collections; /* NSIDs */
	const char *const *dids;
	uint64_t cursor; /* RK_CURSOR_NOW: not given */
	bool unverified;
	bool guests, verbose, create, skip_blobs, watch;
	bool yes; /* and no dry_run */
	bool records;
	uint64_t max_wait_sec; /* RK_MAX_WAIT_ANY: not given */
	const char *report;    /* folder; NULL: none */
	bool all, index;
	bool duplicates, orphans, unlinked, vanished;
	const char *plan, *apply, *undo; /* files; NULL: none */
};
#define RK_CURSOR_NOW   UINT64_MAX
#define RK_MAX_WAIT_ANY UINT64_MAX

/* Records in one batch of `publish`: what a PDS takes. */
enum { RK_PUBLISH_BATCH_MOST = 200 };

enum rk_option_kind {
	RK_OPTION_IS_SWITCH,
	RK_OPTION_IS_NUMBER,
	RK_OPTION_IS_LIST,
	RK_OPTION_IS_TEXT
};

/* What an option does in one command. */
struct rk_option_said {
	const char *command; /* NULL: the end of the list */
	const char *help;
};

struct rk_option_row {
	const char *flag;     /* "--limit" */
	const char *argument; /* "N"; NULL for a switch */
	enum rk_option_kind kind;
	size_t offset;                     /* in struct rk_command_options */
	uint64_t least, most;              /* of a number */
	const char *help;                  /* in every command, */
	const struct rk_option_said *but;  /* but in these; NULL: none */
	bool (*accepts)(const char *text); /* of a list's values; NULL: any but empty */
	const char *accepted;              /* … in words */
};

struct rk_command_call;

struct rk_command_row {
	const char *name;
	const char *arguments; /* synopsis of what is not an option; NULL: none */
	const char *help;      /* one line */
	int (*run)(const struct rk_command_call *call); /* returns an exit code */
	unsigned options;                               /* RK_OPTION_… */
	unsigned least, most;                           /* arguments */
	bool by_serve;                                  /* a running serve carries it out */
	bool hidden; /* not in --help and README; runs without settings */
};

/* What a command's run function is given; it lives until the function returns. */
struct rk_command_call {
	const struct rk_command_row *command;
	const struct rk_settings *settings; /* zeroed for hidden commands */
	const struct rk_command_options *options;
	const char *const *arguments; /* ended by NULL */
	size_t argument_count;
};

size_t rk_command_count(void);
const struct rk_command_row *rk_command_row(size_t at);
const struct rk_command_row *rk_command_find(const char *name); /* hidden ones too; NULL */
size_t rk_option_count(void);
const struct rk_option_row *rk_option_row(size_t at); /* its bit is 1 << at */
/* What it does in that command. */
const char *rk_option_help(const struct rk_option_row *row, const struct rk_command_row *command);

/* A command line that was read. Finish it whatever the result. */
struct rk_command_line {
	struct rk_command_call call;
	struct rk_settings settings;
	struct rk_command_options options;
	struct rk_arena arena;  /* of the lists */
	struct rk_buf out;      /* for standard output: help, version */
	struct rk_buf problems; /* for standard error, lines */
};

enum rk_command_result {
	RK_COMMAND_RUN,   /* run call.command->run(&call) */
	RK_COMMAND_SHOW,  /* print out, exit 0 */
	RK_COMMAND_WRONG, /* print problems, exit RK_EXIT_USAGE */
};

/* argv and environment as main has them. One of enum rk_command_result, or -ENOMEM. */
int rk_command_line_read(struct rk_command_line *line, int argc, const char *const *argv,
	const char *const *environment) __attribute__((warn_unused_result));
void rk_command_line_finish(struct rk_command_line *line);

/* One function a command, each in a file of its own. */
int rk_command_accounts(const struct rk_command_call *call);
int rk_command_lexicon(const struct rk_command_call *call);
int rk_command_serve(const struct rk_command_call *call);
int rk_command_audit(const struct rk_command_call *call);
int rk_command_repair(const struct rk_command_call *call);
int rk_command_publish(const struct rk_command_call *call);
int rk_command_delete(const struct rk_command_call *call);
int rk_command_forget(const struct rk_command_call *call);
int rk_command_recover(const struct rk_command_call *call);
int rk_command_status(const struct rk_command_call *call);
int rk_command_check(const struct rk_command_call *call);
int rk_command_backup(const struct rk_command_call *call);
int rk_command_tail(const struct rk_command_call *call);
int rk_command_reference(const struct rk_command_call *call);

#endif
