/* The tables of commands and options. See command.h; reading a command line is in command_line.c. */
#include "cli/command.h"

#include "atproto/syntax.h"

static bool is_nsid(const char *text)
{
	struct rk_nsid nsid;

	return rk_nsid_parse(&nsid, rk_slice_str(text));
}

static bool is_did(const char *text)
{
	struct rk_did did;

	return rk_did_parse(&did, rk_slice_str(text));
}

static const struct rk_option_said user_said[] = {
	{"lexicon", "publish in the repo of this user: @handle, DID or _id; one"},
	{NULL, NULL},
};
static const struct rk_option_said limit_said[] = {
	{"tail", "stop after N events"},
	{"accounts", "only the N users with the most documents"},
	{NULL, NULL},
};
static const struct rk_option_said batch_size_said[] = {
	{"publish", "N records in one batch, 200 at most; if not given, 200"},
	{"repair", "delete N records in one batch, 200 at most; if not given, 200"},
	{NULL, NULL},
};
static const struct rk_option_said all_said[] = {
	{"repair", "all four kinds"},
	{NULL, NULL},
};

#define FIELD(name) .offset = offsetof(struct rk_command_options, name)

static const struct rk_option_row options[] = {
	{"--user", "@HANDLE", RK_OPTION_IS_LIST, FIELD(users),
		.help = "only this user: @handle, DID or _id; may be repeated", .but = user_said},
	{"--skip", "@HANDLE", RK_OPTION_IS_LIST, FIELD(skip),
		.help = "not this user; may be repeated"},
	{"--limit", "N", RK_OPTION_IS_NUMBER, FIELD(limit), .least = 1, .most = 1000000000,
		.help = "stop after N were written", .but = limit_said},
	{"--batch-size", "N", RK_OPTION_IS_NUMBER, FIELD(batch_size), .least = 1, .most = 100000,
		.help = "N in one batch; if not given, REFKEY_MONGO_BATCH", .but = batch_size_said},
	{"--delay", "MS", RK_OPTION_IS_NUMBER, FIELD(delay_ms), .least = 0, .most = 3600000,
		.help = "wait so many milliseconds between batches"},
	{"--dry-run", NULL, RK_OPTION_IS_SWITCH, FIELD(dry_run),
		.help = "say what would be done, write nothing"},
	{"--json", NULL, RK_OPTION_IS_SWITCH, FIELD(json), .help = "print JSON"},
	{"--restore", NULL, RK_OPTION_IS_SWITCH, FIELD(restore),
		.help = "MongoDB was lost: also insert documents that were there before, for their owners"},
	{"--collection", "NSID", RK_OPTION_IS_LIST, FIELD(collections),
		.help = "only commits to this collection, and of these what is in it; may be repeated",
		.accepts = is_nsid, .accepted = "an NSID, such as computer.aesthetic.mood"},
	{"--did", "DID", RK_OPTION_IS_LIST, FIELD(dids),
		.help = "only events of this account; may be repeated", .accepts = is_did,
		.accepted = "a DID, such as did:plc:… or did:web:…"},
	{"--cursor", "SEQ", RK_OPTION_IS_NUMBER, FIELD(cursor), .least = 0, .most = 999999999999999,
		.help = "first what the source still has behind this sequence number; 0: all it has"},
	{"--unverified", NULL, RK_OPTION_IS_SWITCH, FIELD(unverified),
		.help = "also print what is refused, and the verdict on each"},
	{"--guests", NULL, RK_OPTION_IS_SWITCH, FIELD(guests),
		.help = "also documents without a user, into the repo of REFKEY_GUEST_USER"},
	{"--max-wait", "S", RK_OPTION_IS_NUMBER, FIELD(max_wait_sec), .least = 0, .most = 86400,
		.help = "leave for another run what a limit of the PDS holds up for more than S seconds"},
	{"--report", "DIR", RK_OPTION_IS_TEXT, FIELD(report),
		.help = "write what was done and what was not into JSON files in DIR, of mode 0600"},
	{"--verbose", NULL, RK_OPTION_IS_SWITCH, FIELD(verbose),
		.help = "on a terminal, a line for each record instead of the bar"},
	{"--create", NULL, RK_OPTION_IS_SWITCH, FIELD(create),
		.help = "make the accounts, most documents first; needs --report DIR, and "
			"REFKEY_PDS_ADMIN_PASSWORD"},
	{"--all", NULL, RK_OPTION_IS_SWITCH, FIELD(all), .help = "all users, as without --user",
		.but = all_said},
	{"--index", NULL, RK_OPTION_IS_SWITCH, FIELD(index),
		.help = "what the index alone believes; the PDS is not asked, MongoDB only for whom --user names"},
	{"--yes", NULL, RK_OPTION_IS_SWITCH, FIELD(yes),
		.help = "do it; without it, or with --dry-run, only say what would be done"},
	{"--duplicates", NULL, RK_OPTION_IS_SWITCH, FIELD(duplicates),
		.help = "delete all records of a document but the one it names, else the oldest, which it "
			"then names"},
	{"--orphans", NULL, RK_OPTION_IS_SWITCH, FIELD(orphans),
		.help = "delete records whose document is marked deleted or nuked, or was removed"},
	{"--unlinked", NULL, RK_OPTION_IS_SWITCH, FIELD(unlinked),
		.help = "set atproto.rkey in documents that do not name the record they have"},
	{"--vanished", NULL, RK_OPTION_IS_SWITCH, FIELD(vanished),
		.help = "treat documents whose record is missing from the PDS by REFKEY_ON_DELETE, however "
			"many"},
	{"--plan", "FILE", RK_OPTION_IS_TEXT, FIELD(plan),
		.help = "write what a dry run would do into FILE"},
	{"--apply", "FILE", RK_OPTION_IS_TEXT, FIELD(apply),
		.help = "carry out a plan, unless either side has moved since"},
	{"--undo", "FILE", RK_OPTION_IS_TEXT, FIELD(undo),
		.help = "put back what an undo file holds, under the same keys"},
	{"--records", NULL, RK_OPTION_IS_SWITCH, FIELD(records),
		.help = "validate the records in the index against their lexicons"},
	{"--skip-blobs", NULL, RK_OPTION_IS_SWITCH, FIELD(skip_blobs),
		.help = "paintings without thumbnails: no image is fetched; moods have none"},
	{"--watch", NULL, RK_OPTION_IS_SWITCH, FIELD(watch),
		.help = "go on: publish what comes, delete the records of what is deleted; documents younger "
			"than 60 s only with --publish exclusive"},
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };
_Static_assert(1 << (OPTIONS - 1) == RK_OPTION_WATCH, "a bit for each row");

static const struct rk_command_row commands[] = {
	{"serve", NULL, "follow the firehose, keep the index, answer XRPC, recover to MongoDB",
		rk_command_serve},
	{"recover", NULL, "ATProto to MongoDB once: fill missing rkeys, insert missing documents",
		rk_command_recover, .by_serve = true,
		.options = RK_OPTION_SHARED | RK_OPTION_RESTORE | RK_OPTION_REPORT},
	{"status", NULL, "state of the service and its index", rk_command_status, .by_serve = true,
		.options = RK_OPTION_JSON},
	{"check", NULL, "prove that the index is consistent", rk_command_check, .by_serve = true,
		.options = RK_OPTION_JSON},
	{"backup", "DIR",
		"write a compacted copy of the index into DIR, also beside a running serve",
		rk_command_backup, .by_serve = true, .options = RK_OPTION_JSON, .least = 1,
		.most = 1},
	{"tail", NULL, "print verified events of the firehose as JSON lines", rk_command_tail,
		.options = RK_OPTION_LIMIT | RK_OPTION_COLLECTION | RK_OPTION_DID |
			RK_OPTION_CURSOR | RK_OPTION_UNVERIFIED},
	{"publish", "moods|paintings",
		"MongoDB to ATProto: what has no atproto.rkey, paintings with thumbnails",
		rk_command_publish, .by_serve = true,
		.options = RK_OPTION_SHARED | RK_OPTION_GUESTS | RK_OPTION_MAX_WAIT |
			RK_OPTION_REPORT | RK_OPTION_VERBOSE | RK_OPTION_SKIP_BLOBS |
			RK_OPTION_WATCH,
		.least = 1, .most = 1},
	{"audit", NULL, "compare both sides and what the index believes, per user or all",
		rk_command_audit, .by_serve = true,
		.options = RK_OPTION_USER | RK_OPTION_SKIP | RK_OPTION_ALL | RK_OPTION_INDEX |
			RK_OPTION_JSON | RK_OPTION_REPORT},
	{"repair", NULL,
		"mend duplicates, orphans, unlinked and vanished records; a dry run unless --yes",
		rk_command_repair, .by_serve = true,
		.options = RK_OPTION_SHARED | RK_OPTION_ALL | RK_OPTION_YES | RK_OPTION_DUPLICATES |
			RK_OPTION_ORPHANS | RK_OPTION_UNLINKED | RK_OPTION_VANISHED |
			RK_OPTION_PLAN | RK_OPTION_APPLY | RK_OPTION_UNDO | RK_OPTION_MAX_WAIT |
			RK_OPTION_REPORT},
	{"forget", "@HANDLE", "erase a user's records from the PDS, the index and MongoDB",
		rk_command_forget, .by_serve = true,
		.options = RK_OPTION_YES | RK_OPTION_DRY_RUN | RK_OPTION_JSON | RK_OPTION_MAX_WAIT,
		.least = 1, .most = 1},
	{"delete", "REF|URI…", "delete on both sides: the record, and its document is marked",
		rk_command_delete, .by_serve = true,
		.options = RK_OPTION_DRY_RUN | RK_OPTION_JSON | RK_OPTION_MAX_WAIT, .least = 1,
		.most = 5000},
	{"accounts", NULL, "users with documents and no ATProto account; --create makes them",
		rk_command_accounts,
		.options = RK_OPTION_USER | RK_OPTION_SKIP | RK_OPTION_LIMIT | RK_OPTION_DRY_RUN |
			RK_OPTION_JSON | RK_OPTION_MAX_WAIT | RK_OPTION_REPORT | RK_OPTION_VERBOSE |
			RK_OPTION_CREATE},
	{"lexicon", "validate|publish [FILE…]",
		"check the lexicons, or records against them; publish them in a user's repo",
		rk_command_lexicon,
		.options = RK_OPTION_USER | RK_OPTION_DRY_RUN | RK_OPTION_JSON | RK_OPTION_RECORDS,
		.least = 1, .most = 1000},
	{"reference", "markdown", "the tables of README.md", rk_command_reference, .least = 1,
		.most = 1, .hidden = true},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

size_t rk_command_count(void)
{
	return COMMANDS;
}

const struct rk_command_row *rk_command_row(size_t at)
{
	return &commands[at];
}

const struct rk_command_row *rk_command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

size_t rk_option_count(void)
{
	return OPTIONS;
}

const struct rk_option_row *rk_option_row(size_t at)
{
	return &options[at];
}

const char *rk_option_help(const struct rk_option_row *row, const struct rk_command_row *command)
{
	for (const struct rk_option_said *said = row->but; said && said->command; said++) {
		if (strcmp(said->command, command->name) == 0)
			return said->help;
	}
	return row->help;
}
