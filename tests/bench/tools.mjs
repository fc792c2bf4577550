// What the benches share: the C tools, indexes made by them, a source for those indexes, wrk.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WebSocketServer } from 'ws';
import { binary } from '../kit/refkey.mjs';
import { median } from './table.mjs';

const run = promisify(execFile);
const most = { maxBuffer: 1 << 28 };

export const tool = (name) => path.join(path.dirname(binary), 'tests/bench', `bench_${name}`);

export const runTool = async (name, args) => (await run(tool(name), args, most)).stdout;

// An index under `root`, made by fill.c: { dir, records, repos: [{ did, rev }], refs: [{ collection,
// ref }], refsFile, space: { file, used, json } }.
export async function makeIndex(root, name, { records, repos, samples, state = 'linked', moods = false }) {
  const dir = path.join(root, name);
  await mkdir(dir, { mode: 0o700 });
  const out = await runTool('fill', [dir, `${records}`, `${repos}`, `${samples}`, state, ...(moods ? ['moods'] : [])]);
  const index = { dir, records, repos: [], refs: [], refsFile: path.join(root, `${name}.refs`) };
  for (const line of out.split('\n')) {
    const [kind, ...words] = line.split(' ');
    if (kind === 'repo') index.repos.push({ did: words[0], rev: words[1] });
    if (kind === 'ref') index.refs.push({ collection: words[0], ref: words[1] });
    if (kind === 'space') [index.file, index.used, index.json] = words.map(Number);
  }
  await writeFile(index.refsFile, index.refs.map(({ collection, ref }) => `${collection} ${ref}\n`).join(''));
  return index;
}

// A source that lists the repos of an index as the index has them, and whose stream is silent.
export async function startSource(index) {
  const head = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
  const server = http.createServer((req, res) => {
    const url = new URL(req.url, 'http://source');
    if (url.pathname !== '/xrpc/com.atproto.sync.listRepos') return res.writeHead(404).end();
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? 500);
    const repos = index.repos.slice(from, from + limit).map((repo) => ({ ...repo, head, active: true }));
    const cursor = from + limit < index.repos.length ? `${from + limit}` : undefined;
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ repos, cursor }));
  });
  const sockets = new WebSocketServer({ server, path: '/xrpc/com.atproto.sync.subscribeRepos' });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// Where there are several cores, what is measured has one of its own and wrk another.
export const apart = os.availableParallelism() > 1;

export function pin(pid, core) {
  if (apart) execFileSync('taskset', ['-a', '-cp', `${core}`, `${pid}`], { stdio: 'ignore' });
}

const lua = fileURLToPath(new URL('random.lua', import.meta.url));

// GETs of the paths in a file for so many seconds: { requests, seconds, failed }.
export async function wrk(url, paths, seconds) {
  const command = ['wrk', '-t1', '-c64', `-d${seconds}s`, '-s', lua, url, '--', paths];
  if (apart) command.unshift('taskset', '-c', '1');
  const { stdout } = await run(command[0], command.slice(1));
  const [, requests, us, failed] = stdout.match(/^RESULT (\d+) (\d+) (\d+)$/m).map(Number);
  return { requests, seconds: us / 1e6, failed };
}

// Processor seconds of a process: its own, and those of its children that have ended.
async function processor(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { own: (Number(fields[11]) + Number(fields[12])) / 100, ended: (Number(fields[13]) + Number(fields[14])) / 100 };
}

// Processor seconds that a process has used.
export const cpuSeconds = async (pid) => (await processor(pid)).own;

// What a run cost the processor, in milliseconds for each of its `count`: both servers, and the commands that ended
// in it with all that they had started. { value: what work gave, pds, mongo, commands }
export async function costs({ pds, mongo }, count, work) {
  const now = async () => ({
    pds: await cpuSeconds(pds.child.pid),
    mongo: mongo.child ? await cpuSeconds(mongo.child.pid) : 0,
    commands: (await processor(process.pid)).ended,
  });
  const before = await now();
  const value = await work();
  const after = await now();
  return { value, ...Object.fromEntries(Object.keys(after).map((name) => [name, ((after[name] - before[name]) * 1000) / count])) };
}

// The same for the table: `ours` and `theirs` are the costs of each round, theirs of what the bare peer does.
export function costRows(table, noun, { ours, theirs, peer }) {
  const of = (all, name) => all.map((one) => one[name]);
  table.peer(`  processor time of the PDS, a ${noun}`, { unit: 'ms', ours: of(ours, 'pds'), theirs: of(theirs, 'pds'), peer });
  table.plain('  ... of refkey', median(of(ours, 'commands')), 'ms');
  // A server elsewhere has processors of its own.
  if (of(ours, 'mongo').some((ms) => ms > 0)) table.plain('  ... of the MongoDB server', median(of(ours, 'mongo')), 'ms', 'none in the bare run');
}

// Resident memory besides what is mapped from files, in bytes.
export async function anonymousBytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(status.match(/^RssAnon:\s+(\d+) kB$/m)[1]) * 1024;
}

// The most that this process's descendants of some names had of it together, looked at while work goes on.
export async function peakAnonymousBytes(names, work) {
  let most = 0;
  let going = true;
  const ended = work().finally(() => (going = false));
  while (going) {
    const parents = new Map();
    const bytes = new Map();
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      parents.set(pid, Number(status.match(/^PPid:\s+(\d+)$/m)?.[1] ?? 0));
      // The kernel keeps 15 characters of a name.
      const name = status.match(/^Name:\s+(.+)$/m)?.[1];
      if (names.some((one) => one.slice(0, 15) === name)) bytes.set(pid, Number(status.match(/^RssAnon:\s+(\d+) kB$/m)?.[1] ?? 0) * 1024);
    }
    const isOurs = (pid) => pid > 1 && (pid === process.pid || isOurs(parents.get(pid)));
    const sum = [...bytes].reduce((all, [pid, one]) => all + (isOurs(pid) ? one : 0), 0);
    most = Math.max(most, sum);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await ended;
  return most;
}

// The h2o handler that does nothing but answer with these bodies: { url, pid, close }.
export async function startBareServer(bodies) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', tool('bare_h2o')], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(bodies.map((body) => `${body}\n`).join(''));
  const port = await new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(Number(text)));
    child.once('exit', (code) => reject(new Error(`bench_bare_h2o ended with ${code}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    close: () =>
      new Promise((resolve) => {
        child.once('exit', resolve);
        child.kill('SIGKILL');
      }),
  };
}
