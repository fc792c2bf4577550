// Commands beside a running serve: what they are given and it does otherwise is refused or said, and
// what else may connect to its control socket keeps nobody waiting, least of all its end.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { MOOD, moodDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { explain, soon, startScene } from './scene.mjs';

describe('beside a running serve', () => {
  let scene;
  let refkey;

  before(async () => {
    scene = await startScene();
    await scene.person();
    refkey = await scene.refkey({ REFKEY_ADMIN_PASSWORD: 'sesame-1' });
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  describe('a setting that differs', () => {
    const uri = 'mongodb://u:sesame-2@127.0.0.1:1/';

    async function run(args, env = {}) {
      const ran = await refkey.run(args, { env });
      const shown = `${args.join(' ')}: ${ran.code}\n${ran.stdout}${ran.stderr}`;
      assert.doesNotMatch(shown.replace(args.join(' '), ''), /sesame/);
      return { ...ran, shown };
    }

    it('is refused by name as a flag', async () => {
      for (const [flag, value, name] of [
        ['--mongo-uri', uri, 'REFKEY_MONGO_URI'],
        ['--mongo-db', 'other', 'REFKEY_MONGO_DB'],
        ['--mongo-batch', '7', 'REFKEY_MONGO_BATCH'],
        ['--guest-user', 'other', 'REFKEY_GUEST_USER'],
        ['--pds-url', 'https://other.example', 'REFKEY_PDS_URL'],
        ['--allow-private=off', undefined, 'REFKEY_ALLOW_PRIVATE'],
        ['--admin-password', 'sesame-3', 'REFKEY_ADMIN_PASSWORD'],
      ]) {
        for (const command of ['recover', 'status']) {
          const { code, stdout, stderr, shown } = await run([command, flag, value].filter(Boolean));
          assert.equal(code, 2, shown);
          assert.ok(stderr.includes(`${name} (${flag.split('=')[0]}) differs`), shown);
          assert.equal(stdout, '', shown);
        }
      }
    });

    it('is refused in the environment where it says what is written', async () => {
      for (const [name, value] of [
        ['REFKEY_MONGO_URI', uri],
        ['REFKEY_MONGO_DB', 'other'],
      ]) {
        const { code, stderr, shown } = await run(['recover'], { [name]: value });
        assert.equal(code, 2, shown);
        assert.ok(stderr.includes(`${name} in the environment differs`), shown);
      }
    });

    it('is said where it does not', async () => {
      for (const [args, env] of [
        [['recover', '--dry-run'], { REFKEY_SWEEP_SECONDS: '77' }],
        [['status'], { REFKEY_MONGO_URI: uri }],
        [['check'], { REFKEY_LISTEN: '127.0.0.1:1' }],
      ]) {
        const { code, stderr, shown } = await run(args, env);
        assert.equal(code, 0, shown);
        assert.ok(stderr.includes(`${Object.keys(env)[0]} in the environment differs`), shown);
      }
    });

    it('is fine where it is the same, or is the command\'s own', async () => {
      const { code, stderr, shown } = await run(
        ['recover', '--dry-run', '--mongo-db', refkey.settings.REFKEY_MONGO_DB, '--log-level', 'warn', '--allow-private'],
        { REFKEY_LOG_FORMAT: 'text', REFKEY_PLC_URL: `${refkey.settings.REFKEY_PLC_URL}/` },
      );
      assert.deepEqual([code, stderr], [0, ''], shown);
    });
  });

  it('whatever documents say comes through whole: with a NUL in it, and more than a MB of it', async () => {
    const { mongo } = scene;
    for (const user of ['auth0|nul\0here', `auth0|${'long'.repeat(300_000)}`])
      await mongo.moods.insertOne(moodDocument({ user }));
    const told = async () => {
      const { code, stdout, stderr } = await refkey.run(['publish', 'moods', '--dry-run', '--json', '--report', folder]);
      const without = JSON.parse(readFileSync(path.join(folder, 'users-without-atproto.json'), 'utf8'));
      assert.equal(code, 0, stderr);
      return { stdout, without };
    };
    const folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-test-report-'));
    try {
      const beside = await told();
      await refkey.stop();
      assert.deepEqual(beside, await told());
      assert.equal(beside.without.length, 2);
    } finally {
      rmSync(folder, { recursive: true });
      await mongo.moods.deleteMany({});
      if (!refkey.running) await refkey.start();
      await refkey.ready();
    }
  });

  it('another serve says why it does not start, as an object a line where the log is that', async () => {
    for (const [env, reason] of [
      [{}, /in use/],
      [{ REFKEY_DATA_DIR: '/dev/null/data' }, /REFKEY_DATA_DIR/],
      [{ REFKEY_DATA_DIR: path.join(refkey.dataDirectory, 'other'), REFKEY_LISTEN: new URL(refkey.url).host }, /REFKEY_LISTEN/],
    ]) {
      const { code, stderr } = await refkey.run(['serve'], { env });
      const lines = stderr.trim().split('\n').map((line) => JSON.parse(line));
      assert.equal(code, 2, stderr);
      assert.ok(lines.some((l) => l.level === 'error' && l.message === 'cannot start' && reason.test(l.reason)), stderr);
    }
  });

  it('who reads its output late holds up no work, and is told all of it', async () => {
    const { mongo, pds } = scene;
    const ada = await scene.writer();
    await mongo.handles.updateOne({ _id: ada.user }, { $set: { handle: 'long'.repeat(1000) } });
    const moods = Array.from({ length: 400 }, (_, i) => moodDocument({ user: ada.user, mood: `mood ${i}`, when: new Date(1e12 + i) }));
    await mongo.moods.insertMany(moods);
    // More than pipe and socket take: nothing is read until all is done, and the turn at writing is another's.
    const reading = `"$0" publish moods --json | { until [ -e "$1" ]; do sleep 0.05; done; cat; }; exit "\${PIPESTATUS[0]}"`;
    const now = path.join(refkey.dataDirectory, 'now');
    const ran = refkey.run(['-c', reading, binary, now], { program: 'bash' });
    try {
      const left = () => mongo.moods.countDocuments({ user: ada.user, atproto: { $exists: false } });
      await until(async () => (await left()) === 0, { what: 'all are published', ...soon });
      await until(async () => (await refkey.run(['publish', 'moods'])).code === 0, { what: 'it is done', ...soon });
    } finally {
      writeFileSync(now, '');
    }
    const { code, stdout, stderr } = await ran;
    assert.equal(code, 0, stderr);
    const { records, summary } = JSON.parse(stdout);
    assert.deepEqual([records.length, summary.created, summary.stopped], [400, 400, false], stderr);
    assert.equal((await pds.listRecordsAll(ada.did, MOOD)).length, 400);
  });

  it('is reached however long the path of the data folder is', async () => {
    const above = mkdtempSync(path.join(os.tmpdir(), 'refkey-test-long-'));
    try {
      const long = await scene.refkey({ REFKEY_DATA_DIR: path.join(above, 'x'.repeat(200)), REFKEY_MONGO_URI: undefined });
      const { code, stderr } = await long.run(['status']); // its own look would be refused: the index is another's
      assert.equal(code, 0, stderr);
      await long.stop();
    } finally {
      rmSync(above, { recursive: true });
    }
  });

  describe('the control socket', () => {
    const open = [];
    // text: what it sends; what comes back is collected in .got.
    async function client(text) {
      const socket = net.connect(path.join(refkey.dataDirectory, 'control.sock'));
      open.push(socket);
      socket.got = '';
      socket.on('error', () => {});
      socket.on('close', () => (socket.over = true));
      await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
      socket.setEncoding('utf8').on('data', (more) => (socket.got += more));
      if (text) socket.write(text);
      return socket;
    }
    const ended = async (socket) => {
      await until(() => socket.over, { what: 'the connection is closed', ...soon });
      return socket.got
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    };
    const status = '{"operation":"status"}\n';
    const close = () => open.splice(0).forEach((socket) => socket.destroy());

    afterEach(close);

    it('refuses what is no request', async () => {
      for (const [text, message] of [
        ['\n', /JSON/],
        ['garbage\n', /JSON/],
        ['\0\xff\xfe\n', /JSON/],
        ['[]\n', /operation/],
        ['{}\n', /operation/],
        ['{"operation":7}\n', /operation/],
        ['{"operation":"nonsense"}\n', /operation/],
        [`{"operation":"status","users":"${'a'.repeat(65 << 20)}"}\n`, /too long/],
        [`${'['.repeat(100_000)}\n`, /JSON/],
      ]) {
        const events = await ended(await client(text));
        assert.match(events[0].message, message, text.slice(0, 50));
        assert.deepEqual(events.at(-1), { event: 'result', exit: 2 });
      }
      assert.equal((await ended(await client(status))).at(-1).exit, 0);
    });

    it('refuses more than it can attend to, and answers again when they are gone', async () => {
      // Each is attended to for five seconds, and another one takes its place.
      let full = true;
      const crowd = Array.from({ length: 16 }, async () => {
        while (full) {
          const one = await client('{"operation":');
          await until(() => one.over || !full, { what: 'it is given up', ...soon });
        }
      });
      try {
        const refused = async () => {
          const events = await ended(await client());
          assert.match(events[0].message, /too many/);
          return events;
        };
        const events = await until(refused, { what: 'one too many', ...soon });
        assert.deepEqual(events.at(-1), { event: 'result', exit: 2 });
        await until(async () => (await refkey.run(['status'])).code === 2, { what: 'a command is one, too', ...soon });
      } finally {
        full = false;
        await Promise.all(crowd);
      }
      close();
      await until(async () => (await refkey.run(['status'])).code === 0, { what: 'room again', ...soon });
    });

    it('answers beside silent clients, and is no reason to stay when told to end', async () => {
      for (let i = 0; i < 14; i++) await client(i % 2 ? undefined : '{"operation":');
      // Those of before may still be on their way out.
      await until(async () => (await refkey.run(['status'])).code === 0, { what: 'an answer', ...soon });
      // One that asks and never reads.
      const deaf = await client();
      deaf.pause();
      deaf.write(status);
      // … also what is more than the socket takes.
      await scene.mongo.moods.insertOne(moodDocument({ user: `auth0|${'long'.repeat(300_000)}` }));
      const overfull = await client();
      overfull.pause();
      overfull.write('{"operation":"publish","documents":"moods","dryRun":true}\n');
      await until(() => overfull.readableLength > 0, { what: 'it is answered', ...soon });
      await refkey.stop();
      await scene.mongo.moods.deleteMany({});
      await refkey.start();
      await refkey.ready();
    });
  });
});
