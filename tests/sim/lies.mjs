// Frames that nobody must believe. A row: what is wrong with it, the verdict it must get ("a|b": either)
// and how it is made. Each starts from a commit that is right in all else: signed by the account, of a
// record that is nowhere but in the lie, on top of the repo's head; the row turns one thing.

import { encode } from '@atproto/lex-cbor';
import { BlockMap, blocksToCarFile } from '@atproto/repo';
import { encodeFrame } from '../kit/firehose.mjs';
import { block, blockOf, commitBody, newKey } from './account.mjs';
import { farTid } from './chance.mjs';
import { mood } from './records.mjs';

const orders = {
  k256: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
};

function highS(sig, curve) {
  const s = BigInt(`0x${Buffer.from(sig.subarray(32)).toString('hex')}`);
  const high = (orders[curve] - s).toString(16).padStart(64, '0');
  return new Uint8Array(Buffer.concat([sig.subarray(0, 32), Buffer.from(high, 'hex')]));
}

const zeroed = (n) => new Uint8Array(n);
const otherCurve = { k256: 'p256', p256: 'k256' };

// The making of one lie: what rows change on the way.
class Forgery {
  constructor(network, account) {
    Object.assign(this, { network, account, chance: network.chance });
    this.forged = [];
  }

  // A record that is nowhere else, as a write.
  write() {
    const value = mood(this.chance, { words: 'forged' });
    return this.claim({ action: 'create', path: `${value.$type}/${this.chance.tid()}`, value });
  }

  // Its record must never be answered.
  claim(write) {
    this.forged.push({ ref: write.value?.ref, uri: `at://${this.account.did}/${write.path}` });
    return write;
  }

  other() {
    return this.chance.pick([...this.network.accounts.values()].filter((a) => a !== this.account && a.head));
  }

  foreignKey(curve = this.account.curve) {
    return newKey(curve, this.chance.bytes(32));
  }

  // A path of the head, and what is there.
  live() {
    const path = this.chance.pick([...this.account.records.keys()]);
    return { path, ...this.account.records.get(path) };
  }

  // In the order of making: draft, unsigned, key, commit (signed), blocks (a BlockMap, the commit in it),
  // body, bytes. Each gets what there is and answers with what goes on.
  async make({ writes = [this.write()], draft, unsigned, key, commit, blocks, body, bytes, type = '#commit' } = {}) {
    const same = (value) => value;
    const drafted = await this.account.draft(writes, { rev: this.chance.tid() });
    await draft?.(drafted);
    drafted.unsigned = (unsigned ?? same)(drafted.unsigned);
    const signed = await (commit ?? same)(await this.account.sign(drafted, await (key ?? same)(this.account.key)));
    const sealed = await block(signed);
    const all = new BlockMap().addMap(drafted.blocks).set(sealed.cid, sealed.bytes);
    await blocks?.(all, { drafted, sealed });
    const honest = await commitBody(drafted, signed, all);
    const told = { ...(await (body ?? same)(honest, { drafted, sealed, all })), seq: ++this.network.host.seq, time: this.chance.time };
    return (bytes ?? same)(encodeFrame({ op: 1, t: type }, told));
  }

  // A #sync of a commit; change as in make().
  sync(change) {
    return this.make({
      ...change,
      type: '#sync',
      blocks: (all, { drafted, sealed }) => drafted.blocks.cids().forEach((cid) => cid.equals(sealed.cid) || all.delete(cid)),
      body: ({ repo, rev, blocks }) => ({ did: repo, rev, blocks }),
    });
  }
}

const leaf = (drafted) => drafted.ops.find((op) => op.cid).cid;

// The tree's root is this node instead, and signed as such.
const rootNode = (entries) => async (drafted) => {
  const cid = leaf(drafted);
  const key = (text) => new Uint8Array(Buffer.from(text));
  const node = await block({ l: null, e: entries(drafted.ops[0].path, cid, key) });
  drafted.blocks.set(node.cid, node.bytes);
  drafted.unsigned.data = node.cid;
};

const turned = (bytes, at) => bytes.map((b, i) => (i === at ? b ^ 1 : b));

export const lies = {
  // Who signed
  'a foreign key': { as: 'signature_wrong', make: (f) => f.make({ key: () => f.foreignKey() }) },
  'a key of the other curve': { as: 'signature_wrong', make: (f) => f.make({ key: () => f.foreignKey(otherCurve[f.account.curve]) }) },
  "another commit's signature": { as: 'signature_wrong', make: (f) => f.make({ commit: (c) => ({ ...c, sig: f.account.head.sig }) }) },
  'a bit of the signature': { as: 'signature_wrong', make: (f) => f.make({ commit: (c) => ({ ...c, sig: turned(c.sig, 40) }) }) },
  'a high S': { as: 'signature_high_s', make: (f) => f.make({ commit: (c) => ({ ...c, sig: highS(c.sig, f.account.curve) }) }) },
  'a signature of zeros': { as: 'signature_malformed', make: (f) => f.make({ commit: (c) => ({ ...c, sig: zeroed(64) }) }) },
  'a short signature': { as: 'signature_malformed', make: (f) => f.make({ commit: (c) => ({ ...c, sig: c.sig.subarray(0, 63) }) }) },
  // What was signed
  "another repo's commit": {
    as: 'commit_did',
    make: (f) => {
      const other = f.other();
      return f.make({ unsigned: (u) => ({ ...u, did: other.did }), key: () => other.key, body: (b) => ({ ...b, repo: f.account.did }) });
    },
  },
  'a commit of version 2': { as: 'commit_malformed', make: (f) => f.make({ unsigned: (u) => ({ ...u, version: 2 }) }) },
  'a rev in the message alone': { as: 'commit_rev', make: (f) => f.make({ body: (b) => ({ ...b, rev: f.chance.tid() }) }) },
  'a future rev': { as: 'rev_future', make: (f) => f.make({ unsigned: (u) => ({ ...u, rev: farTid }) }) },
  'a rev behind since': { as: 'rev_order', make: (f) => f.make({ body: (b) => ({ ...b, since: f.chance.tid() }) }) },
  // Blocks
  'bytes of another record': {
    as: 'block_cid',
    make: (f) => f.make({ blocks: (all, { drafted }) => all.set(leaf(drafted), encode(mood(f.chance, { words: 'forged' }))) }),
  },
  'bytes of another commit': {
    as: 'block_cid',
    make: (f) => f.make({ blocks: (all, { sealed }) => all.set(sealed.cid, turned(sealed.bytes, sealed.bytes.length - 1)) }),
  },
  'a bit of a node': {
    as: 'block_cid',
    make: (f) => f.make({ blocks: (all, { drafted }) => all.set(drafted.unsigned.data, turned(all.get(drafted.unsigned.data), 0)) }),
  },
  'no record': { as: 'record_missing', make: (f) => f.make({ blocks: (all, { drafted }) => all.delete(leaf(drafted)) }) },
  'no commit': { as: 'commit_missing', make: (f) => f.make({ blocks: (all, { sealed }) => all.delete(sealed.cid) }) },
  'no node': { as: 'tree_missing', make: (f) => f.make({ blocks: (all, { drafted }) => all.delete(drafted.unsigned.data) }) },
  'a record that is a list': {
    as: 'record_malformed',
    make: (f) => f.make({ writes: [{ ...f.write(), bytes: encode(['forged']) }] }),
  },
  'a record with keys in disorder': {
    as: 'record_malformed',
    make: (f) => f.make({ writes: [{ ...f.write(), bytes: Buffer.from('a2616201616101', 'hex') }] }),
  },
  'no CAR': { as: 'car_malformed', make: (f) => f.make({ body: (b) => ({ ...b, blocks: b.blocks.subarray(1) }) }) },
  'a CAR cut short': {
    as: 'car_malformed',
    make: (f) => f.make({ body: (b) => ({ ...b, blocks: b.blocks.subarray(0, b.blocks.length - 1) }) }),
  },
  'a CAR with another root': {
    as: 'car_root',
    make: (f) => f.make({ body: async (b, { drafted, all }) => ({ ...b, blocks: await blocksToCarFile(drafted.unsigned.data, all) }) }),
  },
  'a huge CAR': {
    as: 'car_too_large',
    make: async (f) => {
      const pad = await blockOf(encode(zeroed(2_000_001)));
      return f.make({ blocks: (all) => all.set(pad.cid, pad.bytes) });
    },
  },
  // The tree
  'a tree with keys in disorder': {
    as: 'tree_malformed',
    make: (f) =>
      f.make({
        draft: rootNode((path, v, key) => [
          { p: 0, k: key(path), v, t: null },
          { p: 0, k: key('a/first'), v, t: null },
        ]),
      }),
  },
  'a tree with a prefix of nothing': {
    as: 'tree_malformed',
    make: (f) => f.make({ draft: rootNode((path, v, key) => [{ p: 3, k: key(path.slice(3)), v, t: null }]) }),
  },
  // Operations
  'an operation with another record': {
    as: 'op_differs',
    make: (f) =>
      f.make({
        draft: async (drafted) => {
          const record = await block(mood(f.chance, { words: 'forged' }));
          drafted.blocks.set(record.cid, record.bytes);
          drafted.ops[0].cid = record.cid;
        },
      }),
  },
  'an operation that is not in the tree': {
    as: 'op_absent',
    make: (f) =>
      f.make({
        draft: async (drafted) => {
          const { path, value } = f.write();
          const record = await block(value);
          drafted.blocks.set(record.cid, record.bytes);
          drafted.ops.push({ action: 'create', path, cid: record.cid });
        },
      }),
  },
  'a swallowed collection': {
    as: 'inversion',
    make: (f) =>
      f.make({
        writes: [f.write(), { action: 'create', path: `app.bsky.feed.post/${f.chance.tid()}`, value: { $type: 'app.bsky.feed.post' } }],
        draft: (drafted) => drafted.ops.shift(),
      }),
  },
  'a delete that was none': {
    as: 'op_present',
    needs: 'records',
    make: async (f) => {
      const { path } = f.live();
      const prev = await f.account.tree.get(path);
      return f.make({
        draft: async (drafted) => {
          drafted.blocks.addMap(await drafted.tree.getCoveringProof(path));
          drafted.ops.push({ action: 'delete', path, cid: null, prev });
        },
      });
    },
  },
  'an update told as a create': {
    as: 'inversion|tree_missing',
    needs: 'records',
    make: (f) => {
      const { path } = f.live();
      const value = mood(f.chance, { words: 'forged', $type: path.split('/')[0] });
      f.forged.push({ ref: value.ref });
      return f.make({ writes: [{ action: 'update', path, value }], draft: ({ ops }) => ops.forEach((op) => ((op.action = 'create'), delete op.prev)) });
    },
  },
  'a wrong prev': {
    as: 'inversion',
    needs: 'records',
    make: (f) => {
      const value = mood(f.chance, { words: 'forged' });
      const { path } = f.live();
      f.forged.push({ ref: value.ref });
      return f.make({ writes: [{ action: 'update', path, value }], draft: ({ ops }) => (ops[0].prev = ops[0].cid) });
    },
  },
  'no prev': {
    as: 'ops_prev',
    needs: 'records',
    make: (f) => {
      const value = mood(f.chance, { words: 'forged' });
      const { path } = f.live();
      f.forged.push({ ref: value.ref });
      return f.make({ writes: [{ action: 'update', path, value }], draft: ({ ops }) => delete ops[0].prev });
    },
  },
  'a wrong prevData': { as: 'inversion', make: (f) => f.make({ body: (b) => ({ ...b, prevData: b.commit }) }) },
  'an operation twice': { as: 'ops_duplicate', make: (f) => f.make({ draft: ({ ops }) => ops.push(ops[0]) }) },
  'too many operations': {
    as: 'ops_too_many',
    make: (f) =>
      f.make({
        draft: ({ ops }) => {
          while (ops.length < 201) ops.push({ ...ops[0], path: `${ops[0].path}.${ops.length}` });
        },
      }),
  },
  'too big, and nothing signed': {
    as: 'car_malformed',
    make: (f) => f.make({ body: (b) => ({ ...b, tooBig: true, ops: [], blocks: new Uint8Array() }) }),
  },
  // Frames
  'a frame cut short': {
    as: 'frame_header|frame_body',
    make: (f) => f.make({ bytes: (b) => b.subarray(0, f.chance.between(1, b.length - 1)) }),
  },
  'an empty frame': { as: 'frame_header', make: (f) => (f.make(), zeroed(0)) },
  'bytes behind a frame': { as: 'frame_trailing', make: (f) => f.make({ bytes: (b) => Buffer.concat([b, zeroed(1)]) }) },
  'a frame of noise': { as: 'frame_header', make: async (f) => (await f.make(), Buffer.concat([Buffer.from([0xff]), f.chance.bytes(200)])) },
  'a frame without its rev': { as: 'frame_field', make: (f) => f.make({ body: ({ rev: _, ...b }) => b }) },
  'a frame with a rev that is none': { as: 'frame_field', make: (f) => f.make({ body: (b) => ({ ...b, rev: 'latest' }) }) },
  'a body with keys in disorder': {
    as: 'frame_body',
    make: async (f) => (await f.make(), Buffer.concat([encode({ op: 1, t: '#commit' }), Buffer.from('a2616201616101', 'hex')])),
  },
  'a huge frame': { as: 'frame_too_large', make: (f) => f.make({ bytes: (b) => Buffer.concat([b, zeroed(5 << 20)]) }) },
  'a frame of text': { as: 'frame_text', make: (f) => f.make({ bytes: (b) => b.toString('latin1') }) },
  // #sync
  'a #sync under a foreign key': { as: 'signature_wrong', make: (f) => f.sync({ key: () => f.foreignKey() }) },
  'a #sync of the future': { as: 'rev_future', make: (f) => f.sync({ unsigned: (u) => ({ ...u, rev: farTid }) }) },
  'a #sync with a high S': { as: 'signature_high_s', make: (f) => f.sync({ commit: (c) => ({ ...c, sig: highS(c.sig, f.account.curve) }) }) },
};

// kind: a row. { bytes, verdict, forged }: forged is what must never be answered.
export async function forge(network, kind, account) {
  const forgery = new Forgery(network, account);
  const bytes = await kind.make(forgery);
  return { bytes, verdict: kind.as, forged: forgery.forged };
}
