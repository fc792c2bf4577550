// Frames made from an honest one, as the account's PDS would not make them.

import { BlockMap, blocksToCarFile, readCar, signCommit } from '@atproto/repo';
import * as cbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { encodeFrame } from '../kit/firehose.mjs';
import { until } from '../kit/wait.mjs';
import { soon } from './scene.mjs';

export async function block(value) {
  const bytes = cbor.encode(value);
  return { cid: CID.createV1(cbor.code, await sha256.digest(bytes)), bytes };
}

// The frame again, its commit object changed (and so its CID, the CAR's root and the message's).
export async function recommitted({ header, body }, change) {
  const { roots, blocks } = await readCar(body.blocks);
  const [root] = roots;
  const honest = cbor.decode(blocks.get(root));
  const forged = await block(await change(honest));
  const all = new BlockMap();
  blocks.forEach((bytes, cid) => cid.equals(root) || all.set(cid, bytes));
  all.set(forged.cid, forged.bytes);
  return encodeFrame(header, { ...body, commit: forged.cid, blocks: await blocksToCarFile(forged.cid, all) });
}

const unsigned = ({ sig, ...rest }) => rest;

// … signed with another key.
export const resigned = (frame, keypair) => recommitted(frame, async (c) => signCommit(unsigned(c), keypair));

// The next commit on the stream is kept back by the proxy: what act made, and its frame.
export async function heldBack(proxy, act) {
  let frame;
  const hold = (f) => {
    frame = f;
    return [];
  };
  proxy.stream(hold, { when: (f) => f.type === '#commit', times: 1 });
  const record = await act();
  await until(() => frame, { ...soon, what: 'the frame is held back' });
  return { record, frame };
}
