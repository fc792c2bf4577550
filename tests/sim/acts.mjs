// What steps are made of: writes drawn, commits made, frames of them; whom they may befall.

import { BlockMap, blocksToCarFile } from '@atproto/repo';
import { MOOD, PAINTING } from '../kit/shapes.mjs';
import { block, commitBody, isActive } from './account.mjs';
import { POST, record } from './records.mjs';

// Creates, updates and deletes of one commit.
export function drawWrites(chance, account, most = 4) {
  const paths = [...account.records.keys()];
  const writes = new Map();
  for (let n = chance.between(1, most); n > 0; n--) {
    const action = paths.length ? chance.weighted([[6, 'create'], [2, 'update'], [2, 'delete']]) : 'create';
    if (action === 'create') {
      const collection = chance.weighted([[4, MOOD], [3, PAINTING], [3, POST]]);
      writes.set(`${collection}/${chance.tid()}`, { action, value: record(chance, collection) });
    } else {
      const path = chance.pick(paths);
      if (writes.has(path)) continue;
      const [collection] = path.split('/');
      const { ref } = account.records.get(path).value;
      const value = action === 'update' ? record(chance, collection, { ref: chance.odds(0.2) ? undefined : ref }) : undefined;
      writes.set(path, { action, value });
    }
  }
  // Deletes last: where the only record goes and others come in one commit, the reference makes a tree with
  // an empty node on top, which no reader may believe.
  const isDelete = ({ action }) => action === 'delete';
  return [...writes].map(([path, write]) => ({ path, ...write })).sort((a, b) => isDelete(a) - isDelete(b));
}

export const active = (run, fits = () => true) => [...run.accounts.values()].filter((a) => isActive(a) && a !== run.anchor && fits(a));

export const ours = (account) => [...account.records.keys()].filter((path) => !path.startsWith(POST));

export function anyActive(run, fits) {
  const all = active(run, fits);
  return all.length ? run.chance.pick(all) : undefined;
}

// Makes a commit part of the repo: its message's body.
export async function commit(run, account, writes = drawWrites(run.chance, account)) {
  const draft = await account.draft(writes, { rev: run.chance.tid() });
  const signed = await account.sign(draft);
  const sealed = await block(signed);
  const body = await commitBody(draft, signed, new BlockMap().addMap(draft.blocks).set(sealed.cid, sealed.bytes));
  await account.apply(draft, signed);
  return { ...body, time: run.chance.time };
}

export const frameOf = (run, account, body) => {
  const frame = run.host.frame('#commit', body);
  account.sent.push(frame);
  return frame;
};

export async function committed(run, account) {
  return frameOf(run, account, await commit(run, account));
}

// The head signed anew, with nothing changed, as a #sync tells it.
export async function resigned(run, account) {
  const draft = await account.draft([], { rev: run.chance.tid() });
  const { cid, bytes, rev } = await account.apply(draft, await account.sign(draft));
  const blocks = await blocksToCarFile(cid, new BlockMap().set(cid, bytes));
  return run.host.frame('#sync', { did: account.did, rev, blocks, time: run.chance.time });
}

export const identity = (run, account) => run.host.frame('#identity', { did: account.did, time: run.chance.time, handle: account.handle });

export const accountFrame = (run, account) =>
  run.host.frame('#account', {
    did: account.did,
    time: run.chance.time,
    active: account.status === 'active',
    ...(account.status !== 'active' && { status: account.status }),
  });
