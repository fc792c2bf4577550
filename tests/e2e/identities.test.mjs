// Who an account is: its DID document away, gone, garbage, changed; its key rotated; its handle claimed by
// somebody else. What cannot be asked for changes nothing; what is gone hides the account until it is back.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Secp256k1Keypair } from '@atproto/crypto';
import { Client } from '@did-plc/lib';
import { encodeFrame } from '../kit/firehose.mjs';
import { startProxy } from '../kit/proxy.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { heldBack, recommitted, resigned } from './forging.mjs';
import { assertChecks, explain, linked, metrics, named, parts, seen, settled, soon, startScene, status, unseen } from './scene.mjs';

// A document that could not be had is asked for again after two minutes at most.
const RETRY = 180_000;
const refused = (reason) => `refkey_refused_total{reason="${reason}"}`;

describe('identities', () => {
  let scene;
  let directory; // in front of the PLC
  let refkey;
  let ada;
  let first;

  before(async () => {
    scene = await startScene({ proxy: true });
    directory = await startProxy(scene.net.plc.url);
    scene.ends.push(() => directory.close());
    ada = await scene.person('ada');
    refkey = await scene.refkey({ REFKEY_PLC_URL: directory.url, REFKEY_ALLOW_PRIVATE: 'off' });
    first = await write('first');
    await linked(refkey, first);
  });
  after(() => scene?.close());
  afterEach((t) => {
    explain(t, refkey);
    directory?.honest();
    scene?.proxy.honest();
  });

  const write = (mood, account = ada) => scene.pds.createRecord(account, MOOD, moodRecord({ mood, ref: objectId() }));
  // A server gives them in the order of the index it used.
  const documents = (filter) => scene.mongo.moods.find(filter).sort({ _id: 1 }).toArray();
  const count = async (reason) => (await metrics(refkey))[refused(reason)];
  const asked = (account = ada) => directory.count(`/${account.did}`);
  const send = (t, body) => scene.proxy.inject(encodeFrame({ op: 1, t }, body));
  // Its DID document may be another now, the stream says.
  const identity = async (account = ada) =>
    send('#identity', { did: account.did, seq: (await status(refkey)).cursor, time: new Date().toISOString() });

  // Writes, and holds the frame back: { record, frame }.
  const held = (mood, account = ada) => heldBack(scene.proxy, () => write(mood, account));

  it('has a directory on a private address that only its own setting names', async () => {
    const { body } = await named(refkey, ada);
    assert.equal(body.handle, 'ada.test');
  });

  for (const [what, wrong] of [
    ['resets every connection', { reset: true }],
    ['fails', { status: 503 }],
    ['never answers', { hang: true }],
  ]) {
    it(`a directory that ${what} holds up no commit behind a forged one, and hides nobody`, async () => {
      const { record, frame } = await held(`behind a forged one: ${what}`);
      const [forged, fetches] = [await count('signature_wrong'), scene.proxy.count('com.atproto.sync.getRepo')];
      const fault = directory.http(wrong);
      await identity();
      await until(() => fault.fired > 0, { ...soon, what: 'the directory is asked' });
      for (let i = 0; i < 40; i++) scene.proxy.inject(await resigned(frame, await Secp256k1Keypair.create()));
      scene.proxy.inject(frame.bytes);
      await seen(refkey, record);
      await seen(refkey, await write('and the next'));
      // One that never answers has fifteen seconds for it.
      await until(async () => (await count('signature_wrong')) === forged + 40, { ...soon, what: 'all are refused' });
      assert.ok(fault.fired < 20, `the directory was asked ${fault.fired} times`);
      await seen(refkey, first);
      assert.equal(scene.proxy.count('com.atproto.sync.getRepo'), fetches, 'a repo was fetched');
      directory.honest();
      const now = asked();
      await until(() => asked() > now, { ...soon, what: 'it is asked again', deadline: RETRY });
    });
  }

  for (const [what, wrong] of [
    ['absent', { status: 404, body: JSON.stringify({ message: 'DID not registered' }) }],
    ['a tombstone', { status: 410, body: JSON.stringify({ message: 'DID not available' }) }],
    ['no JSON', { status: 200, body: '<html>' }],
    ['of somebody else', { status: 200, body: JSON.stringify({ id: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' }) }],
  ]) {
    it(`a DID document that is ${what} hides its records, until there is one again`, async () => {
      const before = await documents({});
      directory.http(wrong, { method: `/${ada.did}` });
      await identity();
      await unseen(refkey, first);
      const { body } = await refkey.xrpc('getRepoStatus', { repo: ada.did });
      assert.deepEqual([body.active, body.status], [false, 'unreadable']);
      assert.equal((await refkey.get('/xrpc/_health')).status, 200, 'nobody else is concerned');
      assert.equal((await refkey.xrpc('listRecords', { collection: MOOD })).body.records.length, 0);
      const meanwhile = await write('written while nobody knew who it is');
      await until(async () => (await count('key_unknown')) > 0, { ...soon, what: 'it is not believed' });
      // Also behind a restart.
      await refkey.restart();
      await refkey.ready();
      await unseen(refkey, first);
      directory.honest();
      await identity();
      await seen(refkey, first);
      await seen(refkey, meanwhile);
      await settled(refkey);
      const kept = await documents({ _id: { $in: before.map((d) => d._id) } });
      assert.deepEqual(kept, before, 'documents stay as they were');
      await assertChecks(refkey);
    });
  }

  it('comes back by itself, without a word on the stream', async () => {
    const gone = directory.http({ status: 404 }, { method: `/${ada.did}` });
    await identity();
    await unseen(refkey, first);
    await until(() => gone.fired >= 2, { ...soon, what: 'it is asked again', deadline: RETRY });
    gone.end();
    await seen(refkey, first, { deadline: RETRY, every: 100 });
  });

  // The document as the directory has it, with another endpoint; undefined: with no service.
  async function endpointOf(account, endpoint) {
    const document = await scene.net.plc.document(account.did);
    const service = endpoint === undefined ? [] : document.service.map((s) => ({ ...s, serviceEndpoint: endpoint }));
    return directory.http({ status: 200, body: JSON.stringify({ ...document, service }) }, { method: `/${account.did}` });
  }

  for (const [what, endpoint] of [
    ['with a path', (url) => `${url}/pds`],
    ['with a user', (url) => url.replace('://', '://user@')],
    ['with a query', (url) => `${url}?x`],
    ['that is no text', () => ({})],
    ['that is not there', () => undefined],
  ]) {
    it(`an endpoint ${what} is not ours: what was taken stays as moved, and no commit is`, async () => {
      const who = await scene.person();
      const before = await write('while it named us', who);
      await linked(refkey, before);
      const moved = (now) => refkey.until('getByRkey', parts(before.uri), ({ status, body }) => status === 200 && body.moved === now, soon);
      await endpointOf(who, endpoint(scene.pds.url));
      await identity(who);
      await moved(true);
      const elsewhere = await count('repo_elsewhere');
      const stray = await write('while it named nobody', who);
      await until(async () => (await count('repo_elsewhere')) > elsewhere, { ...soon, what: 'its commit is refused' });
      assert.equal((await refkey.xrpc('getByRkey', parts(stray.uri))).body.error, 'RecordNotFound');
      // Another spelling of ours.
      directory.honest();
      await endpointOf(who, `${scene.pds.url.replace('http', 'HTTP')}/`);
      await identity(who);
      await moved(undefined);
      await seen(refkey, stray);
      directory.honest();
    });
  }

  it('answers a handle only if the document names it and the PDS resolves it to the account', async () => {
    const byHandle = (handle) => refkey.xrpc('getByRkey', { ...parts(first.uri), repo: handle });
    const handle = async () => (await refkey.xrpc('getRepoStatus', { repo: ada.did })).body.handle;
    const changed = (fits, what) => until(async () => fits(await handle()), { ...soon, what });
    await changed((h) => h === 'ada.test', 'it is verified');
    assert.equal((await byHandle('ADA.test')).status, 200);

    const bea = await scene.stranger('bea');
    const resolve = scene.proxy.http(
      { status: 200, body: JSON.stringify({ did: bea.did }) },
      { method: 'com.atproto.identity.resolveHandle' },
    );
    await identity();
    await changed((h) => h === undefined, 'the handle resolves to another');
    assert.ok(resolve.fired > 0);
    assert.equal((await byHandle('ada.test')).body.error, 'RecordNotFound');
    scene.proxy.honest();
    await identity();
    await changed((h) => h === 'ada.test', 'it is true again');

    // Claims bea's.
    const document = await scene.net.plc.document(ada.did);
    const body = JSON.stringify({ ...document, alsoKnownAs: ['at://bea.test'] });
    directory.http({ status: 200, body }, { method: `/${ada.did}` });
    await identity();
    await changed((h) => h === undefined, 'the document names a handle that is not its own');
    assert.notEqual((await refkey.xrpc('getRepoStatus', { repo: 'bea.test' })).body.did, ada.did);
    directory.honest();
    // A PDS that cannot be asked takes no handle away.
    await identity();
    await changed((h) => h === 'ada.test', 'it is true again');
    const away = scene.proxy.http({ status: 503 }, { method: 'com.atproto.identity.resolveHandle' });
    const reads = asked();
    await identity();
    await until(() => away.fired > 0 && asked() > reads + 1, {
      ...soon,
      what: 'the document is read again for it',
      deadline: RETRY,
    });
    assert.equal(await handle(), 'ada.test');
  });

  it('takes the first commit under a rotated key after one look at the directory, and none under the old', async () => {
    const cleo = await scene.stranger('cleo');
    await seen(refkey, await write('under the first key', cleo));
    await named(refkey, cleo); // nothing is left to be asked again
    const key = await Secp256k1Keypair.create();
    const { record, frame } = await held('under the second key', cleo);
    await scene.signs(cleo, key.did());
    const [reads, wrong] = [asked(cleo), await count('signature_wrong')];
    // As a PDS says it: the identity, and at once the commit.
    send('#identity', { did: cleo.did, seq: frame.body.seq, time: frame.body.time });
    scene.proxy.inject(await resigned(frame, key));
    const { collection, rkey } = parts(record.uri);
    const view = await refkey.until('getByRkey', { repo: cleo.did, collection, rkey }, ({ status }) => status === 200, soon);
    assert.equal(view.body.cid, record.cid);
    assert.ok(asked(cleo) - reads <= 2, `the directory was asked ${asked(cleo) - reads} times`);
    const late = await write('under the first key, too late', cleo);
    await until(async () => (await count('signature_wrong')) > wrong, { ...soon, what: 'the old key is refused' });
    assert.equal((await refkey.xrpc('getByRkey', parts(late.uri))).body.error, 'RecordNotFound');
  });

  it('judges nothing by a document that was asked for before the stream said that it changed', async () => {
    const dora = await scene.stranger('dora');
    await seen(refkey, await write('under the first key', dora));
    let release;
    const hold = new Promise((resolve) => (release = resolve));
    const late = directory.http({ hold }, { method: `/${dora.did}` });
    await identity(dora);
    await until(() => late.held > 0, { ...soon, what: 'the first document is on its way' });
    const key = await Secp256k1Keypair.create();
    const { record, frame } = await held('under the second key', dora);
    await scene.signs(dora, key.did());
    const wrong = await count('signature_wrong');
    send('#identity', { did: dora.did, seq: frame.body.seq, time: frame.body.time });
    scene.proxy.inject(await resigned(frame, key));
    await seen(refkey, await write('behind both frames'));
    release();
    const { collection, rkey } = parts(record.uri);
    await refkey.until('getByRkey', { repo: dora.did, collection, rkey }, ({ status }) => status === 200, soon);
    assert.equal(await count('signature_wrong'), wrong);
  });

  it('nor when it is the first one that is read of the account', async () => {
    // What the directory has when refkey first asks is not what the account signs with.
    scene.proxy.stall();
    const eve = await scene.stranger('eve');
    const { verificationMethods } = await new Client(scene.net.plc.url).getDocumentData(eve.did);
    await scene.signs(eve, (await Secp256k1Keypair.create()).did());
    const record = await write('under the key that comes later', eve);
    let release;
    const hold = new Promise((resolve) => (release = resolve));
    const late = directory.http({ hold }, { method: `/${eve.did}` });
    const wrong = await count('signature_wrong');
    scene.proxy.stall(false);
    await until(() => late.held > 0, { ...soon, what: 'the first document is on its way' });
    await scene.signs(eve, verificationMethods.atproto);
    await identity(eve);
    await seen(refkey, await write('behind it'));
    release();
    await seen(refkey, record);
    assert.equal(await count('signature_wrong'), wrong);
  });

  it('of strangers are dropped by the next sweeps', async () => {
    const sweeper = await scene.refkey({ REFKEY_PLC_URL: directory.url, REFKEY_SWEEP_SECONDS: '1' });
    const dropped = async () => (await metrics(sweeper)).refkey_identities_dropped_total;
    const { record, frame } = await held('with strangers before it');
    for (const letter of 'abc') {
      const did = `did:plc:${letter.repeat(24)}`;
      scene.proxy.inject(await recommitted({ ...frame, body: { ...frame.body, repo: did } }, (commit) => ({ ...commit, did })));
    }
    scene.proxy.inject(frame.bytes);
    await until(async () => (await dropped()) === 3, { ...soon, what: 'three identities are dropped' });
    await seen(sweeper, record);
    assert.equal(await dropped(), 3, 'none of an account whose repo is here');
    await assertChecks(sweeper);
    await sweeper.stop();
  });

  it('stops without a warning', async () => {
    await refkey.stop();
    const last = refkey.log().slice(-30).filter(({ level, msg, message }) => level === 'warn' && /connection/.test(msg ?? message));
    assert.deepEqual(last, []);
    await refkey.start();
  });
});
