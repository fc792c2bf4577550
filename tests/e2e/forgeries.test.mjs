// What the account did not sign: sent right before the honest frame, each forgery is counted by its
// verdict, nothing of it is served even for a moment, nobody's repo is fetched for it, and the honest
// commit behind it is taken as if nothing had been.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { blocksToCarFile, MemoryBlockstore, MST, readCar } from '@atproto/repo';
import { decode } from '@ipld/dag-cbor';
import { encodeFrame } from '../kit/firehose.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { block, recommitted, resigned } from './forging.mjs';
import { assertChecks, explain, metrics, seen, soon, startScene, status, tid, untilIndexEqualsPds } from './scene.mjs';

const GET_REPO = 'com.atproto.sync.getRepo';
const refused = (reason) => `refkey_refused_total{reason="${reason}"}`;

// The honest commit with another record under its path: the tree does not have it.
async function otherRecord({ header, body }) {
  const { roots, blocks } = await readCar(body.blocks);
  const record = await block({ $type: MOOD, ...moodRecord({ mood: 'forged', ref: objectId() }) });
  blocks.set(record.cid, record.bytes);
  const ops = body.ops.map((op) => ({ ...op, cid: record.cid }));
  return encodeFrame(header, { ...body, ops, blocks: await blocksToCarFile(roots[0], blocks) });
}

// … with one operation more than the account signed.
async function oneMore({ header, body }) {
  const { roots, blocks } = await readCar(body.blocks);
  const record = await block({ $type: MOOD, ...moodRecord({ mood: 'forged', ref: objectId() }) });
  blocks.set(record.cid, record.bytes);
  const ops = [...body.ops, { action: 'create', path: `${MOOD}/${tid()}`, cid: record.cid }];
  return encodeFrame(header, { ...body, ops, blocks: await blocksToCarFile(roots[0], blocks) });
}

// The commit of one record as one that created another one, too, which has been there for long.
async function withOneMoreCreated({ header, body }, car) {
  const { blocks } = await readCar(new Uint8Array(car));
  const { roots } = await readCar(body.blocks);
  const storage = new MemoryBlockstore(blocks);
  const [created] = body.ops;
  const tree = MST.load(storage, decode(blocks.get(roots[0])).data);
  const other = (await tree.leaves()).find(({ key }) => key !== created.path);
  const before = await (await tree.delete(created.path)).delete(other.key);
  const ops = [created, { ...created, path: other.key, cid: other.value }];
  return encodeFrame(header, { ...body, ops, prevData: await before.getPointer(), blocks: await blocksToCarFile(roots[0], blocks) });
}

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n; // of secp256k1
function highS(sig) {
  const s = BigInt(`0x${Buffer.from(sig.subarray(32)).toString('hex')}`);
  const high = (ORDER - s).toString(16).padStart(64, '0');
  return Buffer.concat([sig.subarray(0, 32), Buffer.from(high, 'hex')]);
}

const forgeries = {
  'signed with a foreign k256 key': [
    async (f) => resigned(f, await Secp256k1Keypair.create()),
    ['signature_wrong'],
  ],
  'signed with a foreign P-256 key': [
    async (f) => resigned(f, await P256Keypair.create()),
    ['signature_wrong', 'signature_high_s'],
  ],
  'with the high-S form of its signature': [(f) => recommitted(f, (c) => ({ ...c, sig: highS(c.sig) })), ['signature_high_s']],
  'with a signature of zeros': [(f) => recommitted(f, (c) => ({ ...c, sig: new Uint8Array(64) })), ['signature_malformed']],
  'with a signature cut short': [(f) => recommitted(f, (c) => ({ ...c, sig: c.sig.subarray(0, 63) })), ['signature_malformed']],
  'with a bit of its signature turned': [
    (f) => recommitted(f, (c) => ({ ...c, sig: c.sig.map((b, i) => (i === 40 ? b ^ 1 : b)) })),
    ['signature_wrong'],
  ],
  'with another tree under the old signature': [
    async (f) => recommitted(f, async (c) => ({ ...c, data: (await block({ e: [], l: null })).cid })),
    ['signature_wrong'],
  ],
  'with another record under its path': [otherRecord, ['op_differs']],
  'with an operation that is not in the tree': [oneMore, ['op_absent']],
  'that says it is too big, without what is signed': [
    ({ header, body }) => encodeFrame(header, { ...body, tooBig: true, ops: [], blocks: new Uint8Array() }),
    ['car_malformed'],
  ],
  'without one of its operations': [({ header, body }) => encodeFrame(header, { ...body, ops: [] }), ['inversion']],
  'said to change another tree': [
    async ({ header, body }) => encodeFrame(header, { ...body, prevData: (await block({ e: [], l: null })).cid }),
    ['inversion'],
  ],
};

describe('a forged commit', () => {
  let scene;
  let refkey;
  let ada;

  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
    ada = await scene.stranger();
    refkey = await scene.refkey();
    // Seen to the last: a late frame would be the one that is held back, and those behind it a gap.
    let last;
    for (let i = 0; i < 5; i++) last = await write(`mood ${i}`);
    await seen(refkey, last);
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  const write = (mood) => scene.pds.createRecord(ada, MOOD, moodRecord({ mood, ref: objectId() }));

  for (const [what, [forge, reasons]] of Object.entries(forgeries)) {
    it(`${what} is refused as ${reasons.join(' or ')}, and nothing is fetched for it`, async () => {
      // A frame that is held back is forged, sent, and followed by itself.
      const earlier = await metrics(refkey);
      const fetches = scene.proxy.count(GET_REPO);
      let frame;
      const hold = (f) => {
        frame = f;
        return [];
      };
      scene.proxy.stream(hold, { when: (f) => f.type === '#commit', times: 1 });
      const honest = await write(`behind one ${what}`);
      await until(() => frame, { ...soon, what: 'the honest frame is held back' });
      scene.proxy.inject(await forge(frame));
      scene.proxy.inject(frame.bytes);
      await seen(refkey, honest);
      let now;
      const grown = (reason) => now[refused(reason)] - earlier[refused(reason)];
      // A wrong signature is refused once the directory has been asked for a newer key.
      const counted = async () => ((now = await metrics(refkey)), reasons.some((reason) => grown(reason) > 0));
      await until(counted, { ...soon, what: 'it is counted' });
      assert.equal(reasons.reduce((n, r) => n + grown(r), 0), 1, JSON.stringify(Object.entries(now).filter(([n, v]) => v !== earlier[n])));
      assert.equal(scene.proxy.count(GET_REPO), fetches, 'a repo was fetched for it');
      const { body } = await refkey.xrpc('listRecords', { collection: MOOD, limit: 100 });
      assert.equal(body.records.filter((r) => r.value.mood === 'forged').length, 0, 'forged words are served');
      assert.equal((await status(refkey)).desynchronized, 0);
      await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    });
  }

  // Nobody signed the message: with other operations that lead to another tree before, which they do, it shows a
  // gap as a true one would. The repo is fetched for it, and then the commit is known.
  it('told with other operations that fit has its repo fetched once, however often it is told', async () => {
    const fetches = scene.proxy.count(GET_REPO);
    const earlier = await metrics(refkey);
    let frame;
    scene.proxy.stream((f) => ((frame = f), []), { when: (f) => f.type === '#commit', times: 1 });
    const honest = await write('told otherwise before');
    await until(() => frame, { ...soon, what: 'the honest frame is held back' });
    const forged = await withOneMoreCreated(frame, await scene.pds.call('com.atproto.sync.getRepo', { did: ada.did }));
    for (let i = 0; i < 20; i++) scene.proxy.inject(forged);
    await seen(refkey, honest);
    for (let i = 0; i < 20; i++) scene.proxy.inject(forged);
    scene.proxy.inject(frame.bytes);
    const taken = async () => (await metrics(refkey)).refkey_commits_replayed_total >= earlier.refkey_commits_replayed_total + 41;
    await until(taken, { ...soon, what: 'all of them are known' });
    assert.equal(scene.proxy.count(GET_REPO), fetches + 1);
    assert.equal((await status(refkey)).desynchronized, 0);
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
  });

  it('leaves an index that agrees with itself', () => assertChecks(refkey));
});
