// Hosts behind a relay that would keep what they can: readiness, threads, disk.

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { MOOD } from '../kit/shapes.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { until } from '../kit/wait.mjs';
import { explain, status } from '../e2e/scene.mjs';
import { Account, newKey } from './account.mjs';
import { commit } from './acts.mjs';
import { Chance } from './chance.mjs';
import { Host } from './host.mjs';
import { mood } from './records.mjs';

const soon = { deadline: 60_000, every: 20 };

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
    const settings = { REFKEY_SOURCE: 'relay', REFKEY_PDS_URL: this.host.url, REFKEY_PLC_URL: this.host.url, REFKEY_SWEEP_SECONDS: '3600' };
    this.refkey = new Refkey(settings);
    await this.refkey.start();
  }

  // In place of the repo, the next time it is asked for.
  answer(account, make) {
    this.host.answers.push({ did: account.did, make });
  }

  fetches(account) {
    return this.host.fetches.get(account.did) ?? 0;
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
    assert.equal(scene.fetches(put), 1);
    await scene.desynchronized(1);

    // … nor one that was in.
    scene.answer(well, later);
    await scene.gap(well);
    await scene.desynchronized(2);
    await scene.healthy(60_000);
    assert.equal(scene.fetches(well), 2);
  });
});
