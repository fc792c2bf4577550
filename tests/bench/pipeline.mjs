// The live pipeline: a stream of true commits from memory (tests/sim/network.mjs), received, verified,
// undone, written and on disk. What counts is processor time of the whole process a commit.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../kit/child.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { median } from './table.mjs';
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
export async function sendingAlone(options) {
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
// rate: commits a second, own: bytes of memory at most }.
export async function stream(options, during = () => {}) {
  const net = await new Network().start(options);
  const refkey = new Refkey({ REFKEY_PDS_URL: net.url, REFKEY_PLC_URL: net.url });
  try {
    await refkey.start();
    await refkey.ready({ deadline: 300_000 });
    const before = await cpuSeconds(refkey.child.pid);
    let own = 0;
    let now;
    during(refkey.child.pid);
    net.go();
    const started = performance.now();
    do {
      await sleep(20);
      now = await metrics(refkey);
      own = Math.max(own, await anonymousBytes(refkey.child.pid));
    } while (now.frames_total < net.frames || now.ring_frames > 0);
    const seconds = (performance.now() - started) / 1000;
    const cpu = (await cpuSeconds(refkey.child.pid)) - before;
    if (now.commits_applied_total !== net.frames) throw new Error(`applied ${now.commits_applied_total} of ${net.frames} commits`);
    return { us: (cpu / net.frames) * 1e6, rate: net.frames / seconds, own, transactions: now.writer_commits_total };
  } finally {
    await refkey.close();
    await net.close();
  }
}

// The check of a signature alone, in microseconds, by curve.
export async function signatures() {
  const run = JSON.parse(await runTool('verify', [fixtures]));
  return { k256: run.k256.bare, p256: run.p256.bare };
}

export async function pipeline({ table, note }) {
  for (const [curve, name] of [['k256', 'k256'], ['p256', 'P-256']]) {
    const options = { repos: 500, commits: 60_000, curve };
    const runs = [];
    const bare = [];
    const alone = [];
    for (let round = 0; round < rounds; round++) {
      note(`the live stream, ${name}, round ${round + 1} of ${rounds}`);
      bare.push((await signatures())[curve]);
      alone.push(await sendingAlone(options));
      runs.push(await stream(options));
    }
    table.peer(`processor time a commit on the stream, ${name}`, {
      unit: 'µs',
      ours: runs.map((run) => run.us),
      theirs: bare,
      peer: 'its signature alone',
      most: 1.5,
    });
    const rate = median(runs.map((run) => run.rate));
    table.peer(`commits a second, ${name}`, { unit: '/s', ours: [rate], theirs: [20_000], peer: 'asked for', least: 1 });
    table.plain('  what the sender sends to who only reads', median(alone), '/s');
    table.limit(`own memory with 500 repos, ${name}`, median(runs.map((run) => run.own)) / 2 ** 20, 'MB', 64);
  }
}
