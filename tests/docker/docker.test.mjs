// docker/ for real: the image is built, looked into, and started by compose beside
// a PDS and a MongoDB server, as an operator of the official PDS would do it.

import assert from 'node:assert/strict';
import { chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it as test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startMongo } from '../kit/mongo.mjs';
import { startNetwork } from '../kit/pds.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { MOOD, moodDocument, moodRecord, objectId } from '../kit/shapes.mjs';
import { freePort, until } from '../kit/wait.mjs';
import { findEngine, say } from './engine.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = (name) => readFile(path.join(root, name), 'utf8');
const minutes = 60_000;
const user = 10_001;

const image = 'refkey-test';
const container = `refkey-test-${process.pid}`;

const engine = await findEngine();
const it = (name, fn) => test(name, { skip: engine.skip, timeout: 20 * minutes }, fn);
after(() => engine.stop?.());

const inImage = (args, options = []) => engine.try('docker', ['run', '--rm', '--network', 'none', ...options, image, ...args]);
const inContainer = (args) => engine.try('docker', ['exec', container, ...args]);
const health = () => engine.inspect(container, 'State.Health.Status');

async function healthy() {
  const started = performance.now();
  try {
    await until(async () => (await health()) === 'healthy', { deadline: 5 * minutes, every: 250, what: 'healthy' });
  } catch (e) {
    const { stdout, stderr } = await engine.try('docker', ['logs', '--tail', '30', container]);
    const probes = await engine.inspect(container, 'State.Health.Log');
    throw new Error(`${e.message}\n${stdout}${stderr}${JSON.stringify(probes, null, 2)}`, { cause: e });
  }
  say(`healthy after ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

describe('the image', () => {
  it('is built', async () => {
    const build = (args) =>
      engine.docker(['build', '--network', 'host', '--file', path.join(root, 'docker/Dockerfile'), ...args, root], {
        deadline: 15 * minutes,
      });
    const debian = ['--build-arg', `DEBIAN=${await engine.debian()}`];
    const started = performance.now();
    // Named by itself, so that it outlives a change of the sources.
    await build([...debian, '--target', 'packages', '--tag', `${image}-packages`]);
    await build([...debian, '--tag', image]);
    const size = await engine.inspect(image, 'Size');
    say(`built in ${((performance.now() - started) / 1000).toFixed(1)} s, ${(size / 1e6).toFixed(0)} MB`);
    assert.ok(size < 300e6, `${size} bytes`); // nearly half of it is libvips and what that brings
  });

  it('runs refkey serve, not as root, on a volume of its own', async () => {
    const config = await engine.inspect(image, 'Config');
    assert.equal(config.User, `${user}:${user}`);
    assert.deepEqual(config.Entrypoint, ['refkey']);
    assert.deepEqual(config.Cmd, ['serve']);
    assert.equal(config.StopSignal, 'SIGTERM');
    assert.deepEqual(config.Healthcheck.Test, ['CMD', 'refkey', 'status']);
    assert.deepEqual(Object.keys(config.Volumes), ['/data']);
    assert.ok(config.Env.includes('REFKEY_DATA_DIR=/data'));
    assert.equal(config.Labels['org.opencontainers.image.licenses'], 'MIT');
    const { stdout } = await inImage(['-c', 'id -u; id -g; stat -c "%u:%g %a" /data; touch /data/file && echo writable'], ['--entrypoint', 'sh']);
    assert.deepEqual(stdout.trim().split('\n'), [`${user}`, `${user}`, `${user}:${user} 700`, 'writable']);
  });

  it('has all libraries, and no compiler, sources or headers', async () => {
    const version = (await source('meson.build')).match(/version: '(.*)'/)[1];
    assert.equal((await inImage(['--version'])).stdout, `refkey ${version}\n`);
    const look =
      'for c in cc gcc g++ clang tcc as ld make ninja meson pkg-config curl; do command -v $c; done; ' +
      'dpkg-query -W -f "\\${Package}\\n" | grep -- "-dev$"; ls -d /src /build /usr/include/*.h 2>/dev/null; ' +
      'ldd /usr/local/bin/refkey | grep "not found"; echo end';
    assert.equal((await inImage(['-c', look], ['--entrypoint', 'sh'])).stdout, 'end\n');
  });

  it('says what is wrong: settings, and a data folder of somebody else', async () => {
    const unset = await inImage([]);
    assert.equal(unset.code, 2);
    assert.match(unset.stderr, /^REFKEY_PDS_URL .* is not set/);
    const folder = await mkdtemp(path.join(os.tmpdir(), 'refkey-docker-'));
    try {
      const url = ['--env', 'REFKEY_PDS_URL=http://localhost:3000'];
      const other = await inImage([], ['--volume', `${folder}:/data`, ...url]);
      assert.equal(other.code, 2);
      assert.match(other.stderr, /[Pp]ermission denied.*\/data/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('accepts the example of an env file with every setting in it', async () => {
    const example = await source('docker/refkey.env.example');
    const file = path.join(os.tmpdir(), `${container}.env`);
    try {
      await writeFile(file, example.replaceAll(/^#(REFKEY_)/gm, '$1'));
      const { code, stderr } = await inImage(['status'], ['--env-file', file]);
      assert.equal(code, 2);
      assert.match(stderr, /^refkey: there is no index in \/data/);
    } finally {
      await rm(file, { force: true });
    }
  });
});

describe('compose beside a PDS', () => {
  const compose = (files, args, { with: which = composes[0], ...options } = {}) => {
    const [command, ...first] = which;
    return engine.run(command, [...first, ...files.flatMap((f) => ['-f', path.join(folder, f)]), ...args], options);
  };
  const beside = ['compose.yaml', 'refkey.compose.yaml'];
  const alone = ['refkey.compose.yaml'];

  let composes, folder, port, net, mongo, ada, refkey, known;

  before(async () => {
    if (engine.skip) return;
    composes = await engine.composes();
    [net, mongo, port] = await Promise.all([startNetwork(), startMongo(), freePort()]);
    // Resolved by compose and engine alike; the official installer, too, puts
    // another folder in the place of /pds.
    folder = await mkdtemp(path.join(os.tmpdir(), 'refkey-docker-'));
    const settings = {
      ...mongo.settings,
      REFKEY_PDS_URL: net.pds.url,
      REFKEY_PLC_URL: net.plc.url,
      REFKEY_LISTEN: `127.0.0.1:${port}`,
      REFKEY_LOG_FORMAT: 'json',
      REFKEY_ALLOW_PRIVATE: 'on',
    };
    let env = await source('docker/refkey.env.example');
    for (const [name, value] of Object.entries(settings)) env = env.replace(new RegExp(`^#?${name}=.*$`, 'm'), () => `${name}=${value}`);
    const file = (await source('docker/compose.yaml'))
      .replaceAll('/pds/', `${folder}/`)
      .replace('container_name: refkey\n', `container_name: ${container}\n`)
      .replace('image: refkey\n', `image: ${image}\n`);
    await writeFile(path.join(folder, 'refkey.env'), env, { mode: 0o600 });
    await writeFile(path.join(folder, 'refkey.compose.yaml'), file);
    await writeFile(path.join(folder, 'pds.env'), 'PDS_HOSTNAME=pds.example\n');
    await writeFile(path.join(folder, 'compose.yaml'), officialShape(folder));

    ada = await net.account('ada.test');
    await mongo.user({ _id: 'auth0|ada', handle: 'ada', did: ada.did });
    const ref = objectId();
    known = await net.pds.createRecord(ada, MOOD, moodRecord({ ref }));
    known.ref = String(ref);
    await mongo.moods.insertOne(moodDocument({ _id: ref, user: 'auth0|ada' }));
    refkey = new Refkey();
    refkey.url = `http://127.0.0.1:${port}`;
  });

  after(async () => {
    if (engine.skip) return;
    await engine.try('docker', ['rm', '--force', '--volumes', container]);
    await Promise.allSettled([net?.stop(), mongo?.close()]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  // Both directions, with the same answer.
  async function lookUp({ uri, ref, rkey }) {
    const byRef = await refkey.until('getByRef', { ref });
    const byRkey = await refkey.until('getByRkey', { repo: ada.did, collection: MOOD, rkey });
    assert.equal(byRef.body.uri, uri);
    assert.equal(byRkey.body.ref, ref);
    assert.equal(byRkey.body.cid, byRef.body.cid);
  }

  it('is a valid file, in the project of the PDS and alone', async () => {
    assert.ok(composes.length > 0);
    for (const which of composes) {
      say(`checking with ${(await compose([], ['version'], { with: which })).split('\n')[0]}`);
      const services = async (files, args = []) =>
        (await compose(files, [...args, 'config', '--services'], { with: which })).trim().split('\n').toSorted();
      const withMongo = ['--profile', 'mongo'];
      assert.ok((await services(alone)).includes('refkey'));
      assert.deepEqual(await services(alone, withMongo), ['refkey', 'refkey-mongo']);
      assert.deepEqual(await services(beside, withMongo), ['caddy', 'pds', 'refkey', 'refkey-mongo', 'watchtower']);
      // What it says of the PDS's own services is what it says without refkey.
      const before = await compose(['compose.yaml'], ['config'], { with: which });
      const after = await compose(beside, ['config'], { with: which });
      const lines = new Set(after.split('\n'));
      for (const line of before.split('\n')) assert.ok(lines.has(line), line);
    }
  });

  it('says that the data folder is missing, and makes none that refkey cannot write to', async () => {
    await assert.rejects(compose(beside, ['up', '-d', 'refkey']), /bind source path does not exist/);
  });

  it('becomes healthy, and answers in both directions', async () => {
    await mkdir(path.join(folder, 'refkey'), { mode: 0o700 });
    await chown(path.join(folder, 'refkey'), user, user);
    await compose(beside, ['up', '-d', 'refkey']);
    await healthy();
    assert.equal((await refkey.get('/xrpc/_health')).status, 200);
    await lookUp(known);
    const linked = await until(() => mongo.moods.findOne({ 'atproto.rkey': known.rkey }), { what: 'the link' });
    assert.equal(String(linked._id), known.ref);
  });

  it('follows the PDS, and recovers to MongoDB', async () => {
    const ref = objectId();
    const live = await net.pds.createRecord(ada, MOOD, moodRecord({ mood: 'live', ref }));
    await lookUp({ ...live, ref: String(ref) });
    const document = await until(() => mongo.moods.findOne({ _id: ref }), { what: 'the document' });
    assert.deepEqual([document.mood, document.atproto], ['live', { rkey: live.rkey }]);
  });

  it('has no more than it needs', async () => {
    const { stdout } = await inContainer(['cat', '/proc/1/status']);
    const field = (name) => stdout.match(new RegExp(`^${name}:\\s*(.*)$`, 'm'))[1];
    assert.equal(field('Name'), 'refkey');
    assert.match(field('Uid'), new RegExp(`^${user}\\b`));
    for (const name of ['CapPrm', 'CapEff', 'CapBnd']) assert.match(field(name), /^0+$/, name);
    assert.equal(field('NoNewPrivs'), '1');
    assert.notEqual((await inContainer(['touch', '/usr/local/bin/file'])).code, 0);
    assert.equal((await inContainer(['touch', '/tmp/file'])).code, 0);
    const mounts = (await engine.inspect(container, 'Mounts')).map((m) => m.Source);
    assert.deepEqual(mounts, [path.join(folder, 'refkey')]);
  });

  it('leaves the PDS as it was', async () => {
    const { stdout } = await engine.try('docker', ['ps', '--all', '--format', '{{.Names}}']);
    for (const name of ['caddy', 'pds', 'watchtower']) assert.ok(!stdout.split('\n').includes(name), `${name} was started`);
    const { did } = await net.pds.call('com.atproto.server.describeServer');
    assert.equal(did, 'did:web:localhost');
    const records = await net.pds.listRecordsAll(ada.did, MOOD);
    assert.equal(records.length, 2);
    assert.deepEqual(records.find((r) => r.uri === known.uri)?.cid, known.cid);
  });

  it('runs commands in the container', async () => {
    const status = await inContainer(['refkey', 'status', '--json']);
    assert.equal(status.code, 0, status.stderr);
    assert.equal(JSON.parse(status.stdout).mongo.connected, true);
    const recover = await inContainer(['refkey', 'recover', '--dry-run']);
    assert.equal(recover.code, 0, recover.stderr);
    const backup = await inContainer(['refkey', 'backup', '/data/copy']);
    assert.equal(backup.code, 0, backup.stderr);
    assert.ok((await stat(path.join(folder, 'refkey/copy/data.mdb'))).size > 0);
  });

  it('keeps its data through a new container, also while the PDS is away', async () => {
    const first = await engine.inspect(container, 'Id');
    await net.pds.stop();
    await compose(beside, ['up', '-d', '--force-recreate', 'refkey']);
    assert.notEqual(await engine.inspect(container, 'Id'), first);
    await lookUp(known);
    const status = await inContainer(['refkey', 'status']);
    assert.equal(status.code, 1);
    assert.match(status.stdout, /^ready +no: .*firehose/m);
    assert.equal((await refkey.get('/xrpc/_health')).status, 503);
    await net.pds.start();
    await healthy();
    const later = await net.pds.createRecord(ada, MOOD, moodRecord({ mood: 'later', ref: known.ref }));
    const { body } = await refkey.until('getByRef', { ref: known.ref }, (a) => a.body.duplicates?.length > 0);
    assert.deepEqual([body.uri, body.duplicates], [known.uri, [{ uri: later.uri }]]);
  });

  it('ends with 0 on SIGTERM, before it is killed', async () => {
    const started = performance.now();
    await compose(beside, ['stop', 'refkey']);
    const ms = performance.now() - started;
    const state = await engine.inspect(container, 'State');
    assert.deepEqual([state.Status, state.ExitCode, state.OOMKilled], ['exited', 0, false]);
    say(`stopped in ${(ms / 1000).toFixed(1)} s`);
    const { stdout, stderr } = await engine.try('docker', ['logs', container]);
    assert.match((stdout + stderr).trimEnd().split('\n').at(-1), /stopped/);
  });

  it('starts alone, too, on the same data', async () => {
    await compose(beside, ['rm', '--force', 'refkey']);
    await compose(alone, ['--project-name', container, 'up', '-d']);
    await healthy();
    await lookUp(known);
    await compose(alone, ['--project-name', container, 'down']);
  });
});

// The services of the official PDS's compose file, as far as they matter here.
function officialShape(dir) {
  return `version: '3.9'
services:
  caddy:
    container_name: caddy
    image: caddy:2
    network_mode: host
    depends_on: [pds]
    restart: unless-stopped
    volumes:
      - { type: bind, source: ${dir}/caddy/data, target: /data }
      - { type: bind, source: ${dir}/caddy/etc/caddy, target: /etc/caddy }
  pds:
    container_name: pds
    image: ghcr.io/bluesky-social/pds:0.4
    network_mode: host
    restart: unless-stopped
    volumes: [{ type: bind, source: ${dir}, target: /pds }]
    env_file: [${dir}/pds.env]
  watchtower:
    container_name: watchtower
    image: containrrr/watchtower:latest
    network_mode: host
    volumes: [{ type: bind, source: /var/run/docker.sock, target: /var/run/docker.sock }]
    restart: unless-stopped
    environment: { WATCHTOWER_CLEANUP: 'true', WATCHTOWER_SCHEDULE: '@midnight' }
`;
}
