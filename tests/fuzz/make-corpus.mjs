// Writes the first seeds of the corpora, named seed-…, from the fixtures and the
// reference implementation:
//
//   scripts/node tests/fuzz/make-corpus.mjs
//
// What was found since lies beside them and is left alone.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { cidForLex, decodeAll, encode } from '@atproto/lex-cbor';
import { jsonToLex } from '@atproto/lex-json';
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
const leaf = await cidForLex({});
const sets = {
  leaf: ['c/0', 'c/1', 'c/3'],
  small: Array.from({ length: 16 }, (_, i) => `c/${i.toString(16)}`),
  prefixes: Array.from({ length: 12 }, (_, i) => `a.b/${'x'.repeat(i + 1)}`),
};
for (const [name, keys] of Object.entries(sets)) {
  let tree = await MST.create(new MemoryBlockstore());
  for (const key of keys) tree = await tree.add(key, leaf);
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

// What a PDS says: bytes on a socket, and answers as pds.c in this folder has them.
const page = JSON.stringify({
  cursor: 'c',
  repos: [{ did, head: 'bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75nldvfd4tucqmqqme5yje', rev: '3jzfcijpj2z2a', active: false, status: 'takendown' }],
});
const error = (name) => JSON.stringify({ error: name, message: 'no' });
const http = {
  ok: ['200 OK', ['Content-Type: application/json; charset=utf-8', `Content-Length: ${page.length}`], page],
  chunked: ['200 OK', ['Transfer-Encoding: chunked'], `4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n`],
  unbounded: ['200 OK', ['Content-Type: text/plain'], 'x'.repeat(700)],
  large: ['200 OK', ['Content-Length: 99999999999'], 'x'],
  retry: ['429 Too Many', ['Retry-After: 7', 'RateLimit-Remaining: 0', 'RateLimit-Reset: 1800000000'], error('RateLimitExceeded')],
  date: ['503 Unavailable', ['Retry-After: Fri, 31 Dec 2027 23:59:59 GMT', 'Content-Length: 0'], ''],
  moved: ['302 Found', ['Location: http://127.0.0.1/', 'Content-Length: 0'], ''],
};
for (const [name, [status, headers, body]] of Object.entries(http)) {
  seed('http', name, `HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${body}`);
}
seed('http', 'continue', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n');
seed('pds', 'pages', [`200 -1 -1\n${page}`, `200 -1 -1\n${page.replace('"c"', '"d"')}`, '200 -1 -1\n{"repos":[]}'].join('\0'));
seed('pds', 'did', `200 -1 -1\n${JSON.stringify({ did })}`);
for (const name of ['RepoNotFound', 'RepoDeactivated', 'InvalidRequest']) seed('pds', name, `400 -1 -1\n${error(name)}`);
seed('pds', 'later', `429 -1 1800000000\n${error('RateLimitExceeded')}`);
seed('pds', 'retry', '503 120000 -1\n<html>');
for (let i = 0; i < 8; i++) seed('pds', `failure-${i}`, `${i} 503`);

// WebSocket. The first byte of frames is the size of their pieces.
const upgrade = [
  'HTTP/1.1 101 Switching Protocols',
  'Upgrade: websocket',
  'Connection: keep-alive, Upgrade',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
];
seed('ws_upgrade', 'answer', `${upgrade.join('\r\n')}\r\n\r\n`);
seed('ws_upgrade', 'extension', `${upgrade.join('\r\n')}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`);
seed('ws_upgrade', 'url', 'wss://relay.example.com:8443/xrpc/com.atproto.sync.subscribeRepos?cursor=5');
const frame = (head, body, length = [body.length]) => Buffer.from([head, ...length, ...Buffer.from(body)]);
const text = 'y'.repeat(200);
const frames = {
  binary: [frame(0x82, 'abc')],
  long: [frame(0x82, text, [126, 0, 200])],
  fragments: [frame(0x02, 'ab'), frame(0x89, 'ping'), frame(0x00, text, [126, 0, 200]), frame(0x80, text, [126, 0, 200])],
  huge: [frame(0x82, '', [127, 0, 0, 0, 0, 1, 0, 0, 0])],
  close: [frame(0x81, 'hi'), frame(0x88, '\x03\xe8bye'), frame(0x82, 'late')],
  pong: [frame(0x8a, '12345678')],
};
for (const [name, parts] of Object.entries(frames)) seed('ws_frames', name, Buffer.concat([Buffer.from([3]), ...parts]));

// Queries, cursors, identifiers, records.
const mood = 'computer.aesthetic.mood';
const queries = {
  ref: 'ref=507f1f77bcf86cd799439011&collection=computer.aesthetic.mood',
  rkey: `repo=${did}&collection=${mood}&rkey=3jzfcijpj2z2a`,
  handle: 'repo=alice.example.com&rkey=self',
  resolve: `refs=507f1f77bcf86cd799439011&refs=a%20b&uris=at%3A%2F%2F${encodeURIComponent(did)}%2F${mood}%2F3jzfcijpj2z2a`,
  list: `collection=${mood}&limit=50&since=2026-01-02T03:04:05.678Z&until=2027-01-01T00:00:00Z&reverse=true&cursor=abc`,
  painting: 'code=abc&slug=a+b%C3%BC',
};
for (const [name, query] of Object.entries(queries)) seed('params', name, query);
seed('page_cursor', 'position', Buffer.concat([Buffer.from([5]), Buffer.from('query'), Buffer.alloc(25, 7)]));
const syntax = {
  did,
  'did-web': 'did:web:localhost%3A8080',
  handle: 'alice.example.com',
  nsid: 'com.atproto.sync.subscribeRepos',
  uri: `at://${did}/${mood}/3jzfcijpj2z2a`,
  tid: '3jzfcijpj2z2a',
  datetime: '1985-04-12T23:20:50.123456Z',
  offset: '2024-02-29T23:59:60.5-01:30',
  oid: '507f1f77bcf86cd799439011',
  language: 'sl-rozaj-biske-1994-x-a',
  origin: 'https://PDS.example.com:443',
};
for (const [name, value] of Object.entries(syntax)) seed('syntax', name, value);
const records = {
  mood: { $type: mood, ref: '507f1f77bcf86cd799439011', mood: 'fine', when: '2026-01-02T03:04:05.678Z' },
  painting: {
    $type: 'computer.aesthetic.painting',
    ref: 'a',
    code: 'abc',
    slug: 'image:recording',
    when: '2026-01-02T03:04:05.678Z',
    imageUrl: 'https://example.com/a.png',
    thumbnail: { $type: 'blob', ref: { $link: 'bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy' }, mimeType: 'image/png', size: 9 },
  },
};
for (const [name, record] of Object.entries(records)) {
  seed('data', name, JSON.stringify(record));
  seed('record', name, encode(jsonToLex(record)));
}
seed('data', 'kinds', '{"a":[1,-5,1.0,true,null,{"$bytes":"AQID"},"\\u0000ü"],"10":{},"9":[]}');

// The index: damages, see index.c and values.c in this folder.
for (let kind = 0; kind < 6; kind++) {
  const tables = Array.from({ length: 13 }, (_, table) => [table, kind, kind, 3 * table, 4, 0xff]);
  seed('index', `kind-${kind}`, Buffer.from(tables.flat()));
}
const value = (key, bytes) => Buffer.concat([Buffer.from([key.length]), Buffer.from(key), Buffer.from(bytes)]);
const key5 = [0, 0, 0, 1, 0, 0x61];
const fill = (n, byte = 0) => Array(n).fill(byte);
seed('values', 'repo', value([], [1, 0, 3, ...Buffer.from('did'), ...fill(8), ...fill(36, 5), 1, 0, 0, 0, ...fill(8), 2, ...fill(8)]));
seed('values', 'identity', value([], [1, 1, 0x61, 0, 1, 0x62, 1, ...fill(33, 2), ...fill(8), 0]));
seed('values', 'record', value(key5, [1, ...fill(36, 5), 0, 1, ...fill(4), 1, ...fill(24), 1, 0x61, 0, 0, 0, 0, 0, 0, 0, 2, 0x7b, 0x7d]));
seed('values', 'pending', value([0x52, ...key5], [1, 0, ...fill(8), ...fill(8), ...fill(4), 0, 0]));
seed('values', 'gone', value([0x47, 1, 0x61, ...key5], [1, 1, ...fill(8), ...fill(8), ...fill(4), 0, 0]));
seed('values', 'issue', value([3, 0x52, ...key5], [1, 0, 0, 0, 1, 0, ...fill(8), 0, 1, 0x61, 1, 0x62, 0, 1, 0x63]));
seed('values', 'counts', value([], [1, 0, 0, 0, 2, ...fill(8), ...fill(24), 2, ...fill(16), 12, ...fill(96)]));
