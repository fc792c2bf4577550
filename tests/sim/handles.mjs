// Steps of a run about handles: who has which, and who only says so. Rows as in steps.mjs.

import { patience, until } from '../kit/wait.mjs';
import { identity, anyActive } from './acts.mjs';

const soon = { deadline: patience, every: 5 };

const named = (run, { did }, handle) => run.refkey.until('getRepoStatus', { repo: did }, ({ body }) => body.handle === handle, soon);

// Tells of the account's DID document, until refkey has its handle.
async function told(run, account) {
  run.host.send(identity(run, account));
  run.host.release();
  await named(run, account, account.handle);
}

// … or has refused the one that it names.
async function lied(run, kind, account, verdict) {
  run.ledger.lie(`lie: ${kind}, ${account.claims}`, verdict, account.did);
  run.host.send(identity(run, account));
  run.host.release();
  const times = run.ledger.refused.get(verdict);
  await until(async () => (await run.refused())[verdict] >= times, { ...soon, what: `${account.did} is refused ${account.claims}` });
  await named(run, account, undefined);
}

const truthful = (run) => (a) => a.home && !a.claims && !run.behind.has(a);
const isClaimed = (run, handle) => [...run.accounts.values()].some((a) => a.claims === handle);

// A liar and somebody else, both with handles of their own.
async function pair(run, fits = () => true) {
  const liar = anyActive(run, truthful(run));
  const other = liar && anyActive(run, (a) => a !== liar && truthful(run)(a) && fits(a, liar));
  if (!other) return [];
  await run.settled();
  for (const account of [liar, other]) await named(run, account, account.handle);
  return [liar, other];
}

export const handleSteps = [
  [1.5, "lie: another's handle", async (run) => {
    const [liar, other] = await pair(run);
    if (!liar) return false;
    liar.claims = other.handle;
    await lied(run, "another's handle", liar, 'handle_false');
    return undefined;
  }],
  [1, 'lie: a handle of nobody', async (run) => {
    const [liar] = await pair(run);
    if (!liar) return false;
    liar.claims = `${run.chance.text(12)}.test`;
    await lied(run, 'a handle of nobody', liar, 'handle_false');
    return undefined;
  }],
  [1.5, "lie: another's handle, and its own PDS agrees", async (run) => {
    const [liar, other] = await pair(run, (a, b) => a.at !== b.at && !isClaimed(run, a.handle));
    if (!liar) return false;
    liar.claims = liar.steals = other.handle;
    await lied(run, "another's handle, by its own PDS", liar, 'handle_taken');
    return undefined;
  }, 'relay'],
  [2, 'a handle that is true again', async (run) => {
    const account = anyActive(run, (a) => a.home && a.claims);
    if (!account) return false;
    await run.settled();
    account.claims = account.steals = undefined;
    await told(run, account);
    return `${account.did} names ${account.handle}`;
  }],
  [1.5, 'a handle that goes to another account', async (run) => {
    const [from, to] = await pair(run);
    // What nobody has any more is whoever's claims it.
    if (!from || isClaimed(run, from.handle) || isClaimed(run, to.handle)) return false;
    const { handle } = from;
    from.handle = `${run.chance.text(10)}.test`;
    await told(run, from);
    to.handle = handle;
    await told(run, to);
    return `${handle}: from ${from.did} to ${to.did}`;
  }],
];
