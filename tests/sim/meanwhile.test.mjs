// What the source says of an account while an answer about it is on its way: what was asked before is not believed.

import { describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { isActive } from './account.mjs';
import { accountFrame, committed } from './acts.mjs';
import { runScene } from './run.mjs';
import { check, givenUp } from './truth.mjs';

const seeds = [1, 2, 3];

// Has the account's repo asked for, and answer(); what happens meanwhile is known to refkey before that comes.
async function meanwhile(run, account, answer, happen) {
  await committed(run, account);
  run.ledger.gap(account.did, 'a commit was dropped');
  run.ledger.gap(account.did, 'something was said while it came');
  const given = Promise.withResolvers();
  const begun = new Promise((resolve) => {
    const make = async () => {
      resolve(await answer());
      return given.promise;
    };
    run.host.answers.push({ did: account.did, make });
  });
  run.host.send(await committed(run, account));
  const answered = await begun;
  await happen();
  await run.caughtUp();
  if (answered instanceof Error) given.reject(answered);
  else given.resolve(answered);
}

// What waited for the repo is not looked at any more.
function away(run, account, status) {
  run.ledger.lie('a commit that waited', 'repo_inactive', account.did);
  say(run, account, status);
}

function say(run, account, status) {
  account.status = status;
  run.host.send(accountFrame(run, account));
}

const states = {
  'is deactivated while its repo comes': async (run, account) => {
    await meanwhile(run, account, () => account.car(), () => away(run, account, 'deactivated'));
  },
  'is deleted while its repo comes': async (run, account) => {
    await meanwhile(run, account, () => account.car(), () => {
      for (const [path, { value }] of account.records) if (value.ref) account.leave(path, value, true);
      account.records.clear();
      away(run, account, 'deleted');
    });
  },
  'is active again while its host says that it is not': async (run, account) => {
    await meanwhile(run, account, () => refused('RepoDeactivated'), () => {
      say(run, account, 'deactivated');
      say(run, account, 'active');
    });
  },
};

const refused = (error) => Object.assign(new Error(error), { status: 400, error });

describe(`refkey (${binary.split('/').at(-2)}) hears of an account that`, { concurrency: 2 }, () => {
  for (const [what, act] of Object.entries(states)) {
    for (const seed of seeds) {
      it(`${what}, seed ${seed}`, async () => {
        let late; // the answer came when refkey did not wait for it any more, and all of it is done again
        do {
          await runScene(seed, {}, async (run) => {
            await run.open();
            const account = run.chance.pick([...run.accounts.values()]);
            await act(run, account);
            await run.refkey.until('getRepoStatus', { repo: account.did }, ({ body }) => body.active === isActive(account));
            await run.settled();
            const wrong = await check(run);
            late = givenUp(run, account.did) > 0;
            return late ? [] : wrong;
          });
        } while (late);
      });
    }
  }
});
