// Accounts that live elsewhere by their DID documents, when that is known before there is a repo to be marked, and
// when it is another address that counts as this PDS.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { startProxy } from '../kit/proxy.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, listAll, metrics, parts, seen, soon, startScene, status } from './scene.mjs';

const ELSEWHERE = 'https://elsewhere.example';

describe('accounts that live elsewhere', () => {
  let scene;
  let refkey;

  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
  });
  after(() => scene?.close());
  afterEach(async (t) => {
    explain(t, refkey);
    scene?.proxy.honest();
    await refkey?.stop();
  });

  const write = (account, mood) => scene.pds.createRecord(account, MOOD, moodRecord({ mood, ref: objectId() }));

  it('are settled, also where that was known before the source listed them', async () => {
    const ada = await scene.stranger();
    const first = await write(ada, 'at home');
    refkey = await scene.refkey({ REFKEY_SWEEP_SECONDS: '1' });
    await seen(refkey, first);
    const list = scene.proxy.http({ status: 503 }, { method: 'com.atproto.sync.listRepos' });
    await until(() => list.fired > 0, { ...soon, what: 'no list is to be had' });
    scene.proxy.stall();
    const bea = await scene.stranger();
    await scene.moves(bea, ELSEWHERE);
    scene.proxy.stall(false);
    const foreign = await write(bea, 'where it does not live');
    const refused = async () => (await metrics(refkey))['refkey_refused_total{reason="repo_elsewhere"}'];
    await until(async () => (await refused()) > 0, { ...soon, what: 'its document is known' });
    // The sweep lists it, and waits for the stream before it judges anybody else.
    scene.proxy.stall();
    scene.proxy.pongs = false;
    const second = await write(ada, 'not told');
    list.end();
    const settled = async () => {
      const { repos, desynchronized } = await status(refkey);
      return repos === 2 && desynchronized === 0;
    };
    await until(settled, { ...soon, what: 'nothing is left to be fetched' });
    scene.proxy.honest();
    await seen(refkey, second);
    await refkey.ready();
    // Nothing is to come of it any more: it is not there.
    const { body } = await refkey.xrpc('getRepoStatus', { repo: bea.did });
    assert.equal(body.desynchronized, false);
    const miss = await refkey.xrpc('getByRkey', parts(foreign.uri));
    assert.deepEqual([miss.status, miss.body.error], [400, 'RecordNotFound']);
    await assertChecks(refkey);
  });

  it('are those of other addresses than the settings name by now, whose documents need not be read for that', async () => {
    const right = { REFKEY_PDS_PUBLIC_URL: scene.pds.url };
    const wrong = { REFKEY_PDS_PUBLIC_URL: 'https://wrong.example' };
    const directory = await startProxy(scene.net.plc.url);
    scene.ends.push(() => directory.close());
    const people = [await scene.stranger(), await scene.stranger()];
    const records = [];
    for (const who of people) records.push(await write(who, 'at home'));
    const again = async (settings) => {
      await refkey.restart(settings);
      await refkey.ready();
    };
    const moved = async ({ uri }) => (await refkey.xrpc('getByRkey', parts(uri))).body.moved;

    refkey = await scene.refkey({ ...wrong, REFKEY_PLC_URL: directory.url });
    for (const { did } of people) assert.deepEqual(await listAll(refkey, { repo: did, collection: MOOD }), []);
    directory.http({ status: 503 });
    await again(right);
    for (const record of records) assert.equal(await moved(record), undefined);
    for (const { did } of people) assert.equal((await listAll(refkey, { repo: did, collection: MOOD })).length, 1);
    await again(wrong);
    for (const record of records) assert.equal(await moved(record), true);
    const meanwhile = await write(people[0], 'while it was taken for somewhere else');
    await again(right);
    for (const record of records) assert.equal(await moved(record), undefined);
    await seen(refkey, meanwhile);
    await assertChecks(refkey);
  });
});
