/* What the parts of `refkey lexicon` share; for cli/lexicon*.c only. */
#ifndef RK_CLI_LEXICON_H
#define RK_CLI_LEXICON_H

#include "cli/command.h"
#include "records/lexicon.h"

int rk_lexicon_records(const struct rk_command_call *call);
int rk_lexicon_publish(const struct rk_command_call *call);

#endif
