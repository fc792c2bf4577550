// Writes the first seeds of the corpora, named seed-…, from the fixtures and the
// reference implementation:
//
//   scripts/node tests/fuzz/make-corpus.mjs
//
// What was found since lies beside them and is left alone.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { cidForLex, decodeAll } from '@atproto/lex-cbor';
import { MemoryBlockstore, MST, blocksToCarFile } from '@atproto/repo';

const corpus = join(import.meta.dirname, 'corpus');
const fixtures = join(import.meta.dirname, '../fixtures');
const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';

function seed(target, name, bytes) {
  mkdirSync(join(corpus, target), { recursive: true });
  writeFileSync(join(corpus, target, `seed-${name}`), bytes);
}

for (const file of readdirSync(fixtures)) {
  const bytes = readFileSync(join(fixtures, file));
  const [name, type] = file.split('.');
  if (type === 'frame') seed('event', name, bytes);
  if (type === 'frame' && /^(commit|sync)/.test(name)) {
    seed('verify', name, bytes);
    const [, { blocks }] = decodeAll(bytes);
    seed('car', name, blocks);
    if (name !== 'sync') seed('mst', name, blocks);
  }
  if (['repo-empty', 'tree-high'].includes(name)) seed('mst', name, bytes);
}

readFileSync(join(fixtures, 'records.txt'), 'utf8')
  .trim()
  .split('\n')
  .forEach((line, i) => seed('cbor', `record-${i}`, Buffer.from(line.split('\t')[0], 'hex')));
seed('cbor', 'float', Buffer.from('fb3ff8000000000000', 'hex'));

// Whole trees: of one node, of one key a node, of prefixes within each other.
const value = await cidForLex({});
const sets = {
  leaf: ['c/0', 'c/1', 'c/3'],
  small: Array.from({ length: 16 }, (_, i) => `c/${i.toString(16)}`),
  prefixes: Array.from({ length: 12 }, (_, i) => `a.b/${'x'.repeat(i + 1)}`),
};
for (const [name, keys] of Object.entries(sets)) {
  let tree = await MST.create(new MemoryBlockstore());
  for (const key of keys) tree = await tree.add(key, value);
  const { root, blocks } = await tree.getUnstoredBlocks();
  seed('mst', name, await blocksToCarFile(root, blocks));
}

const keys = [await Secp256k1Keypair.import('01'.repeat(32)), await P256Keypair.import('01'.repeat(32))];
keys.forEach((key, i) => {
  const multibase = key.did().slice('did:key:'.length);
  seed('did_doc', `multibase-${i}`, multibase);
  const doc = {
    '@context': ['https://www.w3.org/ns/did/v1'],
    id: did,
    alsoKnownAs: ['at://alice.example.com'],
    verificationMethod: [{ id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: multibase }],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://pds.example.com' }],
  };
  seed('did_doc', `document-${i}`, JSON.stringify(doc));
});
