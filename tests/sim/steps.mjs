// The steps of a run, one row each with its weight: what happens in the network, what goes wrong on the
// way to refkey, and what somebody makes up. A step changes the accounts, sends frames and says in the
// ledger what must come of it.

import { BlockMap, blocksToCarFile } from '@atproto/repo';
import { decodeFrame, encodeFrame } from '../kit/firehose.mjs';
import { until } from '../kit/wait.mjs';
import { MOOD } from '../kit/shapes.mjs';
import { newKey } from './account.mjs';
import { accountFrame, active, anyActive, commit, committed, frameOf, identity, ours, resigned } from './acts.mjs';
import { farPastTid } from './chance.mjs';
import { copies } from './copies.mjs';
import { forge, lies } from './lies.mjs';
import { POST, record } from './records.mjs';
import { handleSteps } from './handles.mjs';
import { relaySteps } from './relayed.mjs';

const breaksMost = 2; // of the connection in one run

// Tells of the account's other home, once refkey says so of one of its records.
async function moved(run, account) {
  const [path] = ours(account);
  const [collection, rkey] = path.split('/');
  await run.settled();
  account.home = !account.home;
  run.host.send(identity(run, account));
  const fits = ({ body }) => !!body.moved === !account.home;
  await run.refkey.until('getByRkey', { repo: account.did, collection, rkey }, fits, { every: 5 });
}

// A frame that only who is connected gets.
async function tell(run, kind, account, { bytes, verdict, forged }) {
  run.ledger.lie(kind, verdict, account.did, forged);
  run.host.send({ bytes }, { kept: false });
}

async function broken(run) {
  run.breaks++;
  // A lie is told once: none may be on its way.
  await run.caughtUp();
}

// A wrong copy made now, for later.
async function made(make, account, chance, forged) {
  const bytes = await make(account, chance, undefined, forged);
  return () => bytes;
}

const kinds = Object.keys(lies);
// A commit that is right in all but who may send it.
const honestForm = { as: undefined, make: (f) => f.make() };

const steps = [
  [30, 'a commit', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    run.host.send(await committed(run, account));
    return account.did;
  }],
  [45, 'a lie', async (run) => {
    const kind = run.chance.pick(kinds);
    const account = anyActive(run, (a) => !lies[kind].needs || a.records.size);
    if (!account || active(run).length < 2) return false;
    await tell(run, `lie: ${kind}`, account, await forge(run, lies[kind], account));
    return undefined;
  }],
  [6, 'frames held back', async (run) => {
    run.host.hold();
    return '';
  }],
  [3, 'everything released', async (run) => {
    run.host.release();
    return '';
  }],
  [3, 'a dropped commit', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    await committed(run, account);
    run.behind.add(account);
    run.ledger.gap(account.did, 'a commit was dropped');
    return account.did;
  }],
  [2, 'two commits the wrong way round', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    const first = await committed(run, account);
    const second = await committed(run, account);
    run.host.send(second);
    run.host.send(first);
    run.ledger.gap(account.did, 'the second commit came first');
    return account.did;
  }],
  [3, 'a commit twice', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    const frame = await committed(run, account);
    run.host.send(frame);
    run.host.send(frame, { kept: false });
    return account.did;
  }],
  [3, 'an old commit again', async (run) => {
    const account = anyActive(run, (a) => a.sent.length || a.early.length);
    if (!account) return false;
    run.host.send(run.chance.pick([...account.sent, ...account.early]), { kept: false });
    return account.did;
  }],
  // Once: what a second one bears out is believed.
  [1, 'an old commit under a number far ahead', async (run) => {
    const account = anyActive(run, (a) => a.sent.length);
    if (!account || run.far) return false;
    run.far = true;
    const { header, body } = decodeFrame(run.chance.pick(account.sent).bytes);
    run.host.send({ bytes: encodeFrame(header, { ...body, seq: 2 ** 40 }) }, { kept: false });
    return account.did;
  }],
  [1, 'a commit too big to tell', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    const body = await commit(run, account);
    const blocks = await blocksToCarFile(account.head.cid, new BlockMap().set(account.head.cid, account.head.bytes));
    run.host.send(run.host.frame('#commit', { ...body, tooBig: true, ops: [], blocks }));
    run.ledger.gap(account.did, 'a commit was too big');
    return account.did;
  }],
  [1, 'a commit without prevData', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    const { prevData: _, ...body } = await commit(run, account);
    run.host.send(run.host.frame('#commit', body));
    run.ledger.gap(account.did, 'a commit did not name the tree before');
    return account.did;
  }],
  // Nobody signed it: the tree before is proof of more.
  [1, 'a commit that names another rev before it', async (run) => {
    const account = anyActive(run, (a) => !run.behind.has(a));
    if (!account) return false;
    const body = await commit(run, account);
    run.host.send(frameOf(run, account, { ...body, since: run.chance.odds(0.5) ? farPastTid : null }));
    return account.did;
  }],
  [1.2, 'a gap, and a wrong answer to getRepo', async (run) => {
    const account = anyActive(run, (a) => a.records.size);
    if (!account) return false;
    await run.settled();
    // Older than what refkey has, whose last commit is then one of those it was sent.
    const older = account.oldCar && account.sent.length > 0 && !run.documents;
    const kind = older && run.chance.odds(0.3) ? 'an older repo' : run.chance.pick(Object.keys(copies).slice(0, -1));
    const { as, make } = copies[kind];
    const forged = [];
    await committed(run, account);
    run.ledger.gap(account.did, 'a commit was dropped');
    run.ledger.gap(account.did, `once more: the answer was ${kind}`);
    const next = await committed(run, account);
    const answer = make.length < 4 ? (res) => make(account, run.chance, res) : await made(make, account, run.chance, forged);
    run.host.answers.push({ did: account.did, make: answer });
    if (as) run.ledger.lie(`lie: ${kind}`, as, account.did, forged);
    else run.ledger.note(`fault: ${kind}`, account.did);
    run.host.send(next);
    await run.settled();
    return undefined;
  }],
  [0.4, 'refkey killed', async (run) => {
    const accounts = active(run);
    if (!accounts.length || run.killed) return false;
    run.killed = true;
    await run.kill(async () => {
      for (let n = run.chance.between(1, 10); n > 0; n--) {
        const account = run.chance.pick(accounts);
        run.ledger.gap(account.did, 'refkey was killed with its commits on the way');
        run.host.send(await committed(run, account));
      }
    });
    return '';
  }],
  [1, 'a signed commit that swallows a collection', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    const create = (c) => ({ action: 'create', path: `${c}/${run.chance.tid()}`, value: record(run.chance, c) });
    const body = await commit(run, account, [POST, MOOD].map(create));
    run.host.send(run.host.frame('#commit', { ...body, ops: body.ops.filter((op) => !op.path.startsWith(MOOD)) }));
    run.ledger.lie('lie: a true commit without a collection', 'inversion', account.did);
    run.ledger.gap(account.did, 'a commit was swallowed');
    run.behind.add(account);
    return undefined;
  }],
  [1, 'a #sync of what is known', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    // Of a repo that lacks something it shows so.
    if (run.behind.has(account)) return false;
    run.host.send(await resigned(run, account));
    return account.did;
  }],
  [1, 'a #sync of what is not known', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    await commit(run, account);
    run.host.send(await resigned(run, account));
    run.ledger.gap(account.did, 'a #sync named another tree');
    return account.did;
  }],
  [1, 'the end of the connection', async (run) => {
    if (run.breaks >= breaksMost) return false;
    await broken(run);
    run.host.disconnect();
    await run.connected();
    return '';
  }],
  [1, 'the end of the connection inside a frame', async (run) => {
    const account = anyActive(run);
    if (!account || run.breaks >= breaksMost) return false;
    await broken(run);
    const frame = await committed(run, account);
    run.host.closeInside(frame, run.chance.between(1, frame.bytes.length));
    await run.connected();
    return account.did;
  }],
  [1, 'a slow frame', async (run) => {
    const account = anyActive(run);
    if (!account) return false;
    run.host.release();
    const frame = await committed(run, account);
    await run.host.sendSlowly(frame, Math.ceil(frame.bytes.length / run.chance.between(2, 20)));
    return account.did;
  }],
  [0.3, 'the sequence begins again', async (run) => {
    if (run.breaks) return false;
    run.breaks = breaksMost;
    run.wasReset = true;
    // Its old frames bear numbers that are yet to come.
    for (const account of run.accounts.values()) Object.assign(account, { sent: [], early: [] });
    await run.settled();
    const before = run.host.connects.length;
    await run.swept(async () => {
      run.host.reset();
      const again = () => run.host.connects.slice(before).includes(null) && run.host.sockets.size;
      await until(again, { what: 'refkey asks without a cursor' });
    });
    return '';
  }],
  [2, 'a new account', async (run) => {
    const account = await run.newAccount();
    const head = await account.init(run.chance.tid());
    const all = new BlockMap().set(head.cid, head.bytes).set(head.data, await account.storage.getBytes(head.data));
    const time = run.chance.time;
    run.host.send(identity(run, account));
    run.host.send(accountFrame(run, account));
    const body = { repo: account.did, commit: head.cid, rev: head.rev, since: null, ops: [], blobs: [], rebase: false, tooBig: false };
    run.host.send(run.host.frame('#commit', { ...body, blocks: await blocksToCarFile(head.cid, all), time }));
    const only = await blocksToCarFile(head.cid, new BlockMap().set(head.cid, head.bytes));
    run.host.send(run.host.frame('#sync', { did: account.did, rev: head.rev, blocks: only, time }));
    // Behind a relay it is nobody before it has a record of ours.
    if (run.relay) {
      run.ledger.gap(account.did, 'its first record of ours');
      run.host.send(frameOf(run, account, await commit(run, account, [run.create()])));
      await run.settled();
    }
    return account.did;
  }],
  [2, 'a new key', async (run) => {
    const account = anyActive(run, (a) => !run.behind.has(a));
    if (!account) return false;
    await run.settled();
    account.before = account.sent.splice(0);
    account.early = [];
    account.oldCar = undefined; // signed with the key before
    account.key = await newKey(account.curve, run.chance.bytes(32));
    run.host.send(identity(run, account));
    run.host.send(await resigned(run, account));
    if (run.chance.odds(0.5)) run.host.send(await committed(run, account));
    return account.did;
  }],
  [2, 'lie: a commit under the key before', async (run) => {
    const account = anyActive(run, (a) => a.before?.length);
    if (!account) return false;
    await run.settled();
    const { bytes } = run.chance.pick(account.before);
    await tell(run, 'lie: the key before', account, { bytes, verdict: 'signature_wrong' });
    return undefined;
  }],
  [1, 'an account that moves away', async (run) => {
    if (active(run).length < 3) return false;
    const account = anyActive(run, (a) => !run.behind.has(a) && ours(a).length);
    if (!account) return false;
    await moved(run, account);
    const kind = 'a commit of an account that moved';
    await tell(run, `lie: ${kind}`, account, { ...(await forge(run, honestForm, account)), verdict: 'repo_elsewhere' });
    return account.did;
  }, 'pds'],
  [1, 'an account that comes home', async (run) => {
    const account = [...run.accounts.values()].find((a) => a.head && !a.home && a.status === 'active');
    if (!account) return false;
    if (run.chance.odds(0.5)) await commit(run, account);
    run.ledger.gap(account.did, 'it came home');
    await moved(run, account);
    return account.did;
  }, 'pds'],
  [2, 'an account that is not active', async (run) => {
    if (active(run).length < 3) return false;
    const account = anyActive(run, (a) => !run.behind.has(a));
    if (!account) return false;
    await run.settled();
    account.status = run.chance.pick(['deactivated', 'takendown', 'suspended']);
    run.host.send(accountFrame(run, account));
    const kind = 'a commit of an account that is not active';
    // A relay's word is asked about first.
    if (run.relay) await run.refkey.until('getRepoStatus', { repo: account.did }, ({ body }) => body.active === false, { every: 5 });
    await tell(run, `lie: ${kind}`, account, { ...(await forge(run, honestForm, account)), verdict: 'repo_inactive' });
    return `${account.did} ${account.status}`;
  }],
  [2, 'an account that is active again', async (run) => {
    const account = [...run.accounts.values()].find((a) => a.home && ['deactivated', 'takendown', 'suspended'].includes(a.status));
    if (!account) return false;
    await run.caughtUp();
    account.status = 'active';
    if (run.chance.odds(0.5)) await commit(run, account);
    run.ledger.gap(account.did, 'it is active again');
    run.host.send(accountFrame(run, account));
    run.host.send(await resigned(run, account));
    return account.did;
  }],
  [0.5, 'an account that is deleted', async (run) => {
    if (active(run).length < 3) return false;
    const account = anyActive(run, (a) => !run.behind.has(a));
    if (!account) return false;
    await run.settled();
    account.status = 'deleted';
    for (const [path, { value }] of account.records) if (value.ref) account.leave(path, value, true);
    account.records.clear();
    run.ledger.gap(account.did, 'it was deleted');
    run.host.send(accountFrame(run, account));
    return account.did;
  }],
  [1, 'lie: a stranger', async (run) => {
    const account = await run.newAccount({ listed: false });
    account.document = run.chance.pick(['none', 'keyless']);
    await account.init(run.chance.tid());
    const verdict = { none: 'key_unknown', keyless: 'key_missing' }[account.document];
    const kind = { none: 'a stranger', keyless: 'an account without a key' }[account.document];
    await tell(run, `lie: ${kind}`, account, { ...(await forge(run, honestForm, account)), verdict });
    return undefined;
  }],
];

// Those of a run; a row may say that it is of one kind of source alone.
const stepsOf = (relay) => [...steps, ...handleSteps, ...relaySteps].filter(([, , , source]) => !source || source === (relay ? 'relay' : 'pds'));

// Draws steps until one can be done. place: which of the run's it is.
export async function nextStep(run, place) {
  for (;;) {
    const [what, act] = run.chance.weighted(stepsOf(run.relay).map(([weight, ...step]) => [weight, step]));
    run.doing = `${place}, ${what}`;
    const done = await act(run);
    if (done === false) continue;
    run.ledger.note(what, done);
    return;
  }
}

export const stepKinds = (relay) => stepsOf(relay).map(([, what]) => what);
