// From a record's creation on a real PDS to its answer by getByRef, counted from the arrival of its
// frame at a bare WebSocket client (latency.c). With recovery to MongoDB, which adds writes to the
// index, and without.

import { spawn } from 'node:child_process';
import { startMongo } from '../kit/mongo.mjs';
import { startNetwork } from '../kit/pds.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { number, quantile } from './table.mjs';
import { tool } from './tools.mjs';

const people = 10;
const rounds = 2;
const records = 500; // of one variant in one round
const every = 40; // milliseconds; a PDS that is idle sends late, one that is busy disturbs

export async function latency({ table, note }) {
  const net = await startNetwork();
  const mongo = await startMongo();
  try {
    const accounts = [];
    for (let i = 0; i < people; i++) accounts.push(await net.account(`writer${i}.test`));
    for (const { did, handle } of accounts) await mongo.user({ _id: `auth0|${handle}`, handle, did });
    const settings = { REFKEY_PDS_URL: net.pds.url, REFKEY_PLC_URL: net.plc.url };
    const variants = [
      { name: 'with recovery', refkey: new Refkey({ ...settings, ...mongo.settings }), us: [], asking: [] },
      { name: 'queries only', refkey: new Refkey(settings), us: [], asking: [] },
    ];
    for (let round = 0; round < rounds; round++) {
      for (const variant of variants) {
        note(`latency, ${variant.name}, round ${round + 1} of ${rounds}`);
        await measure(variant, net.pds, accounts);
      }
    }
    for (const { name, us, asking, refkey } of variants) {
      for (const [q, limit] of [[0.5, 5], [0.99, 25]]) {
        const note = `asking: ${number(quantile(asking, q) / 1000)} ms`;
        table.limit(`record to answer, ${name}, p${q * 100}`, quantile(us, q) / 1000, 'ms', limit, note);
      }
      await refkey.close();
    }
  } finally {
    await mongo.close();
    await net.stop();
  }
}

async function measure(variant, pds, accounts) {
  const { refkey } = variant;
  await refkey.start();
  await refkey.ready();
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', tool('latency'), `${pds.port}`, new URL(refkey.url).port, `${records}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  const ready = new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text;
      if (out.startsWith('ready\n')) resolve();
    });
    child.once('close', (code) => reject(new Error(`bench_latency ended with ${code}`)));
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await ready;
  await write(pds, accounts);
  if ((await ended) !== 0) throw new Error('bench_latency failed');
  for (const line of out.trim().split('\n').slice(1)) {
    const [us, asking] = line.split(' ').map(Number);
    variant.us.push(us);
    variant.asking.push(asking);
  }
  await refkey.stop();
}

// One record every few milliseconds, each account's one after the other.
async function write(pds, accounts) {
  const last = accounts.map(() => Promise.resolve());
  const start = performance.now();
  for (let i = 0; i < records; i++) {
    const wait = start + i * every - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const n = i % accounts.length;
    const record = moodRecord({ mood: `number ${i}`, ref: objectId() });
    last[n] = last[n].then(() => pds.createRecord(accounts[n], MOOD, record));
  }
  await Promise.all(last);
}
