// getByRef against a bare h2o handler that returns the same bytes, both with one thread, in turn; what a
// lookup costs inside the store; and what a service on a large index takes.

import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { Refkey } from '../kit/refkey.mjs';
import { anonymousBytes, cpuSeconds, makeIndex, pin, runTool, startBareServer, startSource, wrk } from './tools.mjs';
import { median } from './table.mjs';

const rounds = 5;
const seconds = 4;
const prefix = '/xrpc/computer.aesthetic.refkey.';

export async function queries({ table, note, root }) {
  note('making the indexes of 3,000, 100,000 and 1,000,000 records');
  const small = await makeIndex(root, 'small', { records: 3000, repos: 100, samples: 3000 });
  const middle = await makeIndex(root, 'middle', { records: 100_000, repos: 300, samples: 100_000 });
  const large = await makeIndex(root, 'large', { records: 1_000_000, repos: 1000, samples: 100_000 });
  await throughput({ table, note }, small, '3,000 records');
  await throughput({ table, note }, large, '1,000,000 records');
  await lookups({ table, note }, [small, middle, large]);
  await service({ table, note }, large);
}

async function serve(index, settings) {
  const source = await startSource(index);
  const refkey = new Refkey({ REFKEY_PDS_URL: source.url, REFKEY_DATA_DIR: index.dir, ...settings });
  const began = performance.now();
  await refkey.start();
  await refkey.ready();
  return {
    refkey,
    readyMs: performance.now() - began,
    close: async () => {
      await refkey.stop();
      await source.close();
    },
  };
}

async function pathsFile(index) {
  const file = `${index.dir}.paths`;
  await writeFile(file, index.refs.map(({ ref }) => `${prefix}getByRef?ref=${ref}\n`).join(''));
  return file;
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });

// Status line and headers as they are, and the body.
function ask(url) {
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (res) => {
      let body = '';
      res.setEncoding('utf8').on('data', (text) => (body += text));
      res.on('end', () => resolve({ head: `${res.statusCode} ${res.rawHeaders.join(' ')}`, body }));
    }).once('error', reject);
  });
}

async function askAll(urls) {
  const answers = [];
  for (let i = 0; i < urls.length; i += 256) answers.push(...(await Promise.all(urls.slice(i, i + 256).map(ask))));
  return answers;
}

async function throughput({ table, note }, index, name) {
  const paths = await pathsFile(index);
  const { refkey, close } = await serve(index, { REFKEY_THREADS: '1' });
  note(`getByRef, ${name}, the answers`);
  const answers = await askAll(index.refs.map(({ ref }) => `${refkey.url}${prefix}getByRef?ref=${ref}`));
  const bare = await startBareServer(answers.map(({ body }) => body));
  const first = await ask(bare.url);
  if (first.body !== answers[0].body || first.head.length !== answers[0].head.length)
    throw new Error(`the bare handler answers otherwise:\n${first.head}\n${answers[0].head}`);
  pin(refkey.child.pid, 0);
  pin(bare.pid, 0);
  const ours = { pid: refkey.child.pid, url: refkey.url, rate: [], us: [] };
  const theirs = { pid: bare.pid, url: bare.url, rate: [], us: [] };
  for (const side of [theirs, ours]) await wrk(side.url, paths, seconds); // maps the pages of the index, too
  for (let round = 0; round < rounds; round++) {
    note(`getByRef, ${name}, round ${round + 1} of ${rounds}`);
    for (const side of round % 2 ? [ours, theirs] : [theirs, ours]) {
      const before = await cpuSeconds(side.pid);
      const result = await wrk(side.url, paths, seconds);
      if (result.failed) throw new Error(`${result.failed} of ${result.requests} requests failed`);
      side.rate.push(result.requests / result.seconds);
      side.us.push((((await cpuSeconds(side.pid)) - before) * 1e6) / result.requests);
    }
  }
  table.peer(`getByRef, ${name}`, { unit: '/s', ours: ours.rate, theirs: theirs.rate, peer: 'bare h2o', least: 0.7 });
  table.peer('  processor time a request', { unit: 'µs', ours: ours.us, theirs: theirs.us, peer: 'bare h2o' });
  await bare.close();
  await close();
}

async function lookups({ table, note }, indexes) {
  note('lookups in the store');
  const out = await runTool('lookup', [`${rounds * 2}`, '100000', ...indexes.flatMap(({ dir, refsFile }) => [dir, refsFile])]);
  const lines = out.trim().split('\n').map((line) => line.split(' ').map(Number));
  const ns = indexes.map((_, i) => lines.map((line) => line[i]));
  for (let i = 1; i < indexes.length; i++) {
    const [name, peer] = [indexes[i], indexes[0]].map(({ records }) => `${records.toLocaleString('en-US')} records`);
    table.peer(`lookup in the store, ${name}`, { unit: 'ns', ours: ns[i], theirs: ns[0], peer });
  }
}

// Has the kernel forget what it holds of a file.
function forget(file) {
  spawnSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
}

async function service({ table, note }, index) {
  const starts = { cold: [], warm: [] };
  for (let round = 0; round < rounds; round++) {
    note(`start on 1,000,000 records, round ${round + 1} of ${rounds}`);
    for (const kind of ['cold', 'warm']) {
      if (kind === 'cold') forget(path.join(index.dir, 'data.mdb'));
      const { readyMs, close } = await serve(index);
      starts[kind].push(readyMs / 1000);
      await close();
    }
  }
  table.limit('start to ready, 1,000,000 records', median(starts.warm), 's', 2);
  table.limit('  with nothing of the index cached', median(starts.cold), 's', 2);

  note('memory on 1,000,000 records');
  const { refkey, close } = await serve(index);
  await wrk(refkey.url, `${index.dir}.paths`, seconds);
  for (let i = 0; i < 200; i++) {
    await refkey.xrpc('listRecords', { collection: index.refs[i].collection, limit: 100 });
    await refkey.xrpc('resolve', { refs: index.refs.slice(i * 100, i * 100 + 100).map(({ ref }) => ref) });
  }
  table.limit('memory besides the page cache', (await anonymousBytes(refkey.child.pid)) / 2 ** 20, 'MiB', 64);
  await close();
  table.peer('disk a record', {
    unit: 'bytes',
    ours: [index.file / index.records],
    theirs: [index.json / index.records],
    peer: "the record's JSON",
  });
}
