// A bare firehose client, and frames taken apart and made as the reference
// implementation does it. A frame is two CBOR items, a header and a body, in one
// binary message. What the reference PDS sends (seen; the first seq is 1):
//
// A new account is four frames:
//   {t: "#identity", op: 1} {did, seq, time, handle}
//   {t: "#account", op: 1}  {did, seq, time, active: true}
//   {t: "#commit", op: 1}   {ops: [], rev, seq, repo, time, blobs: [], since: null,
//     blocks, commit, rebase: false, tooBig: false}; there is no prevData at all, and
//     the CAR has two blocks: the empty tree's node (7 bytes) and the commit (188)
//   {t: "#sync", op: 1}     {did, rev, seq, time, blocks}, the commit block alone
// A record: #commit with since: the rev before, prevData: the tree's root before,
//   ops: [{action, path, cid, prev?}]; update has cid and prev, delete has
//   cid: null and prev. Blocks: commit, record and the nodes on the paths.
// Account states: #account {did, seq, time, active: false, status: "deactivated" |
//   "takendown" | "deleted"}. Activation is #account, #identity and #sync; the end
//   of a takedown is #account alone. Deleting an account erases its earlier events
//   from the sequence: a consumer that was behind sees a gap, and only "deleted".
// Cursor outside the replay window: {t: "#info", op: 1} {name: "OutdatedCursor",
//   message: "Requested cursor exceeded limit. Possibly missing events"}, then what
//   the window has.
// Cursor above the last seq: {op: -1} {error: "FutureCursor", message: "Cursor in the
//   future."}, then a close frame 1008 with reason "FutureCursor".

import { decodeAll, encode } from '@atproto/lex-cbor';
import { readCar } from '@atproto/repo';
import WebSocket from 'ws';
import { patience, until, within } from './wait.mjs';

export function decodeFrame(bytes) {
  const [header, body, ...rest] = decodeAll(new Uint8Array(bytes));
  if (!body || rest.length) throw new Error('not two CBOR items');
  return { header, body, type: header.op === -1 ? 'error' : header.t };
}

export function encodeFrame(header, body) {
  return Buffer.concat([encode(header), encode(body)]);
}

// The blocks of a #commit or #sync: { roots, blocks: BlockMap }.
export function frameBlocks(body) {
  return readCar(body.blocks);
}

export class Firehose {
  // cursor: undefined is "from now on".
  static async open(pdsUrl, { cursor } = {}) {
    const query = cursor === undefined ? '' : `?cursor=${cursor}`;
    const ws = new WebSocket(`${pdsUrl.replace(/^http/, 'ws')}/xrpc/com.atproto.sync.subscribeRepos${query}`, {
      perMessageDeflate: false,
    });
    const hose = new Firehose(ws);
    await within(patience, 'firehose opened', hose.opened);
    return hose;
  }

  constructor(ws) {
    this.ws = ws;
    this.frames = []; // { at, bytes, header, body, type } in order of arrival; `at` is performance.now()
    this.onframe = undefined;
    this.closed = false;
    this.opened = new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
    });
    ws.on('error', () => {});
    ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    ws.on('message', (bytes) => {
      const frame = { at: performance.now(), bytes, ...decodeFrame(bytes) };
      this.frames.push(frame);
      this.onframe?.(frame);
    });
  }

  get lastSeq() {
    return this.frames.findLast((f) => f.body.seq !== undefined)?.body.seq;
  }

  // The first frame, past or to come, that fits.
  find(fits, options = {}) {
    return until(() => this.frames.find(fits), { what: 'a frame that fits', ...options });
  }

  close() {
    this.ws.terminate();
  }
}
