// A load for measuring: repos and a stream of true commits, made once and kept in the folder of parts as
// the bytes that go over the wire, so that sending them costs nothing.
//
//   const load = await makeLoad({ seed: 1, repos: 500, records: 20, commits: 100_000 });
//
// load.json: { repos: [{ did, handle, key, car: [from, to], head, rev, counts }], frames, bytes, from, to }.
// counts: of live records by collection after the last frame. load.bin: CARs, then WebSocket messages.

import { createHash } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BlockMap } from '@atproto/repo';
import { encodeFrame } from '../kit/firehose.mjs';
import { wireFrame } from '../kit/proxy.mjs';
import { MOOD } from '../kit/shapes.mjs';
import { Account, block, commitBody, newKey } from './account.mjs';
import { Chance } from './chance.mjs';
import { mood, POST, post } from './records.mjs';

const version = 1; // of what the files hold
export const defaults = { seed: 1, repos: 500, records: 20, commits: 60_000, ours: 0.5, bytes: 2400, curve: 'k256' };
const cacheHome = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache');
const cache = path.join(process.env.REFKEY_PARTS_DIR ?? path.join(cacheHome, 'refkey'), 'sim');

// A record that makes the commit about as large as it is to be.
function padded(chance, ours, room) {
  const value = ours ? mood(chance, { words: 'load' }) : post(chance);
  const field = ours ? 'mood' : 'text';
  const missing = room - 200;
  if (missing > 0) value[field] += ` ${chance.text(8).repeat(Math.ceil(missing / 8))}`.slice(0, missing);
  return value;
}

// One repo and its frames, whose numbers are first, first + step, …
async function makeRepo(options, index) {
  const { seed, repos, records, commits, ours, bytes, curve } = options;
  const chance = new Chance(seed * 1_000_003 + index);
  chance.us = Date.UTC(2025, 0, 1) * 1000 + index;
  const of = curve === 'mixed' ? ['k256', 'p256'][index % 2] : curve;
  const account = new Account({ did: chance.did(), handle: `${chance.text(10)}.test`, curve: of, key: await newKey(of, chance.bytes(32)) });
  await account.init(chance.tid());
  const counts = {};
  const write = (isOurs, room) => {
    const value = padded(chance, isOurs, room);
    counts[value.$type] = (counts[value.$type] ?? 0) + 1;
    return { action: 'create', path: `${value.$type}/${chance.tid()}`, value };
  };
  if (records) {
    const draft = await account.draft(Array.from({ length: records }, () => write(chance.odds(ours), 0)), { rev: chance.tid() });
    await account.apply(draft, await account.sign(draft));
  }
  const car = await account.car();
  const start = { head: `${account.head.cid}`, rev: account.head.rev };
  const frames = [];
  let room = bytes / 2;
  for (let seq = index + 1; seq <= commits; seq += repos) {
    const draft = await account.draft([write(chance.odds(ours), room)], { rev: chance.tid() });
    const signed = await account.sign(draft);
    const sealed = await block(signed);
    const body = await commitBody(draft, signed, new BlockMap().addMap(draft.blocks).set(sealed.cid, sealed.bytes));
    const wire = wireFrame(encodeFrame({ op: 1, t: '#commit' }, { ...body, seq, time: chance.time }));
    room = Math.max(0, room + (bytes - wire.length) / 4);
    frames.push(wire);
    await account.apply(draft, signed);
  }
  const { did, handle, key } = account;
  return { repo: { did, handle, key: key.did(), ...start, end: account.head.rev, counts }, car, frames };
}

// In a thread of its own: every n-th repo.
if (!isMainThread && workerData?.load) {
  const { options, from, step } = workerData;
  for (let index = from; index < options.repos; index += step) parentPort.postMessage({ index, ...(await makeRepo(options, index)) });
  parentPort.postMessage(undefined);
}

function makeAll(options, say) {
  const made = new Array(options.repos);
  const threads = Math.min(os.availableParallelism(), 4);
  let done = 0;
  return Promise.all(
    Array.from({ length: threads }, (_, from) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { load: true, options, from, step: threads } });
      return new Promise((resolve, reject) => {
        worker.on('error', reject);
        worker.on('message', (repo) => {
          if (!repo) return resolve();
          made[repo.index] = repo;
          if (++done % 50 === 0) say(`${done} of ${options.repos} repos`);
        });
      });
    }),
  ).then(() => made);
}

async function write(made, options, stem) {
  const out = createWriteStream(`${stem}.bin.new`);
  let at = 0;
  const put = async (bytes) => {
    const from = at;
    at += bytes.length;
    if (!out.write(bytes)) await new Promise((resolve) => out.once('drain', resolve));
    return [from, at];
  };
  const repos = [];
  for (const { repo, car } of made) repos.push({ ...repo, car: await put(car) });
  const from = at;
  const lengths = [];
  for (let seq = 1; seq <= options.commits; seq++) {
    const wire = made[(seq - 1) % options.repos].frames[Math.floor((seq - 1) / options.repos)];
    lengths.push(wire.length);
    await put(wire);
  }
  await new Promise((resolve) => out.end(resolve));
  await writeFile(`${stem}.json`, JSON.stringify({ ...options, repos, from, to: at, lengths }));
  await rename(`${stem}.bin.new`, `${stem}.bin`);
}

// { repos, from, to, lengths, bytes: all of load.bin }; made if it is not there.
export async function makeLoad(wanted = {}, say = () => {}) {
  const options = { ...defaults, ...wanted };
  const name = createHash('sha256').update(JSON.stringify([version, ...Object.keys(defaults).map((k) => options[k])])).digest('hex');
  const stem = path.join(cache, `load-${name.slice(0, 12)}`);
  await mkdir(cache, { recursive: true });
  if (!existsSync(`${stem}.bin`)) {
    await rm(`${stem}.bin.new`, { force: true });
    await write(await makeAll(options, say), options, stem);
  }
  const load = JSON.parse(await readFile(`${stem}.json`, 'utf8'));
  const file = await open(`${stem}.bin`);
  try {
    load.bytes = await file.readFile();
  } finally {
    await file.close();
  }
  return load;
}
