// An account and its repo, kept and written with the reference implementation: what the simulator knows
// to be true of it. A draft is a commit that is not made yet; only apply() makes it part of the repo.

import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { encode } from '@atproto/lex-cbor';
import { BlockMap, blocksToCarFile, getFullRepo, MemoryBlockstore, MST, signCommit } from '@atproto/repo';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';

const dagCbor = 0x71;
const curves = { k256: Secp256k1Keypair, p256: P256Keypair };

export const newKey = (curve, bytes) => curves[curve].import(bytes);

export async function blockOf(bytes) {
  return { cid: CID.createV1(dagCbor, await sha256.digest(bytes)), bytes };
}

export const block = (value) => blockOf(encode(value));

export async function joined(chunks) {
  const all = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

export class Account {
  constructor({ did, handle, curve, key }) {
    Object.assign(this, { did, handle, curve, key });
    this.document = 'whole'; // 'whole', 'keyless' or 'none': what the directory has
    this.status = 'active'; // or deactivated, takendown, suspended, deleted
    this.home = true; // the DID document names this network's PDS
    this.at = 0; // … or which of them, behind a relay
    this.claims = undefined; // the handle that its DID document names, if that is not its own
    this.steals = undefined; // the handle that its own PDS says is its, and is another's
    this.records = new Map(); // path → { cid, value }, of the head
    this.gone = []; // records that were there once: { ref, uri }
    this.storage = new MemoryBlockstore();
    this.head = undefined; // { cid, rev, data, sig }
  }

  // The repo's first commit, with nothing in it.
  async init(rev) {
    this.tree = await MST.create(this.storage);
    const draft = await this.draft([], { rev });
    return this.apply(draft, await this.sign(draft));
  }

  // writes: [{ action, path, value | bytes }]; bytes stand for a record that is not as encode makes it.
  async draft(writes, { rev, tree = this.tree } = {}) {
    const blocks = new BlockMap();
    const ops = [];
    const changes = [];
    for (const { action, path, value, bytes } of writes) {
      const prev = await tree.get(path);
      let record;
      if (action !== 'delete') {
        record = bytes ? await blockOf(bytes) : await block(value);
        blocks.set(record.cid, record.bytes);
      }
      if (action === 'create') tree = await tree.add(path, record.cid);
      else if (action === 'update') tree = await tree.update(path, record.cid);
      else tree = await tree.delete(path);
      ops.push({ action, path, cid: record?.cid ?? null, ...(prev && { prev }) });
      changes.push({ path, value, cid: record?.cid });
    }
    const { root: data, blocks: nodes } = await tree.getUnstoredBlocks();
    const fresh = new BlockMap().addMap(nodes).addMap(blocks);
    for (const { path } of writes) blocks.addMap(await tree.getCoveringProof(path));
    blocks.addMap(nodes);
    const unsigned = { did: this.did, version: 3, rev, prev: null, data };
    return { unsigned, since: this.head?.rev ?? null, prevData: this.head?.data, ops, blocks, fresh, changes, tree };
  }

  sign(draft, key = this.key) {
    return signCommit(draft.unsigned, key);
  }

  async apply(draft, commit) {
    const sealed = await block(commit);
    await this.storage.putMany(draft.fresh);
    await this.storage.putBlock(sealed.cid, sealed.bytes);
    // A tree that lost its last entry keeps its height in memory, and what is added then is in wrong nodes.
    const shrunk = draft.ops.some((op) => op.action === 'delete');
    this.tree = shrunk ? MST.load(this.storage, draft.unsigned.data) : draft.tree;
    this.head = { cid: sealed.cid, bytes: sealed.bytes, rev: commit.rev, data: commit.data, sig: commit.sig };
    for (const { path, value, cid } of draft.changes) {
      const before = this.records.get(path)?.value;
      if (before?.ref && before.ref !== value?.ref) this.leave(path, before, !cid);
      if (cid) this.records.set(path, { cid: cid.toString(), value });
      else this.records.delete(path);
    }
    return this.head;
  }

  // The ref is no longer a live record's; whole: the record is gone, too.
  leave(path, { ref, $type }, whole) {
    this.gone.push({ ref, $type, ...(whole && { uri: `at://${this.did}/${path}` }) });
  }

  // The repo as getRepo sends it.
  car() {
    return joined(getFullRepo(this.storage, this.head.cid));
  }

  didDocument(origin) {
    return {
      '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
      id: this.did,
      alsoKnownAs: [`at://${this.claims ?? this.handle}`],
      verificationMethod:
        this.document === 'keyless'
          ? []
          : [
              {
                id: `${this.did}#atproto`,
                type: 'Multikey',
                controller: this.did,
                publicKeyMultibase: this.key.did().slice('did:key:'.length),
              },
            ],
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: origin }],
    };
  }
}

// Whether its PDS sends its commits.
export const isActive = (account) => account.head && account.home && account.status === 'active' && !account.unlisted;

// The message's body of a commit, before it has a sequence number. blocks: a BlockMap with the commit.
export async function commitBody(draft, commit, blocks) {
  const { cid } = await block(commit);
  return {
    repo: draft.unsigned.did,
    commit: cid,
    rev: draft.unsigned.rev,
    since: draft.since,
    ...(draft.prevData && { prevData: draft.prevData }),
    ops: draft.ops,
    blobs: [],
    blocks: await blocksToCarFile(cid, blocks),
    rebase: false,
    tooBig: false,
  };
}
