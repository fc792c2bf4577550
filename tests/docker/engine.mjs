// A Docker engine for tests: the one that answers, or one of our own, which keeps
// its layers among the installed parts, so that a second run builds in seconds.
//
//   const engine = await findEngine();
//   if (engine.skip) …                     // why none can be had
//   await engine.docker(['build', …]);
//   await engine.stop();

import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../kit/child.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const minutes = 60_000;
const taken = 75; // the exit code that says so

// As scripts/lib.sh has it.
const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
const parts = process.env.REFKEY_PARTS_DIR || path.join(cache, 'refkey');

export const say = (text) => process.stderr.write(`docker: ${text}\n`);

function run(command, args, { deadline = 4 * minutes, env = {} } = {}) {
  return new Promise((resolve) => {
    // Compose has an impatience of its own.
    const options = { env: { ...process.env, COMPOSE_HTTP_TIMEOUT: '240', ...env }, timeout: deadline, maxBuffer: 1 << 28 };
    execFile(command, args, options, (e, stdout, stderr) => {
      const code = e ? (typeof e.code === 'number' ? e.code : null) : 0;
      resolve({ code, signal: e?.killed ? 'out of time' : e?.signal, stdout, stderr, missing: e?.code === 'ENOENT' });
    });
  });
}

const lastLines = (text, n = 30) => text.trimEnd().split('\n').slice(-n).join('\n');

export class Engine {
  // daemon: the Child that runs it, where it is our own, in the folder dir.
  constructor({ env = {}, daemon, dir } = {}) {
    this.env = env;
    this.daemon = daemon;
    this.dir = dir;
  }

  // { code, signal, stdout, stderr }
  try(command, args, options = {}) {
    return run(command, args, { ...options, env: { ...this.env, ...options.env } });
  }

  // The output; a failure is an error with its last lines.
  async run(command, args, options) {
    const { code, signal, stdout, stderr, missing } = await this.try(command, args, options);
    if (code === 0) return stdout;
    const how = missing ? 'is not there' : `ended with ${signal ?? code}`;
    throw new Error(`${command} ${args.join(' ')}: ${how}\n${lastLines(`${stdout}\n${stderr}`)}`);
  }

  docker(args, options) {
    return this.run('docker', args, options);
  }

  async inspect(name, field) {
    return JSON.parse(await this.docker(['inspect', '--format', `{{json .${field}}}`, name]));
  }

  // Compose as it is here: [[command, ...arguments]], the plugin first.
  async composes() {
    const found = [];
    for (const [command, ...args] of [['docker', 'compose'], ['docker-compose']]) {
      if ((await this.try(command, [...args, 'version'])).code === 0) found.push([command, ...args]);
    }
    return found;
  }

  // The name of a Debian 12 image: the official one, or where no registry can be
  // reached one made from Debian's packages.
  async debian() {
    const official = 'debian:bookworm-slim';
    const own = 'refkey-test-debian';
    const has = async (name) => (await this.try('docker', ['image', 'inspect', name])).code === 0;
    for (const name of [official, own]) if (await has(name)) return name;
    if ((await this.try('docker', ['pull', '--quiet', official], { deadline: 2 * minutes })).code === 0) return official;
    say('no registry can be reached: making the base image with debootstrap (half a minute)');
    await mkdir(parts, { recursive: true });
    const folder = await mkdtemp(path.join(parts, 'debian-'));
    try {
      await this.#bootstrap(folder);
      await slim(folder);
      await this.run('sh', ['-c', `tar -C '${folder}' -c . | docker import - ${own}`]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return own;
  }

  // A download that is refused once does not end it; what is there already is not fetched again.
  async #bootstrap(folder, tries = 3) {
    try {
      await this.run('debootstrap', ['--variant=minbase', 'bookworm', folder], { deadline: 5 * minutes });
    } catch (e) {
      if (tries === 1) throw e;
      say(`${e.message}\ntrying again`);
      await this.#bootstrap(folder, tries - 1);
    }
  }

  async stop() {
    if (!this.daemon?.running) return;
    // Layers of sources that have changed since; those of the packages have names.
    await this.try('docker', ['image', 'prune', '--force']);
    await this.daemon.stop();
    await this.#unmount();
  }

  // A daemon leaves mounts behind, and the folder could not be removed. Where the
  // next one has the lock by now, they are its own.
  async #unmount() {
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
    const ours = mounts.filter((mount) => mount.startsWith(`${this.dir}/`)).reverse();
    if (ours.length) await this.try('flock', ['--nonblock', path.join(this.dir, 'lock'), 'umount', ...ours]);
  }
}

// Leaves out what the official image leaves out, now and of later packages; and
// lets everybody into the root folder, whose mode vfs takes from here.
async function slim(folder) {
  await chmod(folder, 0o755);
  const unneeded = ['doc', 'info', 'locale', 'man'].map((name) => `usr/share/${name}`);
  const rules = unneeded.map((name) => `path-exclude /${name}/*\n`).join('');
  await writeFile(path.join(folder, 'etc/dpkg/dpkg.cfg.d/slim'), rules);
  for (const name of [...unneeded, 'var/cache/apt', 'var/lib/apt/lists', 'var/log/apt']) {
    await rm(path.join(folder, name), { recursive: true, force: true });
    await mkdir(path.join(folder, name));
  }
}

const none = 'no Docker engine answers';

// Why this engine is of no use to tests whose other parts listen on loopback.
async function useless(engine) {
  const { code, stdout } = await engine.try('docker', ['info', '--format', '{{.OSType}} {{.Name}} {{.SecurityOptions}}']);
  if (code !== 0) return none;
  const [system, name, ...security] = stdout.trim().split(' ');
  if (system !== 'linux') return `the Docker engine is for ${system}`;
  if (name !== os.hostname()) return `the Docker engine is that of another machine (${name})`;
  if (security.some((option) => option.includes('rootless'))) return 'the Docker engine is rootless: its host network is not this one';
  return undefined;
}

// A reachable engine that is of no use is not replaced by one of our own: DOCKER_HOST
// or the like says that it is wanted.
export async function findEngine() {
  const answering = new Engine();
  let why = await useless(answering);
  if (why === none && process.getuid() === 0) {
    const { code, stderr } = await run(`${root}scripts/setup-packages`, ['docker'], { deadline: 10 * minutes });
    if (code !== 0) return { skip: `Docker cannot be installed: ${lastLines(stderr, 1)}` };
    why = await useless(answering); // installing starts it where there is systemd
    if (why === none) return ownEngine();
  } else if (why === none) {
    why += ', and only root can start one';
  }
  if (why) return { skip: why };
  return (await answering.composes()).length ? answering : { skip: 'a Docker engine answers, but there is no docker compose' };
}

async function ownEngine() {
  const dir = path.join(parts, 'docker');
  // Of this process: while it waits for another's engine, that must not seem its own.
  const socket = `unix://${path.join(dir, `engine-${process.pid}.sock`)}`;
  await mkdir(dir, { recursive: true });
  const command = [
    // One engine on one folder; it holds the lock as long as it runs.
    ...['flock', '--no-fork', '--timeout', '300', '--conflict-exit-code', `${taken}`, path.join(dir, 'lock')],
    ...['dockerd', '--host', socket, '--data-root', path.join(dir, 'data'), '--exec-root', path.join(dir, 'run')],
    ...['--pidfile', path.join(dir, 'pid'), '--bridge', 'none', '--iptables=false', '--ip6tables=false'],
  ];
  let failure;
  // Where overlays are not allowed (as within a container), whole copies are.
  for (const driver of [[], ['--storage-driver', 'vfs']]) {
    say(`starting an engine of our own in ${dir}${driver.length ? ' (vfs)' : ''}`);
    const daemon = new Child('dockerd', [...command, ...driver]);
    const engine = new Engine({ env: { DOCKER_HOST: socket }, daemon, dir });
    try {
      await daemon.ready(async () => (await engine.try('docker', ['version'])).code === 0, { deadline: 6 * minutes });
      // Those of a run that was killed come back with it.
      const left = (await engine.docker(['ps', '--all', '--quiet'])).split('\n').filter(Boolean);
      if (left.length) await engine.docker(['rm', '--force', '--volumes', ...left]);
      return engine;
    } catch (e) {
      const { code } = await daemon.stop();
      if (code === taken) return { skip: `${none}, and another run of these tests has had ours for 5 minutes` };
      failure ??= daemon.lines.at(-1) ?? e.message;
    }
  }
  return { skip: `${none}, and none can be started here: ${failure}` };
}
