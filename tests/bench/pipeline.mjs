// The live pipeline: a stream of true commits from memory (tests/sim/network.mjs), received, verified,
// undone, written and on disk. What counts is processor time of the whole process a commit.

import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../kit/child.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { median, number } from './table.mjs';
import { anonymousBytes, cpuSeconds, runTool, tool } from './tools.mjs';

const network = fileURLToPath(new URL('../sim/network.mjs', import.meta.url));
const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url));
const rounds = 3;

// A network in a process of its own; its frames are held until go().
class Network {
  async start(options) {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    const command = [process.execPath, '--no-warnings', network, ...args];
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the network did not start');
    Object.assign(this, JSON.parse(value));
    return this;
  }

  go() {
    this.child.stdin.write('go\n');
  }

  async close() {
    this.child.stdin.end('end\n');
    await this.ended;
  }
}

// Frames a second that a client takes which only reads.
async function sendingAlone(options) {
  const net = await new Network().start(options);
  const client = new Child('drain', [tool('drain'), new URL(net.url).port, `${net.bytes}`]);
  await client.ready(() => client.lines.includes('ready'));
  net.go();
  await client.end;
  await net.close();
  return net.frames / Number(client.lines[1].split(' ')[0]);
}

// { name: value } of /metrics, without what has labels.
async function metrics(refkey) {
  const { body } = await refkey.get('/metrics');
  return Object.fromEntries([...body.matchAll(/^refkey_(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
}

// Everything that is sent, from the first frame to what is on disk: { us: of processor time a commit,
// rate: commits a second, own: bytes of memory at most, from the start on }.
async function stream(options, settings = {}) {
  const net = await new Network().start(options);
  const refkey = new Refkey({ REFKEY_PDS_URL: net.url, REFKEY_PLC_URL: net.url, ...settings });
  let own = 0;
  const look = async () => (own = Math.max(own, await anonymousBytes(refkey.child.pid)));
  try {
    await refkey.start();
    const looking = setInterval(() => look().catch(() => {}), 50);
    await refkey.ready({ deadline: 300_000 }).finally(() => clearInterval(looking));
    const { repos } = (await refkey.xrpc('getStatus')).body;
    const before = await cpuSeconds(refkey.child.pid);
    let now;
    net.go();
    const started = performance.now();
    do {
      await sleep(20);
      now = await metrics(refkey);
      await look();
    } while (now.frames_total < net.frames || now.ring_frames > 0);
    const seconds = (performance.now() - started) / 1000;
    const cpu = (await cpuSeconds(refkey.child.pid)) - before;
    if (now.commits_applied_total !== net.frames) throw new Error(`applied ${now.commits_applied_total} of ${net.frames} commits`);
    return { us: (cpu / net.frames) * 1e6, rate: net.frames / seconds, own, repos, bytes: net.bytes / net.frames };
  } finally {
    await refkey.close();
    await net.close();
  }
}

// The check of a signature alone, in microseconds by curve: of one again and again (verify.c), and of many
// different ones on all cores at once (signatures.c), as the stream has them.
async function signatures() {
  const again = JSON.parse(await runTool('verify', [fixtures]));
  const cores = Array.from({ length: os.availableParallelism() }, () => runTool('signatures', []));
  const many = (await Promise.all(cores)).map((text) => JSON.parse(text));
  const of = (curve) => ({ again: again[curve].bare, many: median(many.map((run) => run[curve])) });
  return { k256: of('k256'), p256: of('p256') };
}

// Processor time a commit by how many repos there are, all of them equally busy (commits.c).
async function byRepos({ table, note, root }) {
  for (const repos of [1_000, 10_000, 100_000]) {
    const name = repos.toLocaleString('en-US');
    const dir = path.join(root, `commits-${repos}`);
    note(`commits of ${name} repos`);
    await mkdir(dir, { mode: 0o700 });
    const { rounds: each } = JSON.parse(await runTool('commits', [fixtures, dir, `${repos}`]));
    const [read, written] = [0, 1].map((part) => median(each.map((round) => round[part])));
    table.plain(`processor time a commit, ${name} repos`, read + written, 'µs', `${number(written)} µs of it to write it`);
  }
}

// … and by the records of a repo. The load is made by the reference implementation, which takes its time.
async function byRecords({ table, note }) {
  for (const records of [20, 1_000]) {
    const name = records.toLocaleString('en-US');
    note(`commits of repos of ${name} records`);
    const runs = [];
    for (let round = 0; round < rounds; round++) runs.push(await stream({ repos: 16, records, commits: 8000 }));
    const bytes = median(runs.map((run) => run.bytes));
    table.plain(`processor time a commit, repos of ${name} records`, median(runs.map((run) => run.us)), 'µs', `${number(bytes)} bytes a frame`);
  }
}

// A whole service that knows a million DIDs: its start, which compares them all, and the stream of 500 more.
async function known({ table, note, root }) {
  const count = 1_000_000;
  const dir = path.join(root, 'known');
  const listed = path.join(root, 'known.txt');
  note('an index of 1,000,000 DIDs');
  await mkdir(dir, { mode: 0o700 });
  await writeFile(listed, await runTool('known', [dir, `${count}`]));
  note('a service on it');
  const { own, repos } = await stream({ repos: 500, commits: 60_000, listed }, { REFKEY_DATA_DIR: dir });
  if (repos !== count + 500) throw new Error(`${repos} DIDs are known`);
  table.limit('own memory with 1,000,000 known DIDs, under load', own / 2 ** 20, 'MB', 200);
}

export async function pipeline({ table, note, root }) {
  for (const [curve, name] of [
    ['k256', 'k256'],
    ['p256', 'P-256'],
  ]) {
    const options = { repos: 500, commits: 60_000, curve };
    const runs = [];
    const checks = [];
    const alone = [];
    for (let round = 0; round < rounds; round++) {
      note(`the live stream, ${name}, round ${round + 1} of ${rounds}`);
      checks.push((await signatures())[curve]);
      alone.push(await sendingAlone(options));
      runs.push(await stream(options));
    }
    const ours = runs.map((run) => run.us);
    table.peer(`processor time a commit on the stream, ${name}`, {
      unit: 'µs',
      ours,
      theirs: checks.map((check) => check.again),
      peer: 'one signature, again and again',
      most: 1.5,
    });
    table.peer('', { unit: 'µs', ours, theirs: checks.map((check) => check.many), peer: 'different ones, on all cores', most: 1.5 });
    table.peer(`commits a second, ${name}`, { unit: '/s', ours: [median(runs.map((run) => run.rate))], theirs: [20_000], peer: 'asked for', least: 1 });
    table.plain('  sent to a client that only reads', median(alone), '/s');
    table.limit(`own memory with 500 repos under it, ${name}`, median(runs.map((run) => run.own)) / 2 ** 20, 'MB', 64);
  }
  await known({ table, note, root });
  await byRecords({ table, note });
  await byRepos({ table, note, root });
}
