// Frames that go wrong between the PDS and refkey: each is counted by its reason and changes nothing, the
// stream goes on, and the repo is fetched again only once it shows a gap.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { encode } from '@atproto/lex-cbor';
import { decodeFrame, encodeFrame } from '../kit/firehose.mjs';
import { faults } from '../kit/proxy.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  assertChecks,
  assertIndexEqualsPds,
  explain,
  metrics,
  parts,
  seen,
  settled,
  soon,
  startScene,
  status,
  untilIndexEqualsPds,
} from './scene.mjs';

const refused = (reason) => `refkey_refused_total{reason="${reason}"}`;
const unknown = 'refkey_events_unknown_total';

// CBOR by hand, of what no encoder would write.
const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const commitHeader = encode({ op: 1, t: '#commit' });
// A map of one key, then whatever.
const body = (key, rest) => Buffer.concat([commitHeader, hex('a1'), encode(key), rest]);
const nested = (depth) => Buffer.concat([Buffer.alloc(depth, 0x81), hex('00')]);
const nestedMaps = (depth) => Buffer.concat([...Array(depth).fill(hex('a1 61 61')), hex('00')]);

// The frame again with its body changed.
const remade = (change) => (frame) => {
  const copy = { ...frame.body };
  change(copy);
  return encodeFrame(frame.header, copy);
};

const absurd = [refused('frame_body'), refused('frame_field')];

// What is made of the commit of one record, and the counter (one of them) that must show it.
const spoilt = {
  'cut in its body': [faults.truncate(-5), refused('frame_body')],
  'cut in its header': [faults.truncate(4), refused('frame_header')],
  'cut to nothing': [faults.truncate(0), refused('frame_header')],
  'followed by a byte': [faults.append(hex('a0')), refused('frame_trailing')],
  'followed by another frame': [
    faults.append(encodeFrame({ op: 1, t: '#info' }, { name: 'x' })),
    refused('frame_trailing'),
  ],
  'of an unknown type': [faults.replace(({ body: b }) => encodeFrame({ op: 1, t: '#new' }, b)), unknown],
  'with a record changed on the way': [faults.replace(swapText('kept back', 'kept bacK')), refused('block_cid')],
  'with its commit block changed': [faults.replace(changedCommit), refused('block_cid')],
  'of a text message': [faults.replace(() => 'a text message'), refused('frame_text')],
  'of no map': [faults.replace(() => Buffer.concat([commitHeader, encode([1, 2])])), absurd],
  'without its repo': [faults.replace(remade((b) => delete b.repo)), refused('frame_field')],
  'of the repo of nobody': [faults.replace(remade((b) => (b.repo = 'not-a-did'))), refused('frame_field')],
  'of somebody else': [
    faults.replace(remade((b) => (b.repo = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'))),
    refused('commit_did'),
  ],
  'of another rev': [
    faults.replace(remade((b) => (b.rev = b.rev.slice(0, -1) + (b.rev.endsWith('z') ? 'y' : 'z')))),
    refused('commit_rev'),
  ],
  'of a rev before the one it follows': [
    faults.replace(remade((b) => (b.rev = '3kaaaaaaaaa22'))),
    refused('rev_order'),
  ],
  'of a rev to come': [faults.replace(remade((b) => (b.rev = '3zzzzzzzzzz22'))), refused('rev_future')],
  'without blocks': [faults.replace(remade((b) => (b.blocks = new Uint8Array()))), refused('car_malformed')],
  'with a CAR of absurd lengths': [
    faults.replace(remade((b) => (b.blocks = hex('ffffffffffffffffff01 00')))),
    refused('car_malformed'),
  ],
  'with half of its CAR': [
    faults.replace(remade((b) => (b.blocks = b.blocks.subarray(0, b.blocks.length / 2)))),
    refused('car_malformed'),
  ],
  'with 3 MB of blocks': [
    faults.replace(remade((b) => (b.blocks = Buffer.concat([b.blocks, Buffer.alloc(3 << 20)])))),
    refused('car_too_large'),
  ],
  'with 201 operations': [faults.replace(remade((b) => (b.ops = Array(201).fill(b.ops[0])))), refused('ops_too_many')],
  'with a byte string of 2^63 bytes': [faults.replace(() => body('blocks', hex('5b 7fffffffffffffff'))), absurd],
  'with a byte string of 2^64-1 bytes': [faults.replace(() => body('blocks', hex('5b ffffffffffffffff 00'))), absurd],
  'with a text of 4 GB': [faults.replace(() => body('repo', hex('7a ffffffff 61'))), absurd],
  'with an array of 2^60 items': [faults.replace(() => body('ops', hex('9b 1000000000000000'))), absurd],
  'with a map of 2^32 keys': [faults.replace(() => Buffer.concat([commitHeader, hex('bb 0000000100000000')])), absurd],
  'with an array that never ends': [faults.replace(() => body('ops', hex('9f'))), absurd],
  'with a key twice': [faults.replace(() => Buffer.concat([commitHeader, hex('a2 63736571 01 63736571 02')])), absurd],
  'with a float': [faults.replace(() => body('seq', hex('fb 3ff0000000000000'))), absurd],
  'with a CAR without a root': [faults.replace(remade((b) => (b.blocks = rooted(b, [])))), refused('car_malformed')],
  'with a CAR with its root behind another': [
    faults.replace(remade((b) => (b.blocks = rooted(b, [b.ops[0].cid, b.commit])))),
    refused('car_root'),
  ],
  'nested 10,000 deep': [faults.replace(() => body('ops', nested(10_000))), absurd],
  'nested 10,000 maps deep': [faults.replace(() => body('ops', nestedMaps(10_000))), absurd],
  'with a header nested 10,000 deep': [faults.replace(() => nested(10_000)), refused('frame_header')],
  'of 5 MB and more': [
    faults.replace(() => Buffer.concat([commitHeader, Buffer.alloc(5 << 20)])),
    refused('frame_too_large'),
  ],
  'of 20 MB': [faults.replace(() => Buffer.alloc(20 << 20, 0xa0)), refused('frame_too_large')],
};

function swapText(from, to) {
  return ({ bytes }) => {
    const copy = Buffer.from(bytes);
    const at = copy.indexOf(from);
    assert.ok(at > 0, 'the record is in the frame');
    copy.write(to, at);
    return copy;
  };
}

// The CAR of a commit with other roots in its header, which is of 58 bytes with one.
function rooted({ blocks }, roots) {
  const header = encode({ roots, version: 1 });
  assert.equal(blocks[0], 58);
  assert.ok(header.length < 128);
  return Buffer.concat([Buffer.from([header.length]), header, blocks.subarray(59)]);
}

// A bit in the signature, which only the block's hash shows.
function changedCommit(frame) {
  const copy = Buffer.from(frame.bytes);
  const at = copy.indexOf(Buffer.from('637369675840', 'hex')); // "sig", 64 bytes
  assert.ok(at > 0, 'the signature is in the frame');
  copy[at + 20] ^= 1;
  return copy;
}

describe('a frame', () => {
  let scene;
  let refkey;
  let ada;
  let bea;
  const getRepo = 'com.atproto.sync.getRepo';
  const ofAda = (f) => f.type === '#commit' && f.body.repo === ada.did && f.body.ops.length > 0;
  const write = (person, mood, more) =>
    scene.pds.createRecord(person, MOOD, moodRecord({ mood, ref: objectId(), ...more }));
  const fetches = () =>
    scene.proxy.requests.filter((r) => r.method === getRepo && r.query.get('did') === ada.did).length;
  const synchronized = () => settled(refkey);

  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
    [ada, bea] = [await scene.stranger(), await scene.stranger()];
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach(async (t) => {
    explain(t, refkey);
    scene.proxy.honest();
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did, bea.did]);
  });

  for (const [what, [fault, counter]] of Object.entries(spoilt)) {
    it(`${what} is counted, and mended with the next commit`, async () => {
      const earlier = { ...(await metrics(refkey)), connections: scene.proxy.connections.length, fetches: fetches() };
      const fired = scene.proxy.stream(fault, { when: ofAda, times: 1 });
      const lost = await write(ada, 'kept back');
      // Somebody else's commit right behind it comes through.
      const other = await write(bea, `behind one ${what}`);
      await seen(refkey, other);
      assert.equal(fired.fired, 1);
      const now = await metrics(refkey);
      const sum = (all, names) => names.reduce((n, name) => n + (all[name] ?? assert.fail(`no counter ${name}`)), 0);
      const changed = Object.entries(now)
        .filter(([n, v]) => v !== earlier[n])
        .join('\n');
      assert.equal(sum(now, [counter].flat()), sum(earlier, [counter].flat()) + 1, changed);
      const refusals = (all) =>
        sum(
          all,
          Object.keys(all).filter((n) => n.startsWith('refkey_refused_total')),
        );
      assert.equal(refusals(now), refusals(earlier) + (counter === unknown ? 0 : 1), 'counted once');
      assert.equal((await refkey.xrpc('getByRkey', parts(lost.uri))).body.error, 'RecordNotFound');
      // By itself it leads to nothing: no new connection, no repo fetched, no repo distrusted.
      assert.equal((await status(refkey)).desynchronized, 0);
      assert.equal(fetches(), earlier.fetches);
      assert.equal(scene.proxy.connections.length, earlier.connections);
      // The next commit does not follow from what is held: one fetch.
      const next = await write(ada, 'next');
      await seen(refkey, next);
      await seen(refkey, lost);
      await synchronized();
      assert.equal(fetches(), earlier.fetches + 1);
    });
  }

  it('of ten thousand types that nobody knows holds nothing up', async () => {
    const before = await metrics(refkey);
    for (let i = 0; i < 10_000; i++) scene.proxy.inject(encodeFrame({ op: 1, t: `#new${i}` }, { did: ada.did }));
    await seen(refkey, await write(ada, 'behind ten thousand'));
    const now = await metrics(refkey);
    assert.equal(now[unknown] - before[unknown], 10_000);
    assert.equal(now.refkey_stream_disconnects_total, before.refkey_stream_disconnects_total);
  });

  it('with a CAR of two roots, and each block twice, is taken', async () => {
    const twice = (b) => {
      const blocks = rooted(b, [b.commit, b.ops[0].cid]);
      b.blocks = Buffer.concat([blocks, b.blocks.subarray(59)]);
    };
    const [before, fetched] = [await metrics(refkey), fetches()];
    const fired = scene.proxy.stream(faults.replace(remade(twice)), { when: ofAda, times: 1 });
    await seen(refkey, await write(ada, 'with two roots'));
    assert.equal(fired.fired, 1);
    assert.equal((await metrics(refkey)).refkey_commits_applied_total, before.refkey_commits_applied_total + 1);
    assert.equal(fetches(), fetched);
  });

  it('of no meaning between two commits changes nothing', async () => {
    const junk = [
      ...Object.values(['00', 'ff', 'a0', 'a0a0', 'a1626f7001a0', '8000', 'f6f6', 'fb7ff8000000000000']).map(hex),
      encodeFrame({ op: 1 }, {}),
      encodeFrame({ op: 2, t: '#commit' }, {}),
      encodeFrame({ op: 'x', t: '#commit' }, {}),
      encodeFrame({ op: 1, t: '#commit' }, {}),
      encodeFrame({ op: 1, t: '#identity' }, { did: 5, seq: 1 }),
      encodeFrame({ op: 1, t: '#account' }, { did: ada.did, seq: -1, active: 'no' }),
      encodeFrame({ op: 1, t: '#info' }, { name: 'SomethingNew', message: 'hello' }),
      encodeFrame({ op: 1, t: 'commit' }, {}),
      Buffer.alloc(70_000, 0x81),
    ];
    const earlier = fetches();
    const { refkey_frames_total: frames } = await metrics(refkey);
    const record = await write(ada, 'first');
    await seen(refkey, record);
    scene.proxy.stream(faults.before(...junk), { when: ofAda, times: 1 });
    const next = await write(ada, 'second');
    await seen(refkey, next);
    assert.ok((await metrics(refkey)).refkey_frames_total >= frames + junk.length + 2);
    assert.equal(fetches(), earlier);
    assert.equal((await status(refkey)).desynchronized, 0);
  });

  it('dropped is seen by the next commit', async () => {
    const earlier = { fetches: fetches(), ...(await metrics(refkey)) };
    const dropped = scene.proxy.stream(faults.drop, { when: ofAda, times: 1 });
    const lost = await write(ada, 'lost');
    await until(() => dropped.fired === 1, { what: 'dropped', ...soon });
    const next = await write(ada, 'next');
    await seen(refkey, next);
    await seen(refkey, lost);
    await synchronized();
    assert.equal(fetches(), earlier.fetches + 1);
  });

  it('dropped that deleted a record: it is gone after the next commit', async () => {
    const record = await write(ada, 'to be deleted');
    await seen(refkey, record);
    const dropped = scene.proxy.stream(faults.drop, { when: ofAda, times: 1 });
    await scene.pds.deleteRecord(ada, MOOD, record.rkey);
    await until(() => dropped.fired === 1, { what: 'dropped', ...soon });
    await seen(refkey, await write(ada, 'next'));
    await refkey.until('getByRkey', parts(record.uri), ({ body: b }) => b.error === 'RecordNotFound', soon);
  });

  it('dropped in many repos at once: every one is mended, once', async () => {
    const people = await Promise.all(Array.from({ length: 12 }, () => scene.stranger()));
    for (const p of people) await seen(refkey, await write(p, 'first'));
    const dids = new Set(people.map((p) => p.did));
    const dropped = scene.proxy.stream(faults.drop, {
      when: (f) => f.type === '#commit' && dids.has(f.body.repo),
      times: people.length,
    });
    await Promise.all(people.map((p) => write(p, 'lost')));
    await until(() => dropped.fired === people.length, { what: 'all dropped', ...soon });
    const from = scene.proxy.requests.length;
    await Promise.all(people.map((p) => write(p, 'next')));
    await untilIndexEqualsPds(refkey, scene.pds, [...dids]);
    await synchronized();
    const asked = scene.proxy.requests
      .slice(from)
      .filter((r) => r.method === getRepo)
      .map((r) => r.query.get('did'));
    assert.deepEqual(asked.toSorted(), [...dids].sort());
  });

  it('that comes twice counts once', async () => {
    const earlier = { fetches: fetches(), ...(await metrics(refkey)) };
    const twice = scene.proxy.stream(faults.duplicate, { when: ofAda, times: 3 });
    for (let i = 0; i < 3; i++) await seen(refkey, await write(ada, `twice ${i}`));
    await seen(refkey, await write(bea, 'behind'));
    assert.equal(twice.fired, 3);
    assert.equal(fetches(), earlier.fetches);
    const now = await metrics(refkey);
    assert.equal(now.refkey_commits_replayed_total, earlier.refkey_commits_replayed_total + 3);
    assert.equal((await status(refkey)).desynchronized, 0);
  });

  it('that comes again later does not bring back what was deleted', async () => {
    let kept;
    scene.proxy.stream(({ bytes }) => [(kept = bytes)], { when: ofAda, times: 1 });
    const record = await write(ada, 'comes again');
    await seen(refkey, record);
    await scene.pds.deleteRecord(ada, MOOD, record.rkey);
    await refkey.until('getByRkey', parts(record.uri), ({ body: b }) => b.error === 'RecordNotFound', soon);
    const earlier = (await metrics(refkey)).refkey_commits_replayed_total;
    scene.proxy.inject(kept);
    await until(async () => (await metrics(refkey)).refkey_commits_replayed_total === earlier + 1, {
      what: 'replayed',
      ...soon,
    });
    assert.equal((await refkey.xrpc('getByRkey', parts(record.uri))).body.error, 'RecordNotFound');
  });

  it('swapped with the next of its repo: both are there in the end', async () => {
    const swapped = scene.proxy.stream(faults.swapWithNext, { when: ofAda, times: 1 });
    const [one, two] = [await write(ada, 'one'), await write(ada, 'two')];
    await seen(refkey, one);
    await seen(refkey, two);
    assert.equal(swapped.fired, 1);
    await synchronized();
  });

  it('swapped with one of another repo: nothing is fetched', async () => {
    const earlier = fetches();
    const swapped = scene.proxy.stream(faults.swapWithNext, { when: ofAda, times: 1 });
    const [one, two] = [await write(ada, 'one'), await write(bea, 'two')];
    await seen(refkey, one);
    await seen(refkey, two);
    assert.equal(swapped.fired, 1);
    await synchronized();
    assert.equal(fetches(), earlier);
  });

  for (const [what, fault] of Object.entries({
    'cut off with its connection': faults.closeMidFrame(100),
    'behind which the connection ends': faults.closeAfter,
    'behind bytes that are no WebSocket': ({ bytes }, c) => (c.socket.write(Buffer.alloc(64, 0xff)), [bytes]),
    'announced with 2^62 bytes': ({ bytes }, c) => (c.socket.write(hex('827f 4000000000000000')), [bytes]),
    'of a fragment that never ends': ({ bytes }, c) => (c.socket.write(hex('0203 616263 82')), [bytes]),
  })) {
    it(`${what}: the stream is taken up again at the cursor`, async () => {
      const earlier = { fetches: fetches(), connections: scene.proxy.connections.length };
      const fired = scene.proxy.stream(fault, { when: ofAda, times: 1 });
      const record = await write(ada, what);
      await seen(refkey, record);
      assert.equal(fired.fired, 1);
      await until(() => scene.proxy.connections.length > earlier.connections, { what: 'a new connection', ...soon });
      assert.ok(Number(scene.proxy.connections.at(-1).cursor) > 0);
      await seen(refkey, await write(ada, 'next'));
      await synchronized();
      assert.equal(fetches(), earlier.fetches);
      await refkey.ready();
    });
  }

  it('that is late is not missed, and silence is no reason to connect again', async () => {
    const earlier = scene.proxy.connections.length;
    scene.proxy.stream(faults.delay(2500), { when: ofAda, times: 1 });
    await seen(refkey, await write(ada, 'late'));
    assert.equal(scene.proxy.connections.length, earlier);
  });

  it('as large as the PDS makes them is taken', async () => {
    const value = (i) => ({ ...moodRecord({ mood: `${i}`, ref: objectId() }), filler: 'x'.repeat(4500) });
    const writes = Array.from({ length: 200 }, (_, i) => ({ action: 'create', collection: MOOD, value: value(i) }));
    const { commit } = await scene.pds.applyWrites(bea, writes);
    await until(async () => (await refkey.xrpc('getRepoStatus', { repo: bea.did })).body.rev === commit.rev, {
      what: 'applied',
      ...soon,
    });
    await assertIndexEqualsPds(refkey, scene.pds, [bea.did]);
  });

  it('refused many times is told in the log by its reason', () => {
    const told = refkey.log().filter((l) => l.level === 'warn' && l.reason);
    for (const reason of ['frame_body', 'frame_trailing', 'block_cid'])
      assert.ok(
        told.some((l) => l.reason === reason),
        reason,
      );
  });

  it('of all that leaves a sound index', () => assertChecks(refkey));

  it('decodes as the kit says', async () => {
    // The kit's own encoder is what the spoilt frames are made with.
    const frame = { op: 1, t: '#info' };
    assert.deepEqual(decodeFrame(encodeFrame(frame, { name: 'x' })).header, frame);
  });
});

describe('a repo', () => {
  let scene;
  let refkey;
  let ada;
  const getRepo = 'com.atproto.sync.getRepo';
  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
    ada = await scene.stranger();
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach(async (t) => {
    explain(t, refkey);
    scene.proxy.honest();
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    await settled(refkey);
  });
  const ofAda = (f) => f.type === '#commit' && f.body.repo === ada.did && f.body.ops.length > 0;
  const write = (mood) => scene.pds.createRecord(ada, MOOD, moodRecord({ mood, ref: objectId() }));
  const adas = { method: getRepo, query: (q) => q.get('did') === ada?.did };

  async function gap() {
    const dropped = scene.proxy.stream(faults.drop, { when: ofAda, times: 1 });
    const lost = await write('lost');
    await until(() => dropped.fired === 1, { what: 'dropped', ...soon });
    return { lost, next: await write('next') };
  }

  const car = async () => Buffer.from(await scene.pds.call('com.atproto.sync.getRepo', { did: ada.did }));
  const type = { 'content-type': 'application/vnd.ipld.car' };
  const wrongs = {
    'that is cut short': () => ({ truncate: 150 }),
    'that is not answered in full': async () => ({ status: 200, headers: type, body: (await car()).subarray(0, -10) }),
    'that is empty': () => ({ status: 200, headers: type, body: '' }),
    'that is HTML': () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html></html>' }),
    'with a block changed': async () => {
      const bytes = await car();
      bytes[bytes.indexOf('lost')] ^= 1;
      return { status: 200, headers: type, body: bytes };
    },
    'with more behind it': async () => ({
      status: 200,
      headers: type,
      body: Buffer.concat([await car(), hex('ffffffffffff')]),
    }),
    'that is reset': () => ({ reset: true }),
    'that is refused with 500': () => ({ status: 500 }),
    'that is refused with 429': () => ({ status: 429, headers: { 'retry-after': '1' } }),
  };
  for (const [what, wrong] of Object.entries(wrongs)) {
    it(`${what} is fetched again, and none of it is believed`, async () => {
      // Made of the repo as it is with what is lost.
      const dropped = scene.proxy.stream(faults.drop, { when: ofAda, times: 1 });
      const lost = await write('lost');
      await until(() => dropped.fired === 1, { what: 'dropped', ...soon });
      const fault = scene.proxy.http(await wrong(), { ...adas, times: 1 });
      const next = await write('next');
      await seen(refkey, next);
      await seen(refkey, lost);
      assert.equal(fault.fired, 1);
    });
  }

  it('of somebody else is refused', async () => {
    const bea = await scene.stranger();
    await scene.pds.createRecord(bea, MOOD, moodRecord({ mood: "bea's" }));
    const theirs = Buffer.from(await scene.pds.call('com.atproto.sync.getRepo', { did: bea.did }));
    const earlier = await metrics(refkey);
    const fault = scene.proxy.http({ status: 200, headers: type, body: theirs }, { ...adas, times: 1 });
    const { lost } = await gap();
    await seen(refkey, lost);
    assert.equal(fault.fired, 1);
    const now = await metrics(refkey);
    assert.equal(
      now[refused('commit_did')],
      earlier[refused('commit_did')] + 1,
      Object.entries(now)
        .filter(([n, v]) => v !== earlier[n])
        .join('\n'),
    );
  });

  // In so many seconds: waits of at least half a second, each twice the one before.
  const doubling = (seconds) => 1 + Math.floor(Math.log2(2 * seconds + 1));
  const never = {
    'an error': [{ status: 500 }, doubling],
    // What fails on a connection that was kept is asked once more on a new one.
    'nobody there': [{ reset: true }, (seconds) => 2 * doubling(seconds)],
    // As often as it was told to.
    'a request to come later': [{ status: 429, headers: { 'retry-after': '1' } }, (seconds) => 2 + seconds],
  };
  for (const [what, [wrong, most]] of Object.entries(never)) {
    it(`that never comes (${what}) holds nobody up, and is not asked for all the time`, () => neverComes(wrong, most));
  }

  async function neverComes(wrong, most) {
    const bea = await scene.stranger();
    await seen(refkey, await scene.pds.createRecord(bea, MOOD, moodRecord({ mood: 'before' })));
    const fault = scene.proxy.http(wrong, adas);
    const since = performance.now();
    const { lost } = await gap();
    await until(() => fault.fired >= 3, { what: 'asked three times', ...soon });
    // Meanwhile: others go on, a miss in this repo is not known to be one.
    await seen(refkey, await scene.pds.createRecord(bea, MOOD, moodRecord({ mood: 'meanwhile' })));
    const miss = await refkey.xrpc('getByRkey', parts(lost.uri));
    assert.deepEqual([miss.status, miss.body.error], [503, 'NotReady']);
    assert.equal((await status(refkey)).desynchronized, 1);
    await refkey.ready();
    for (let i = 0; i < 20; i++) await write(`more ${i}`);
    await seen(refkey, await scene.pds.createRecord(bea, MOOD, moodRecord({ mood: 'behind' })));
    const seconds = (performance.now() - since) / 1000;
    assert.ok(fault.fired <= most(seconds), `asked ${fault.fired} times in ${seconds} s`);
    scene.proxy.honest();
    // The wait is as long as it went wrong, and a minute at most.
    await seen(refkey, lost);
  }

  it('that moves on while it is fetched is right in the end', async () => {
    const slow = scene.proxy.http({ delay: 700 }, { ...adas, times: 2 });
    const { lost } = await gap();
    await until(() => slow.fired >= 1, { what: 'asked', ...soon });
    for (let i = 0; i < 10; i++) {
      const record = await write(`meanwhile ${i}`);
      if (i % 2) await scene.pds.deleteRecord(ada, MOOD, record.rkey);
    }
    await seen(refkey, lost);
  });
});
