// Steps of a run behind a relay: what it says that the account's own PDS does not, and accounts that move
// from one of its PDSs to another. Rows as in steps.mjs.

import { patience, until } from '../kit/wait.mjs';
import { status } from '../e2e/scene.mjs';
import { accountFrame, anyActive, commit, committed, identity, ours } from './acts.mjs';

const soon = { deadline: patience, every: 1 };
const inactive = ['deleted', 'takendown', 'suspended', 'deactivated'];

// Its PDS is asked, and nothing of it is hidden or shown meanwhile.
async function contradicted(run, account, said, kind) {
  const questions = () => ['getRepoStatus', 'getRepo'].reduce((n, name) => n + (run.host.asked.get(`com.atproto.sync.${name} ${account.did}`) ?? 0), 0);
  const before = questions();
  const { status: truth } = account;
  account.status = said;
  const frame = accountFrame(run, account);
  account.status = truth;
  run.ledger.lie(kind, 'account_denied', account.did);
  if (run.wasReset && truth !== 'active') run.ledger.gap(account.did, 'its rev proved nothing since the sequence began again');
  run.host.send(frame);
  run.host.release();
  const look = truth === 'active' ? 'shown' : 'unshown';
  const paths = ours(account);
  const asked = async () => {
    await run[look](account, paths, `said to be ${said}`);
    return questions() > before && (await status(run.refkey)).desynchronized === 0;
  };
  await until(asked, { ...soon, what: `${account.did} is asked for at its PDS` });
  await run[look](account, paths, `said to be ${said}, which its PDS did not say`);
}

// What only a relay's word is refused as.
export const relayVerdicts = ['account_denied', 'handle_taken'];

const fits = (run) => (a) => ours(a).length && !run.behind.has(a);

export const relaySteps = [
  [3, 'lie: an account that is not active, which its PDS denies', async (run) => {
    const account = anyActive(run, fits(run));
    if (!account) return false;
    await run.settled();
    await contradicted(run, account, run.chance.pick(inactive), 'lie: not active, which its PDS denies');
    return undefined;
  }, 'relay'],
  [2, 'lie: an account that is active, which its PDS denies', async (run) => {
    const account = [...run.accounts.values()].find((a) => ours(a).length && inactive.slice(1).includes(a.status));
    if (!account) return false;
    await run.settled();
    await contradicted(run, account, 'active', 'lie: active, which its PDS denies');
    return undefined;
  }, 'relay'],
  [2, 'an account that moves to another PDS', async (run) => {
    // One that has its PDS lie about a handle would have the next one lie about it, too, and that may be its owner's.
    const account = anyActive(run, (a) => !a.steals && fits(run)(a));
    if (!account) return false;
    await run.settled();
    const from = account.at;
    account.at = (from + 1 + run.chance.int(run.host.pdses.length - 1)) % run.host.pdses.length;
    run.host.send(identity(run, account));
    // What its old PDS says of it then is true there, and nowhere else.
    if (run.chance.odds(0.5)) await contradicted(run, account, 'deactivated', 'lie: what its old PDS says');
    // And what the stream does not show is fetched from the new one.
    if (run.chance.odds(0.5)) {
      await commit(run, account);
      run.ledger.gap(account.did, 'a commit was dropped at the move');
      run.host.send(await committed(run, account));
    }
    await run.settled();
    return `${account.did}: from ${from} to ${account.at}`;
  }, 'relay'],
];
