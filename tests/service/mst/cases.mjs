// Cases made by the reference implementation, from a seed: trees of many sizes and
// shapes, each changed by commit after commit.
//
// A case is DAG-CBOR behind its length in four bytes, one of
//   {kind: "edit", before, after, ops: [{path, was, now}], proof, whole}: the trees'
//     roots, what changes (was and now are null or a CID), and two CARs of nodes:
//     the proof the reference sends with the commit, and what its way there needs
//     (or null)
//   {kind: "frame", key, frame}: a signed commit as the PDS sends it, and the key
//     it must be good under

import { createHash } from 'node:crypto';
import { TID } from '@atproto/common-web';
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { cidForLex, encode } from '@atproto/lex-cbor';
import { BlockMap, MemoryBlockstore, MST, Repo, WriteOpAction, blocksToCarFile } from '@atproto/repo';
import { MessageFrame } from '@atproto/xrpc-server';

const collections = ['app.bsky.feed.like', 'app.bsky.feed.post', 'com.example.a', 'com.example.abc'];
const nsid = 'com.atproto.sync.subscribeRepos';

export class Chance {
  constructor(random) {
    this.random = random;
  }
  below(n) {
    return Math.floor(this.random() * n);
  }
  of(list) {
    return list[this.below(list.length)];
  }
  in(n) {
    return this.below(n) === 0;
  }
}

// Keys of a tree: what most are like, and how many there may be at once.
const kinds = [
  { most: 4, key: (c) => `c/${c.below(16).toString(16)}` },
  { most: 30, key: (c) => `c/${c.below(64).toString(16)}` },
  // Each key may be the beginning of another.
  { most: 60, key: (c) => `c.d/${'ab'.slice(0, 1 + c.below(2)).repeat(1 + c.below(40))}${c.in(2) ? '' : c.below(9)}` },
  { most: 150, key: (c) => `${c.of(collections)}/${TID.fromTime(1.7e15 + c.below(300) * 7919, 7)}` },
  { most: 250, key: (c) => `${c.of(collections)}/${TID.fromTime(1.7e15 + c.below(1e9), 7)}` },
  { most: 40, key: (c) => `${c.of(collections)}/self${c.in(2) ? `~${c.below(50)}` : '.'.repeat(c.below(400))}` },
];

function layerOf(key) {
  const bits = createHash('sha256').update(key).digest().subarray(0, 4).readUInt32BE();
  return Math.floor(Math.clz32(bits) / 2);
}

// Keys of high layers are rare; a pool of them is looked for once.
function highKeys(layers) {
  const found = layers.map(() => []);
  for (let i = 0; found.some((list) => list.length < 6); i++) {
    const key = `com.example.a/${i.toString(36)}`;
    const at = layers.indexOf(layerOf(key));
    if (at >= 0) found[at].push(key);
  }
  return found.flat();
}

async function carOf(root, maps) {
  const blocks = new BlockMap();
  for (const map of maps) blocks.addMap(map);
  return blocksToCarFile(root, blocks);
}

// Without end.
export async function* edits(chance) {
  const high = highKeys([2, 3, 4, 5]);
  const values = await Promise.all(Array.from({ length: 20 }, (_, i) => cidForLex({ i })));
  const storage = new MemoryBlockstore(); // nothing is kept: trees stay in memory
  for (;;) {
    const { most, key } = chance.of(kinds);
    const someHigh = chance.in(2);
    const held = new Map();
    let tree = await MST.create(storage);
    const commits = 5 + chance.below(chance.in(3) ? 100 : 30);
    const batch = chance.in(8) ? 40 : 4; // operations of a commit at most
    for (let n = 0; n < commits; n++) {
      const ops = new Map();
      const grow = held.size === 0 ? 1 : held.size >= most ? 0 : chance.random();
      for (let left = chance.in(2) ? 1 : 1 + chance.below(batch); left > 0; left--) {
        const there = held.size && chance.random() > grow;
        const path = there ? chance.of([...held.keys()]) : someHigh && chance.in(5) ? chance.of(high) : key(chance);
        if (ops.has(path)) continue;
        const was = held.get(path) ?? null;
        const now = was && !chance.in(4) ? null : chance.of(values.filter((v) => v !== was));
        ops.set(path, { path, was, now });
      }
      const before = tree;
      for (const { path, was, now } of ops.values()) {
        if (!was) tree = await tree.add(path, now);
        else if (now) tree = await tree.update(path, now);
        else tree = await tree.delete(path);
        if (now) held.set(path, now);
        else held.delete(path);
        // An emptied tree keeps its height in memory, and gets nodes on its top that point
        // on for it; read again from its root, as each commit does, it has none.
        if (held.size === 0) tree = await MST.create(storage);
      }
      const paths = [...ops.keys()];
      const after = await tree.getPointer();
      yield encode({
        kind: 'edit',
        before: await before.getPointer(),
        after,
        ops: [...ops.values()],
        proof: await carOf(after, await Promise.all(paths.map((path) => tree.getCoveringProof(path)))),
        // Dear, so not for all.
        whole: chance.in(3) ? await carOf(after, await Promise.all(paths.map((path) => before.getCoveringProof(path)))) : null,
      });
    }
  }
}

export async function* frames(chance) {
  const keys = [await Secp256k1Keypair.create(), await P256Keypair.create()];
  for (;;) {
    const key = chance.of(keys);
    const did = `did:plc:${Array.from({ length: 24 }, () => chance.of([...'abcdefghijklmnopqrstuvwxyz234567'])).join('')}`;
    const storage = new MemoryBlockstore();
    let repo = await Repo.create(storage, did, key);
    const held = new Map();
    for (let n = 0; n < 12; n++) {
      const writes = new Map();
      for (let left = 1 + chance.below(chance.in(3) ? 30 : 3); left > 0; left--) {
        const [collection, rkey] = held.size && chance.in(2)
          ? chance.of([...held.keys()]).split('/')
          : [chance.of(collections), TID.fromTime(1.7e15 + chance.below(1e9), 7).toString()];
        const path = `${collection}/${rkey}`;
        const action = !held.has(path) ? WriteOpAction.Create : chance.in(2) ? WriteOpAction.Update : WriteOpAction.Delete;
        const record = { $type: collection, text: 'x'.repeat(chance.below(300)), n: chance.below(1e6) };
        writes.set(path, { action, collection, rkey, ...(action !== WriteOpAction.Delete && { record }) });
      }
      const commit = await repo.formatCommit([...writes.values()], key);
      const ops = [];
      for (const [path, { action, record }] of writes) {
        const cid = record ? await cidForLex(record) : null;
        ops.push({ action, path, cid, ...(held.has(path) && { prev: held.get(path) }) });
        if (cid) held.set(path, cid);
        else held.delete(path);
      }
      const body = {
        $type: `${nsid}#commit`,
        seq: n + 1,
        time: new Date().toISOString(),
        repo: did,
        commit: commit.cid,
        rev: commit.rev,
        since: commit.since,
        blocks: await carOf(commit.cid, [commit.relevantBlocks]),
        ops,
        prevData: repo.commit.data,
        rebase: false,
        tooBig: false,
        blobs: [],
      };
      yield encode({ kind: 'frame', key: key.did().slice('did:key:'.length), frame: MessageFrame.fromLexValue(body, nsid).toBytes() });
      repo = await repo.applyCommit(commit);
    }
  }
}
