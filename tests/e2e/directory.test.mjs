// How often a directory is asked, and which of its answers mean something: keys that change without a word,
// forged commits of accounts that are known and of ones that are made up, refusals that are passing.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Secp256k1Keypair } from '@atproto/crypto';
import { encodeFrame } from '../kit/firehose.mjs';
import { startProxy } from '../kit/proxy.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { heldBack, recommitted, resigned } from './forging.mjs';
import { assertChecks, explain, metrics, seen, soon, startScene, status } from './scene.mjs';

describe('a directory', () => {
  let scene;
  let directory; // in front of the PLC
  let refkey;

  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
    directory = await startProxy(scene.net.plc.url);
    scene.ends.push(() => directory.close());
    refkey = await scene.refkey({ REFKEY_PLC_URL: directory.url });
  });
  after(() => scene?.close());
  afterEach((t) => {
    explain(t, refkey);
    directory?.honest();
    scene?.proxy.honest();
  });

  const write = (mood, account) => scene.pds.createRecord(account, MOOD, moodRecord({ mood, ref: objectId() }));
  const held = (mood, account) => heldBack(scene.proxy, () => write(mood, account));
  const count = async (reason) => (await metrics(refkey))[`refkey_refused_total{reason="${reason}"}`];
  const asked = ({ did }) => directory.count(`/${did}`);
  const fetched = ({ did }) =>
    scene.proxy.requests.filter((r) => r.method === 'com.atproto.sync.getRepo' && r.query.get('did') === did).length;
  const identity = async ({ did }, service = refkey) =>
    scene.proxy.inject(
      encodeFrame({ op: 1, t: '#identity' }, { did, seq: (await status(service)).cursor, time: new Date().toISOString() }),
    );
  const rotated = async (account) => {
    const key = await Secp256k1Keypair.create();
    await scene.signs(account, key.did());
    return key;
  };

  it('is asked for a key that changed without a word, and nothing is fetched or lost for it', async () => {
    const cleo = await scene.stranger();
    await seen(refkey, await write('under the first key', cleo));
    const [wrong, fetches] = [await count('signature_wrong'), fetched(cleo)];
    for (const round of ['second', 'third']) {
      const commits = [];
      for (const mood of ['one', 'two', 'three']) commits.push(await held(`${mood} under the ${round} key`, cleo));
      const key = await rotated(cleo);
      for (const { frame } of commits) scene.proxy.inject(await resigned(frame, key));
      for (const { record } of commits) await seen(refkey, record);
    }
    assert.equal(await count('signature_wrong'), wrong, 'a commit was refused');
    assert.equal(fetched(cleo), fetches, 'the repo was fetched');
  });

  it('is not asked again and again for forged commits, nor is anything fetched', async () => {
    const dora = await scene.stranger();
    await seen(refkey, await write('hers', dora));
    const { record, frame } = await held('behind forged ones', dora);
    const [wrong, fetches, reads] = [await count('signature_wrong'), fetched(dora), asked(dora)];
    for (let n = 1; n <= 40; n++) {
      scene.proxy.inject(await resigned(frame, await Secp256k1Keypair.create()));
      await until(async () => (await count('signature_wrong')) === wrong + n, { ...soon, what: `${n} are refused` });
    }
    scene.proxy.inject(frame.bytes);
    await seen(refkey, record);
    assert.ok(asked(dora) - reads <= 15, `it was asked ${asked(dora) - reads} times`);
    assert.equal(fetched(dora), fetches, 'the repo was fetched');
  });

  for (const [what, wrong] of [
    ['it forbids', { status: 403 }],
    ['is a bad request', { status: 400 }],
    ['is sent to another place', { status: 302, headers: { location: 'http://127.0.0.1:9/' } }],
    ['is answered by half', { truncate: 10 }],
    ['comes too often', { status: 429, headers: { 'retry-after': '1' } }],
  ]) {
    it(`hides nobody by saying that a question ${what}`, async () => {
      const eve = await scene.stranger();
      const record = await write('stays', eve);
      await seen(refkey, record);
      const fault = directory.http(wrong, { method: `/${eve.did}` });
      await identity(eve);
      // The next question comes once the first answer is in the index.
      await until(() => fault.fired >= 2, { ...soon, what: 'it is asked again' });
      assert.equal((await refkey.xrpc('getRepoStatus', { repo: eve.did })).body.active, true);
      await seen(refkey, record);
      // It still has the key.
      await seen(refkey, await write('meanwhile', eve));
    });
  }

  it('is not told the key that lifts the limits of the PDS, which is told at every call', async () => {
    const dora = await scene.stranger();
    const record = await write('before it starts', dora);
    const since = [directory, scene.proxy].map(({ requests }) => requests.length);
    const keyed = await scene.refkey({ REFKEY_PLC_URL: directory.url, REFKEY_PDS_BYPASS_KEY: 'lifted' });
    await seen(keyed, record);
    await keyed.until('getRepoStatus', { repo: dora.handle });
    await keyed.stop();
    const key = ({ method, headers }) => ({ method, key: headers['x-ratelimit-bypass'] });
    const [plc, pds] = [directory, scene.proxy].map(({ requests }, i) => requests.slice(since[i]).map(key));
    assert.ok(plc.length > 0);
    assert.deepEqual(plc.filter((r) => r.key), []);
    for (const name of ['sync.listRepos', 'sync.getRepo', 'identity.resolveHandle']) {
      const calls = pds.filter((r) => r.method === `com.atproto.${name}` && r.key === 'lifted');
      assert.ok(calls.length > 0, JSON.stringify(pds));
    }
  });

  it('that wants fewer questions is left alone, which is said once', async () => {
    const fay = await scene.stranger();
    await seen(refkey, await write('of a new account', fay));
    const fault = directory.http({ status: 429, headers: { 'retry-after': '1' } }, { method: `/${fay.did}` });
    await identity(fay);
    const said = () => refkey.log().filter((l) => l.level === 'warn' && /asks to be left alone/.test(l.message));
    await until(() => fault.fired >= 3 && said().length > 0, { ...soon, what: 'it is asked again, and it is said' });
    assert.equal(said().length, 1);
  });

  it('is asked for made-up accounts at a pace, and real ones do not wait for that', async () => {
    await refkey.stop();
    const letters = 'abcdefghijklmnopqrstuvwxyz234567';
    const paced = await scene.refkey({ REFKEY_PLC_URL: directory.url, REFKEY_SWEEP_SECONDS: '2' });
    const ada = await scene.stranger();
    await seen(paced, await write('known', ada));
    const { record, frame } = await held('behind made-up ones', ada);
    const frames = [];
    for (let n = 0; n < 3000; n++) {
      const did = `did:plc:${'z'.repeat(20)}${[10, 5, 0].map((bits) => letters[(n >> bits) & 31]).join('')}a`;
      frames.push(await recommitted({ ...frame, body: { ...frame.body, repo: did } }, (commit) => ({ ...commit, did })));
    }
    const strangers = () => directory.requests.filter((r) => r.method.startsWith(`/did:plc:${'z'.repeat(20)}`)).length;
    const begun = performance.now();
    for (const bytes of frames) scene.proxy.inject(bytes);
    scene.proxy.inject(frame.bytes);
    await seen(paced, record);
    // On a machine that is slower than the pace none has to wait.
    const waits = async () => (await metrics(paced)).refkey_identities_paced_total > 0 || strangers() > 300;
    await until(waits, { ...soon, what: 'some wait' });
    const reads = asked(ada);
    await identity(ada, paced);
    await until(() => asked(ada) > reads, { ...soon, what: 'the known one is asked for' });
    await seen(paced, await write('of a new account', await scene.stranger()), { every: 100 });
    // 256 at once, ten a second; a connection that is closed has a question put twice.
    const count = strangers();
    const most = 300 + (performance.now() - begun) / 100;
    assert.ok(count <= most, `it was asked for ${count} of them, not ${most} at most`);
    await assertChecks(paced);
    await paced.stop();
  });
});
