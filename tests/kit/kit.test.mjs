// The kit itself: a fault that it does not really make would prove nothing.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Firehose, decodeFrame, encodeFrame, frameBlocks } from './firehose.mjs';
import { startMongo } from './mongo.mjs';
import { startNetwork } from './pds.mjs';
import { faults, startProxy } from './proxy.mjs';
import { MOOD, moodDocument, moodRecord, objectId, paintingDocument } from './shapes.mjs';
import { until } from './wait.mjs';

describe('pds', () => {
  let net;
  let alice;
  const mood = (n) => moodRecord({ mood: `mood ${n}`, ref: objectId() });

  before(async () => {
    net = await startNetwork();
    alice = await net.account('alice.test');
  });
  after(() => net?.stop());

  it('announces an account with four frames', async () => {
    const hose = await net.pds.subscribe({ cursor: 0 });
    await hose.find((f) => f.type === '#sync' && f.body.did === alice.did);
    hose.close();
    const frames = hose.frames.filter((f) => (f.body.did ?? f.body.repo) === alice.did).slice(0, 4);
    assert.deepEqual(frames.map((f) => f.type), ['#identity', '#account', '#commit', '#sync']);
    const commit = frames[2].body;
    assert.equal(commit.since, null);
    assert.ok(!('prevData' in commit));
    assert.deepEqual(commit.ops, []);
    assert.equal((await frameBlocks(commit)).blocks.size, 2);
    assert.equal((await frameBlocks(frames[3].body)).blocks.size, 1);
  });

  it('keeps records through a stop and a kill, on its port', async () => {
    const { url } = net.pds;
    const first = await net.pds.createRecord(alice, MOOD, mood(1));
    await net.pds.restart();
    const second = await net.pds.createRecord(alice, MOOD, mood(2));
    await net.pds.kill();
    await net.pds.start();
    assert.equal(net.pds.url, url);
    const uris = (await net.pds.listRecordsAll(alice.did, MOOD)).map((r) => r.uri);
    assert.deepEqual(uris.toSorted(), [first.uri, second.uri].toSorted());
    assert.equal((await net.plc.document(alice.did)).service[0].serviceEndpoint, url);
  });

  it('goes back with a restored copy: records, revs and sequence', async () => {
    const hose = await net.pds.subscribe({ cursor: 0 });
    await net.pds.createRecord(alice, MOOD, mood('before'));
    const rev = async () => (await net.pds.listReposAll())[0].rev;
    const old = { records: await net.pds.listRecordsAll(alice.did, MOOD), rev: await rev() };
    await net.pds.stop();
    const copy = await net.pds.copyData();
    await net.pds.start();
    const lost = await net.pds.createRecord(alice, MOOD, mood('lost'));
    const late = await net.pds.subscribe({ cursor: 0 });
    const lostSeq = (await late.find((f) => f.body.commit?.toString() === lost.commit.cid)).body.seq;

    await net.pds.stop();
    await net.pds.restoreData(copy);
    await net.pds.start();
    assert.equal(await rev(), old.rev);
    assert.deepEqual(await net.pds.listRecordsAll(alice.did, MOOD), old.records);
    const ahead = await net.pds.subscribe({ cursor: lostSeq });
    const error = await ahead.find((f) => f.type === 'error');
    assert.deepEqual(error.body, { error: 'FutureCursor', message: 'Cursor in the future.' });
    const closed = await until(() => ahead.closed, { what: 'closed' });
    assert.deepEqual(closed, { code: 1008, reason: 'FutureCursor' });
    assert.ok(hose.closed);
  });

  it('calls a cursor outside the window outdated', async () => {
    await net.pds.createRecord(alice, MOOD, mood('old'));
    await net.pds.restart({ repoBackfillLimitMs: 1 });
    const hose = await net.pds.subscribe({ cursor: 1 });
    const info = await hose.find(() => true);
    assert.deepEqual([info.header, info.body.name], [{ t: '#info', op: 1 }, 'OutdatedCursor']);
    await net.pds.restart({ repoBackfillLimitMs: 24 * 3600 * 1000 });
    const whole = await net.pds.subscribe({ cursor: 1 });
    assert.equal((await whole.find(() => true)).body.seq, 2);
    whole.close();
  });

  it('lists accounts in each state, deleted ones not', async () => {
    const names = ['deactivated', 'takendown', 'deleted'];
    const [off, down, gone] = await Promise.all(names.map((n) => net.account(`${n}.test`)));
    await net.pds.deactivate(off);
    await net.pds.takedown(down.did);
    await net.pds.deleteAccount(gone.did);
    const repos = await net.pds.listReposAll();
    const state = (did) => repos.filter((r) => r.did === did).map((r) => [r.active, r.status, r.rev.length]);
    assert.deepEqual(state(alice.did), [[true, undefined, 13]]);
    assert.deepEqual(state(off.did), [[false, 'deactivated', 13]]);
    assert.deepEqual(state(down.did), [[false, 'takendown', 13]]);
    assert.deepEqual(state(gone.did), []);
    const refused = async (did) => (await net.pds.xrpc('com.atproto.sync.getRepo', { did })).body.error;
    assert.equal(await refused(off.did), 'RepoDeactivated');
    assert.equal(await refused(down.did), 'RepoTakendown');
    assert.equal(await refused(gone.did), 'RepoNotFound');
  });

  it('writes many at once, updates and deletes', async () => {
    const bob = await net.account('bob.test');
    const writes = Array.from({ length: 200 }, (_, i) => ({ action: 'create', collection: MOOD, value: mood(i) }));
    await net.pds.applyWrites(bob, writes);
    const all = await net.pds.listRecordsAll(bob.did, MOOD);
    assert.equal(all.length, 200);
    const rkey = all[0].uri.split('/').pop();
    await net.pds.putRecord(bob, MOOD, rkey, mood('changed'));
    assert.equal((await net.pds.listRecordsAll(bob.did, MOOD))[0].value.mood, 'mood changed');
    await net.pds.deleteRecord(bob, MOOD, rkey);
    assert.equal((await net.pds.listRecordsAll(bob.did, MOOD)).length, 199);
  });

  it('limits rates only when asked to', async () => {
    await net.pds.restart({ rateLimitsEnabled: true, rateLimitBypassKey: 'let me' });
    const limited = await net.pds.xrpc('com.atproto.sync.listRepos');
    assert.equal(limited.headers.get('ratelimit-limit'), '3000');
    const bypass = await net.pds.xrpc('com.atproto.sync.listRepos', {}, { headers: { 'x-ratelimit-bypass': 'let me' } });
    assert.equal(bypass.headers.get('ratelimit-limit'), null);
    await net.pds.restart({ rateLimitsEnabled: false });
    assert.equal((await net.pds.xrpc('com.atproto.sync.listRepos')).headers.get('ratelimit-limit'), null);
  });
});

describe('mongo', () => {
  let mongo;
  before(async () => {
    mongo = await startMongo();
  });
  after(() => mongo?.close());

  it('has the unique indexes of the site', async () => {
    const user = await mongo.user({ _id: 'auth0|1', handle: 'alice', did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' });
    await mongo.paintings.insertOne(paintingDocument({ user, code: 'abc', slug: 'one' }));
    const refused = (doc) => assert.rejects(mongo.paintings.insertOne(doc), { code: 11000 });
    await refused(paintingDocument({ user, code: 'abc', slug: 'two' }));
    await refused(paintingDocument({ user, code: 'abd', slug: 'one' }));
    await mongo.paintings.insertOne(paintingDocument({ user: 'auth0|2', code: 'abe', slug: 'one' }));
    assert.equal((await mongo.users.findOne({ _id: user })).atproto.did, 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa');
    assert.deepEqual(await mongo.handles.findOne(), { _id: user, handle: 'alice' });
  });

  it('keeps documents through a stop and a kill', async (t) => {
    if (mongo.kind === 'uri') return t.skip('REFKEY_TEST_MONGO_URI names a server that is not ours to stop');
    const _id = objectId();
    await mongo.moods.insertOne(moodDocument({ _id, user: 'auth0|1' }));
    await mongo.restart();
    assert.equal((await mongo.moods.findOne({ _id })).mood, 'calm');
    await mongo.moods.insertOne(moodDocument({ user: 'auth0|1' }));
    await mongo.kill();
    await mongo.start();
    assert.equal(await mongo.moods.countDocuments(), 2);
    return undefined;
  });
});

describe('proxy', () => {
  let net;
  let proxy;
  let alice;
  before(async () => {
    net = await startNetwork();
    proxy = await startProxy(net.pds.url);
    alice = await net.account('alice.test');
  });
  after(async () => {
    await proxy?.close();
    await net?.stop();
  });

  const write = (mood) => net.pds.createRecord(alice, MOOD, moodRecord({ mood }));
  const isCommit = (f) => f.type === '#commit' && f.body.ops.length > 0;
  // A consumer behind the proxy that keeps what it cannot decode.
  async function consumer(options) {
    const hose = await Firehose.open(proxy.url, options);
    hose.ws.removeAllListeners('message');
    hose.ws.on('message', (bytes, binary) => {
      let frame = { type: 'bad', body: {} };
      try {
        frame = decodeFrame(bytes);
      } catch {
        // stays bad
      }
      hose.frames.push({ bytes, binary, ...frame });
    });
    return hose;
  }

  it('passes requests and frames on unchanged, and counts', async () => {
    const direct = await net.pds.subscribe();
    const hose = await consumer();
    await write('one');
    const sent = await direct.find(isCommit);
    const got = await hose.find(isCommit);
    assert.deepEqual(got.bytes, sent.bytes);
    const car = async (url) =>
      Buffer.from(await (await fetch(`${url}/xrpc/com.atproto.sync.getRepo?did=${alice.did}`)).arrayBuffer());
    assert.deepEqual(await car(proxy.url), await car(net.pds.url));
    assert.equal(proxy.count('com.atproto.sync.getRepo'), 1);
    assert.equal(proxy.count('com.atproto.sync.subscribeRepos'), 1);
    assert.equal(proxy.requests[1].query.get('did'), alice.did);
    direct.close();
    hose.close();
    await until(() => proxy.open.length === 0, { what: 'connection ended at the proxy' });
  });

  it('makes requests go wrong as often as asked', async () => {
    const method = 'com.atproto.sync.getRepo';
    const get = (options) => fetch(`${proxy.url}/xrpc/${method}?did=${alice.did}`, options);
    const busy = proxy.http({ status: 429, headers: { 'retry-after': '1' } }, { method, times: 2 });
    for (let i = 0; i < 2; i++) {
      const res = await get();
      assert.deepEqual([res.status, res.headers.get('retry-after')], [429, '1']);
    }
    assert.equal((await get()).status, 200);
    assert.equal(busy.fired, 2);
    const cut = proxy.http({ truncate: 100 }, { method, times: 1 });
    await assert.rejects((await get()).arrayBuffer());
    const other = proxy.http({ instead: 'other' }, { method, times: 1 });
    assert.equal(await (await get()).text(), 'other');
    const hang = proxy.http({ hang: true }, { method, times: 1 });
    await assert.rejects(get({ signal: AbortSignal.timeout(300) }), { name: 'TimeoutError' });
    await until(() => hang.fired === 1, { what: 'the request that hangs' });
    const reset = proxy.http({ reset: true }, { method, times: 1 });
    await assert.rejects(get());
    const slow = proxy.http({ delay: 100 }, { method, times: 1 });
    const start = performance.now();
    assert.equal((await get()).status, 200);
    assert.ok(performance.now() - start >= 99);
    assert.deepEqual([cut.fired, other.fired, hang.fired, reset.fired, slow.fired], [1, 1, 1, 1, 1]);
  });

  it('does to frames what it is told', async () => {
    const hose = await consumer();
    // Each fault meets one record; what arrives, in words.
    const cases = [
      ['dropped', faults.drop, []],
      ['twice', faults.duplicate, ['twice', 'twice']],
      ['cut', faults.truncate(-5), ['bad']],
      ['longer', faults.append(Buffer.from([0xa0])), ['bad']],
      ['other', faults.replace(() => encodeFrame({ op: 1, t: '#new' }, { seq: 1 })), ['#new']],
      ['extra', faults.before(Buffer.from('xx'), Buffer.alloc(0)), ['bad', 'bad', 'extra']],
      ['late', faults.delay(50), ['late']],
    ];
    const words = async (f) => {
      if (f.type !== '#commit') return f.type;
      const { blocks } = await frameBlocks(f.body);
      const { decode } = await import('@atproto/lex-cbor');
      return decode(blocks.get(f.body.ops[0].cid)).mood;
    };
    for (const [name, act, expected] of cases) {
      const from = hose.frames.length;
      const fault = proxy.stream(act, { when: isCommit, times: 1 });
      await write(name);
      await until(() => fault.fired === 1, { what: `${name} fired` });
      await write('next');
      const got = () => Promise.all(hose.frames.slice(from).map(words));
      await until(async () => (await got()).at(-1) === 'next', { what: `the frame after ${name}` });
      assert.deepEqual(await got(), [...expected, 'next'], name);
    }
    const from = hose.frames.length;
    proxy.stream(faults.swapWithNext, { when: isCommit, times: 1 });
    await write('first');
    await write('second');
    await until(() => hose.frames.length === from + 2, { what: 'both' });
    assert.deepEqual(await Promise.all(hose.frames.slice(from).map(words)), ['second', 'first']);
    hose.close();
  });

  it('injects, stalls, disconnects and goes away', async () => {
    const hose = await consumer();
    proxy.inject(Buffer.from('junk'));
    await hose.find((f) => f.bytes.toString() === 'junk' && f.binary);
    proxy.inject('text');
    await hose.find((f) => f.bytes.toString() === 'text' && !f.binary);
    proxy.stall();
    await write('stalled');
    const connection = proxy.open.at(-1);
    await until(() => connection.waiting.length === 1, { what: 'the frame to wait in the proxy' });
    assert.equal(hose.frames.length, 2);
    proxy.stall(false);
    await hose.find(isCommit);

    let pongs = 0;
    hose.ws.on('pong', () => pongs++);
    hose.ws.ping();
    await until(() => pongs === 1, { what: 'a pong' });

    const mid = proxy.stream(faults.closeMidFrame(20), { when: isCommit, times: 1 });
    await write('cut off');
    await until(() => hose.closed, { what: 'closed mid frame' });
    assert.deepEqual([hose.closed.code, mid.fired], [1006, 1]);

    const second = await consumer();
    proxy.disconnect(1012);
    await until(() => second.closed, { what: 'closed with a code' });
    assert.equal(second.closed.code, 1012);

    const third = await consumer();
    await proxy.down();
    await until(() => third.closed, { what: 'gone' });
    await assert.rejects(fetch(proxy.url));
    await proxy.up();
    const fourth = await consumer({ cursor: 0 });
    await fourth.find(isCommit);
    assert.equal(proxy.open[0].cursor, '0');

    const raw = new Promise((resolve) => fourth.ws.once('error', resolve));
    proxy.sendRaw(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    assert.match((await raw).message, /Invalid WebSocket frame/);
  });

  it('hands on what the PDS says when it closes', async () => {
    const hose = await consumer({ cursor: 999_999 });
    await until(() => hose.closed, { what: 'closed' });
    assert.deepEqual(hose.closed, { code: 1008, reason: 'FutureCursor' });
    assert.equal(hose.frames[0].body.error, 'FutureCursor');
    await net.pds.stop();
    await assert.rejects(consumer(), /502/);
  });
});
