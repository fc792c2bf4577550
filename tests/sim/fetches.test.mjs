// Hosts behind a relay that would keep what they can: readiness, threads, disk.

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlockMap, blocksToCarFile } from '@atproto/repo';
import { MOOD } from '../kit/shapes.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { patience, until } from '../kit/wait.mjs';
import { explain, metrics, status } from '../e2e/scene.mjs';
import { Account, block, newKey } from './account.mjs';
import { commit } from './acts.mjs';
import { Chance } from './chance.mjs';
import { Host } from './host.mjs';
import { mood } from './records.mjs';

const soon = { every: 20 };

const blockMost = 1 << 20;

// A block of no tree as it stands in a CAR.
async function padding(n) {
  const { cid, bytes } = await block({ n, padding: 'a'.repeat(blockMost) });
  let left = cid.bytes.length + bytes.length;
  const length = [];
  for (; left > 127; left >>= 7) length.push((left & 127) | 128);
  return Buffer.concat([Buffer.from([...length, left]), cid.bytes, bytes]);
}

// Sends a CAR, then padding without end, until the other side closes or end() is called.
class Endless {
  constructor(res, car, { blocks = Infinity } = {}) {
    Object.assign(this, { res, blocks, sent: 0, closed: false });
    this.close = new Promise((resolve) => res.on('close', resolve)).then(() => (this.closed = true));
    this.done = this.#send(car);
  }

  async #send(car) {
    this.res.writeHead(200, { 'content-type': 'application/vnd.ipld.car' }).write(car);
    for (let n = 0; !this.closed && !this.ending; n++) {
      const piece = await padding(n);
      // Behind the first ones no more than tells that it is still there.
      for (let at = 0; at < piece.length && !this.closed; ) {
        const end = n < this.blocks || this.ending ? piece.length : at + 1024;
        const written = new Promise((resolve) => this.res.write(piece.subarray(at, end), resolve));
        await Promise.race([this.close, written]);
        at = end;
        if (n >= this.blocks && !this.ending) await sleep(100);
      }
      this.sent++;
    }
    this.res.end();
  }

  end() {
    this.ending = true;
    return this.done;
  }
}

class Scene {
  constructor(seed) {
    this.chance = new Chance(seed);
    this.accounts = new Map();
    this.host = new Host(this.accounts, { pdses: 2 });
  }

  // With a record of ours. at: on which of the hosts.
  async account(at) {
    const { chance } = this;
    const key = await newKey('k256', chance.bytes(32));
    const account = new Account({ did: chance.did(), handle: `${chance.text(10)}.test`, curve: 'k256', key });
    account.at = at;
    this.accounts.set(account.did, account);
    await account.init(chance.tid());
    await this.write(account);
    return account;
  }

  write(account) {
    const value = mood(this.chance);
    return commit(this, account, [{ action: 'create', path: `${MOOD}/${this.chance.tid()}`, value }]);
  }

  // A commit, and the one before it is lost.
  async gap(account) {
    await this.write(account);
    this.host.send(this.host.frame('#commit', await this.write(account)));
  }

  async start() {
    this.chance.pass(2 * 60 * 60);
    await this.host.listen();
    this.refkey = new Refkey({
      REFKEY_SOURCE: 'relay',
      REFKEY_PDS_URL: this.host.url,
      REFKEY_PLC_URL: this.host.url,
      REFKEY_SWEEP_SECONDS: '3600',
      REFKEY_LOG_LEVEL: 'debug',
    });
    await this.refkey.start();
  }

  // In place of the repo, the next time it is asked for.
  answer(account, make) {
    this.host.answers.push({ did: account.did, make });
  }

  fetches(account) {
    return this.host.fetches.get(account.did) ?? 0;
  }

  // It was asked for this often, and the last answer said later.
  putOff(account, fetches) {
    const told = () => this.refkey.log().filter(({ component, did }) => component === 'resync' && did === account.did);
    return until(() => this.fetches(account) === fetches && told().length > 0, { ...soon, what: `${account.did} is put off` });
  }

  healthy(deadline) {
    return until(async () => (await this.refkey.get('/xrpc/_health')).status === 200, { deadline, every: 100, what: 'ready' });
  }

  desynchronized(count) {
    return until(async () => (await status(this.refkey)).desynchronized === count, { ...soon, what: `${count} desynchronized` });
  }

  async close() {
    try {
      await this.refkey?.close();
    } finally {
      await this.host.close();
    }
  }
}

describe('behind a relay', () => {
  let scene;
  afterEach(async (t) => {
    await explain(t, scene.refkey);
    await scene.close();
  });

  // Three times ten minutes would be half an hour.
  it('no host makes the service unready by putting its repos off', async () => {
    scene = new Scene(1);
    const [well, put] = [await scene.account(0), await scene.account(1)];
    const later = (res) => void res.writeHead(429, { 'retry-after': '600' }).end('{}');
    scene.answer(put, later);
    await scene.start();
    await scene.healthy(300_000);
    await scene.putOff(put, 1);
    await scene.desynchronized(1);

    // … nor one that was in.
    scene.answer(well, later);
    await scene.gap(well);
    await scene.putOff(well, 2);
    await scene.desynchronized(2);
    await scene.healthy(patience);
  });

  it('a copy that is not signed by the account is refused with its first bytes', async () => {
    scene = new Scene(2);
    const account = await scene.account(1);
    const other = await newKey('k256', scene.chance.bytes(32));
    const forged = await block(await account.sign(await account.draft([], { rev: scene.chance.tid() }), other));
    const start = await blocksToCarFile(forged.cid, new BlockMap().set(forged.cid, forged.bytes));
    let sent;
    scene.answer(account, (res) => void (sent = new Endless(res, start)));
    await scene.start();
    await until(() => sent?.closed, { ...soon, what: 'the end of it' });
    await sent.done;
    await scene.desynchronized(0); // asked again, it gives the account's own
    assert.ok((await metrics(scene.refkey))['refkey_refused_total{reason="signature_wrong"}'] >= 1);
    assert.equal((await scene.refkey.xrpc('getRepoStatus', { repo: account.did })).body.rev, account.head.rev);
  });

  it('of one host no more than one repo is fetched that is long, the next one in its turn', async () => {
    scene = new Scene(3);
    const accounts = [await scene.account(1), await scene.account(1)];
    const all = [];
    for (const account of accounts) {
      const car = await account.car();
      const make = (res) => void all.push(new Endless(res, car, { blocks: 36 }));
      for (let i = 0; i < 100; i++) scene.answer(account, make);
    }
    await scene.start();
    const goesOn = () => all.find((one) => !one.closed && one.sent >= 36);
    await until(() => goesOn() && all.some((one) => one.closed && one.sent >= 30), { what: 'one goes on, one was ended' });
    // Nobody else waits for them.
    const well = await scene.account(0);
    scene.host.send(scene.host.frame('#commit', await scene.write(well)));
    await scene.refkey.until('getRepoStatus', { repo: well.did }, ({ body }) => body.rev === well.head.rev, soon);
    scene.host.answers.length = 0;
    await Promise.all(all.map((one) => one.end()));
    await until(async () => (await status(scene.refkey)).desynchronized === 0, { deadline: 300_000, every: 100, what: 'all are in' });
    for (const { did, head } of accounts) {
      assert.equal((await scene.refkey.xrpc('getRepoStatus', { repo: did })).body.rev, head.rev);
    }
  });
});
