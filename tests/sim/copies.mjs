// Wrong answers to getRepo: the verdict each must get, or none where it is no copy at all. After each one
// the repo is asked for again and the answer is true.

import { BlockMap, blocksToCarFile } from '@atproto/repo';
import { block, newKey } from './account.mjs';
import { mood } from './records.mjs';

// Every block of the repo, the commit too: { root, blocks }.
async function wholeOf(account) {
  const blocks = new BlockMap().set(account.head.cid, account.head.bytes);
  for await (const { cid, bytes } of account.tree.carBlockStream()) blocks.set(cid, bytes);
  return { root: account.head.cid, blocks };
}

const car = ({ root, blocks }) => blocksToCarFile(root, blocks);

const status = (code, headers = {}) => (account, chance, res) => {
  res.writeHead(code, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify({ error: 'Fault', message: 'not now' }));
};

// make: (account, chance, res, forged) → the CAR, or nothing if it answered by itself.
export const copies = {
  'a repo under a foreign key': {
    as: 'signature_wrong',
    make: async (account, chance, res, forged) => {
      const value = mood(chance, { words: 'forged' });
      const path = `${value.$type}/${chance.tid()}`;
      forged.push({ ref: value.ref, uri: `at://${account.did}/${path}` });
      const draft = await account.draft([{ action: 'create', path, value }], { rev: chance.tid() });
      const { blocks } = await wholeOf(account);
      const sealed = await block(await account.sign(draft, await newKey(account.curve, chance.bytes(32))));
      return car({ root: sealed.cid, blocks: blocks.addMap(draft.blocks).set(sealed.cid, sealed.bytes) });
    },
  },
  'a repo cut short': { as: 'car_malformed', make: async (account) => (await account.car()).subarray(0, -1) },
  'a repo without its tree': {
    as: 'tree_missing',
    make: async (account) => {
      const whole = await wholeOf(account);
      whole.blocks.delete(account.head.data);
      return car(whole);
    },
  },
  'a repo with a bit turned': {
    as: 'block_cid',
    make: async (account) => {
      const whole = await wholeOf(account);
      const bytes = Uint8Array.from(whole.blocks.get(account.head.data));
      bytes[bytes.length - 1] ^= 1;
      whole.blocks.set(account.head.data, bytes);
      return car(whole);
    },
  },
  'an error': { make: status(500) },
  'a request to come later': { make: status(429, { 'retry-after': '1' }) },
  'a connection that ends': { make: (account, chance, res) => void res.destroy() },
  'half an answer': {
    make: async (account, chance, res) => {
      const bytes = await account.car();
      res.writeHead(200, { 'content-type': 'application/vnd.ipld.car', 'content-length': bytes.length });
      res.write(bytes.subarray(0, bytes.length >> 1), () => res.destroy());
    },
  },
  // Last: it takes an account of which refkey has more.
  'an older repo': { as: 'rev_older', make: (account) => account.oldCar },
};
