// The program from its command line: status, check, backup, help, what it refuses, how it stops, what it
// logs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { Child } from '../kit/child.mjs';
import { binary } from '../kit/refkey.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { freePort, until } from '../kit/wait.mjs';
import {
  assertChecks,
  assertIndexEqualsPds,
  explain,
  linked,
  seen,
  settled,
  soon,
  startScene,
  untilIndexEqualsPds,
} from './scene.mjs';

const mode = (file) => (statSync(file).mode & 0o777).toString(8);

describe('the program', () => {
  let scene;
  let refkey;
  let ada;
  let folder; // for whatever the tests write

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-e2e-'));
    scene = await startScene();
    ada = await scene.person();
    refkey = await scene.refkey({
      REFKEY_DATA_DIR: path.join(folder, 'data'),
      REFKEY_ADMIN_PASSWORD: 'admin-secret-of-the-test',
      REFKEY_PDS_BYPASS_KEY: 'bypass-secret-of-the-test',
      REFKEY_PDS_ADMIN_PASSWORD: 'pds-secret-of-the-test',
    });
    for (let i = 0; i < 5; i++)
      await linked(refkey, await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: objectId() })));
    await settled(refkey);
  });
  after(async () => {
    try {
      await scene?.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
  afterEach((t) => explain(t, refkey));

  // Runs it with these settings only.
  async function run(args, settings = {}) {
    const other = await scene.refkey({}, { start: false });
    other.settings = { REFKEY_DATA_DIR: path.join(folder, 'other'), ...settings };
    return other.run(args);
  }
  async function refused(args, settings, ...messages) {
    const { code, stdout, stderr } = await run(args, settings);
    const shown = `${args.join(' ')} ${JSON.stringify(settings)}: ${code}\n${stdout}${stderr}`;
    assert.equal(code, 2, shown);
    for (const message of messages) assert.match(stderr, message, shown);
    return stderr;
  }

  describe('help', () => {
    it('is there for all of it', async () => {
      const { code, stdout, stderr } = await run(['--help']);
      assert.deepEqual([code, stderr], [0, '']);
      for (const command of ['serve', 'recover', 'status', 'check', 'backup']) {
        assert.match(stdout, new RegExp(`\\b${command}\\b`));
        const help = await run([command, '--help']);
        assert.deepEqual([help.code, help.stderr], [0, ''], command);
        assert.match(help.stdout, new RegExp(`refkey ${command}`));
        assert.deepEqual((await run(['help', command])).stdout, help.stdout);
      }
      const recover = (await run(['recover', '--help'])).stdout;
      for (const option of '--user --skip --limit --batch-size --delay --dry-run --json --restore'.split(' ')) {
        assert.match(recover, new RegExp(`${option}\\b`));
      }
    });

    it('names every setting with its default', async () => {
      const { stdout } = await run(['--help']);
      const defaults = {
        REFKEY_PDS_URL: '',
        REFKEY_PDS_PUBLIC_URL: '',
        REFKEY_SOURCE: 'pds',
        REFKEY_PLC_URL: 'https://plc.directory',
        REFKEY_DATA_DIR: './data',
        REFKEY_LISTEN: '127.0.0.1:3900',
        REFKEY_MONGO_URI: '',
        REFKEY_MONGO_DB: 'aesthetic',
        REFKEY_MONGO_BATCH: '1000',
        REFKEY_RECOVER: 'new',
        REFKEY_ON_DELETE: 'soft',
        REFKEY_GUEST_USER: 'art-guest',
        REFKEY_HOSTNAME: '',
        REFKEY_PUBLISH: 'off',
        REFKEY_PDS_ADMIN_PASSWORD: '',
        REFKEY_PDS_BYPASS_KEY: '',
        REFKEY_ADMIN_PASSWORD: '',
        REFKEY_SWEEP_SECONDS: '600',
        REFKEY_THREADS: 'cores',
        REFKEY_LOG_LEVEL: 'info',
        REFKEY_LOG_FORMAT: 'text',
        REFKEY_ALLOW_PRIVATE: 'off',
      };
      for (const [name, value] of Object.entries(defaults)) {
        const part = stdout.split(/\n(?= *REFKEY_\w+, )/).find((one) => one.trimStart().startsWith(`${name},`));
        assert.ok(part, name);
        assert.ok(part.includes(value), `${name}: ${value} is not in ${part}`);
      }
    });

    it('shows no secret, whatever is set', async () => {
      const secrets = {
        REFKEY_ADMIN_PASSWORD: 'sesame-1',
        REFKEY_PDS_ADMIN_PASSWORD: 'sesame-2',
        REFKEY_PDS_BYPASS_KEY: 'sesame-3',
        REFKEY_MONGO_URI: 'mongodb://u:sesame-4@localhost/',
      };
      for (const args of [['--help'], ['serve', '--help'], ['status', '--help'], ['serve'], ['status']]) {
        const { stdout, stderr } = await run(args, secrets);
        assert.doesNotMatch(stdout + stderr, /sesame/, args.join(' '));
      }
    });

    it('tells the version', async () => {
      assert.match((await run(['--version'])).stdout, /^refkey \d+\.\d+\.\d+\n$/);
    });
  });

  describe('refuses with 2', () => {
    const good = () => ({ REFKEY_PDS_URL: scene.pds.url });

    it('wrong usage', async () => {
      for (const [args, message] of [
        [[], /command/],
        [['nonsense'], /nonsense.*serve/s],
        [['serve', '--nonsense'], /--nonsense/],
        [['serve', 'extra'], /extra/],
        [['backup'], /DIR/],
        [['backup', 'a', 'b'], /b/],
        [['status', '--dry-run'], /--dry-run/],
        [['--nonsense'], /--nonsense/],
        [['recover', '--user'], /--user/],
        [['recover', '--batch-size', '0'], /--batch-size/],
        [['help', 'nonsense'], /nonsense/],
        [['serve', '--bogus'], /accepted by serve: the flags of settings$/m],
        [['publish', 'sketches'], /sketches.*moods paintings/],
        [['repair'], /--duplicates/],
      ])
        await refused(args, good(), message);
    });

    it('an unknown REFKEY_ name, without its value', async () => {
      const text = await refused(
        ['serve'],
        { ...good(), REFKEY_MONGO_URL: 'mongodb://u:sesame@localhost' },
        /REFKEY_MONGO_URL/,
        /REFKEY_MONGO_URI/,
      );
      assert.doesNotMatch(text, /sesame/);
      await refused(['status'], { REFKEY_: 'x' }, /REFKEY_/);
      // Names for tests are nobody's business.
      const { stderr } = await run(['status'], { REFKEY_TEST_ANYTHING: '1' });
      assert.doesNotMatch(stderr, /REFKEY_TEST/);
    });

    it('a missing or wrong value, by name, with the value and what is accepted', async () => {
      await refused(['serve'], {}, /REFKEY_PDS_URL/);
      const wrong = {
        REFKEY_PDS_URL: ['ftp://a', /http/],
        REFKEY_SOURCE: ['pdss', /pds.*relay/],
        REFKEY_PLC_URL: ['plc.directory', /http/],
        REFKEY_LISTEN: ['127.0.0.1', /:|port/],
        REFKEY_MONGO_URI: ['localhost:27017', /mongodb/],
        REFKEY_MONGO_DB: ['a b', /./],
        REFKEY_MONGO_BATCH: ['0', /1 to/],
        REFKEY_RECOVER: ['some', /off.*new.*all/],
        REFKEY_ON_DELETE: ['hard', /soft.*unlink.*keep/],
        REFKEY_PUBLISH: ['yes', /off.*on.*exclusive/],
        REFKEY_SWEEP_SECONDS: ['-1', /1 to/],
        REFKEY_THREADS: ['many', /1 to/],
        REFKEY_LOG_LEVEL: ['loud', /error.*warn.*info.*debug/],
        REFKEY_LOG_FORMAT: ['xml', /text.*json/],
        REFKEY_ALLOW_PRIVATE: ['maybe', /on/],
        REFKEY_HOSTNAME: ['not a host', /./],
      };
      for (const [name, [value, accepted]] of Object.entries(wrong)) {
        const text = await refused(['serve'], { ...good(), [name]: value }, new RegExp(name), accepted);
        if (name !== 'REFKEY_MONGO_URI') assert.ok(text.includes(value), text);
      }
      // A flag is the same, and wins.
      await refused(
        ['serve', '--recover', 'some'],
        { ...good(), REFKEY_RECOVER: 'new' },
        /REFKEY_RECOVER/,
        /some/,
        /off.*new.*all/,
      );
      for (const how of ['unlink', 'keep']) {
        await refused(
          ['serve'],
          { ...good(), REFKEY_PUBLISH: 'on', REFKEY_ON_DELETE: how },
          /REFKEY_PUBLISH/,
          /REFKEY_ON_DELETE/,
        );
      }
      // Several at once are all told.
      await refused(
        ['serve'],
        { REFKEY_RECOVER: 'x', REFKEY_THREADS: 'y' },
        /REFKEY_RECOVER/,
        /REFKEY_THREADS/,
        /REFKEY_PDS_URL/,
      );
    });

    it('a second service on the same data folder', async () => {
      const { code, stderr } = await refkey.run(['serve']);
      assert.equal(code, 2, stderr);
      assert.ok(stderr.includes(refkey.dataDirectory), stderr);
      assert.equal((await refkey.get('/xrpc/_health')).status, 200);
      await assertChecks(refkey);
    });

    it('an address that is taken', async () => {
      const { port } = new URL(refkey.url);
      const text = await refused(['serve', '--log-format', 'text'], { ...good(), REFKEY_LISTEN: `127.0.0.1:${port}` }, /REFKEY_LISTEN/);
      const line = `refkey: REFKEY_LISTEN: cannot listen on 127.0.0.1:${port}: Address already in use`;
      assert.ok(text.split('\n').includes(line), text);
    });

    it('a data folder that cannot be', async () => {
      const file = path.join(folder, 'file');
      writeFileSync(file, '');
      await refused(['serve'], { ...good(), REFKEY_DATA_DIR: path.join(file, 'data') }, /REFKEY_DATA_DIR/);
      await refused(['status'], { REFKEY_DATA_DIR: path.join(folder, 'nothing-here') }, /nothing-here/);
      assert.ok(!existsSync(path.join(folder, 'nothing-here')), 'and makes none');
    });

    it('an index that is none', async () => {
      const dir = path.join(folder, 'broken');
      mkdirSync(dir, { mode: 0o700 });
      writeFileSync(path.join(dir, 'data.mdb'), Buffer.alloc(100_000, 7));
      const { code, stderr } = await run(['serve'], { ...good(), REFKEY_DATA_DIR: dir });
      assert.ok([1, 2].includes(code), `${code}: ${stderr}`);
      assert.ok(stderr.includes(dir), stderr);
    });
  });

  describe('an index that was damaged', () => {
    const commands = [['serve'], ['status'], ['check'], ['backup', 'copy']];
    async function copied(name, damage) {
      const dir = path.join(folder, name);
      assert.equal((await refkey.run(['backup', dir])).code, 0);
      damage(path.join(dir, 'data.mdb'));
      return dir;
    }
    // Each says what is wrong and ends with 1 or 2; none is ended by a signal.
    async function named(dir, fits) {
      for (const [command, ...rest] of commands) {
        const args = [command, ...rest.map((r) => path.join(dir, r))];
        const { code, signal, stdout, stderr } = await run(args, {
          REFKEY_PDS_URL: scene.pds.url,
          REFKEY_LISTEN: '127.0.0.1:0',
          REFKEY_DATA_DIR: dir,
        });
        assert.ok([1, 2].includes(code) && !signal, `${args}: ${code} ${signal} ${stdout}${stderr}`);
        assert.match(stderr, fits, args.join(' '));
      }
    }

    it('cut short at any page is refused', async () => {
      const whole = statSync(path.join(await copied('whole', () => {}), 'data.mdb')).size;
      for (const pages of [0.5, 1, 2, 3, Math.floor(whole / 8192), whole / 4096 - 1]) {
        const dir = await copied(`cut-${pages}`, (file) => truncateSync(file, pages * 4096));
        await named(dir, /index/);
      }
    });

    it('of a newer version is refused', async () => {
      // The schema's number is the value of "schema" in the table of single values.
      const dir = await copied('newer', (file) => {
        const bytes = readFileSync(file);
        const at = bytes.indexOf('schema');
        assert.ok(at > 0);
        bytes[at + 'schema'.length + 3] = 200;
        writeFileSync(file, bytes);
      });
      await named(dir, /newer refkey/);
    });
  });

  describe('keeps its data', () => {
    it('where only its user can read it', () => {
      assert.equal(mode(refkey.dataDirectory), '700');
      for (const name of readdirSync(refkey.dataDirectory))
        assert.equal(mode(path.join(refkey.dataDirectory, name)), '600', name);
      assert.ok(readdirSync(refkey.dataDirectory).some((name) => name.endsWith('.sock')));
    });
  });

  describe('status', () => {
    it('tells people and programs how it is', async () => {
      const { code, stdout } = await refkey.run(['status', '--json']);
      assert.equal(code, 0);
      const told = JSON.parse(stdout);
      assert.deepEqual([told.running, told.ready, told.source, told.desynchronized], [true, true, scene.pds.url, 0]);
      assert.deepEqual(told.mongo, { configured: true, connected: true, pending: 0 });
      assert.deepEqual(told.issues, []);
      assert.equal(told.records.find((r) => r.collection === MOOD).count, 5);
      const { body } = await refkey.xrpc('getStatus');
      for (const name of ['version', 'source', 'cursor', 'repos', 'records'])
        assert.deepEqual(told[name], body[name], name);
      const text = (await refkey.run(['status'])).stdout;
      assert.match(text, /5 computer\.aesthetic\.mood/);
      assert.doesNotMatch(text + stdout, /secret/);
    });

    it('needs no serve, and says that there is none', async () => {
      await refkey.stop();
      const { code, stdout } = await refkey.run(['status', '--json']);
      assert.equal(code, 1);
      const told = JSON.parse(stdout);
      assert.deepEqual([told.running, told.ready], [false, false]);
      assert.equal(told.records.find((r) => r.collection === MOOD).count, 5);
      // Also where nothing tells it which source is followed.
      const bare = await run(['status', '--json'], { REFKEY_DATA_DIR: refkey.dataDirectory });
      const { source, cursor, epoch, sources } = JSON.parse(bare.stdout);
      assert.ok(cursor > 0, bare.stdout);
      assert.deepEqual({ source, cursor, epoch }, { source: scene.pds.url, cursor: told.cursor, epoch: told.epoch });
      assert.deepEqual(sources, [{ source, cursor, epoch }]);
      const elsewhere = { REFKEY_DATA_DIR: refkey.dataDirectory, REFKEY_PDS_URL: 'https://other.example' };
      assert.match((await run(['status'], elsewhere)).stdout, new RegExp(`cursor +${cursor} of ${scene.pds.url}\n`));
      await refkey.start();
      await refkey.ready();
    });
  });

  describe('check', () => {
    it('finds nothing wrong, beside a serve and alone', async () => {
      const beside = await refkey.run(['check', '--json']);
      assert.equal(beside.code, 0, beside.stderr);
      const { wrong, repos, records, findings } = JSON.parse(beside.stdout);
      assert.deepEqual({ wrong, repos, records, findings }, { wrong: 0, repos: 1, records: 5, findings: [] });
      await refkey.stop();
      const alone = await refkey.run(['check', '--json']);
      assert.deepEqual([alone.code, alone.stdout], [0, beside.stdout]);
      assert.match((await refkey.run(['check'])).stdout, /5 records/);
      await refkey.start();
      await refkey.ready();
    });
  });

  describe('backup', () => {
    it('copies the index while it is written, for a new serve to go on from', async () => {
      let writing = true;
      const wrote = [];
      const writer = (async () => {
        while (writing) wrote.push(await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: objectId() })));
      })();
      await until(() => wrote.length > 10, { what: 'some records', ...soon });
      await seen(refkey, wrote[5]);
      const copy = path.join(folder, 'backup');
      const { code, stdout, stderr } = await refkey.run(['backup', copy]).finally(() => (writing = false));
      await writer;
      assert.equal(code, 0, stderr);
      assert.ok(stdout.includes(copy));
      assert.equal(mode(path.join(copy, 'data.mdb')), '600');
      assert.doesNotMatch(stdout + stderr, /secret/);
      for (const record of wrote) await linked(refkey, record);
      // The copy on its own: sound, and what it lacks is caught up on.
      const other = await scene.refkey(
        { ...refkey.settings, REFKEY_MONGO_URI: undefined, REFKEY_DATA_DIR: copy },
        { start: false },
      );
      delete other.settings.REFKEY_MONGO_URI;
      await assertChecks(other);
      await other.start();
      assert.equal((await seen(other, wrote[5])).cid, wrote[5].cid);
      await other.ready();
      await untilIndexEqualsPds(other, scene.pds, [ada.did]);
      await other.stop();
    });

    it('does not write over another, nor where it cannot', async () => {
      const copy = path.join(folder, 'backup');
      const again = await refkey.run(['backup', copy]);
      assert.equal(again.code, 2, again.stdout + again.stderr);
      assert.ok(again.stderr.includes(copy), again.stderr);
      assert.match(again.stderr, /empty or not there/);
      const nowhere = await refkey.run(['backup', path.join(folder, 'file', 'backup')]);
      assert.equal(nowhere.code, 2, nowhere.stdout + nowhere.stderr);
      await assertChecks(refkey);
    });

    it('works without a serve', async () => {
      await refkey.stop();
      const copy = path.join(folder, 'backup-alone');
      const { code, stdout, stderr } = await refkey.run(['backup', copy, '--json']);
      assert.equal(code, 0, stderr);
      assert.equal(JSON.parse(stdout).dir, copy);
      assert.ok(
        statSync(path.join(copy, 'data.mdb')).size <= statSync(path.join(refkey.dataDirectory, 'data.mdb')).size,
      );
      await refkey.start();
      await refkey.ready();
    });
  });

  describe('SIGTERM', () => {
    it('ends it with 0 under load, and nothing is lost', async () => {
      let busy = true;
      const refs = [];
      const writer = (async () => {
        while (busy) {
          const ref = objectId();
          await scene.pds.createRecord(ada, MOOD, moodRecord({ ref }));
          refs.push(String(ref));
        }
      })();
      // Each answer is whole, or there is none.
      const askers = Array.from({ length: 20 }, async () => {
        let answers = 0;
        while (busy) {
          const answer = await refkey.xrpc('getStatus').catch(() => undefined);
          if (!answer) break;
          assert.equal(answer.status, 200);
          answers++;
        }
        return answers;
      });
      try {
        await until(() => refs.length > 20, { what: 'load', ...soon });
        await refkey.stop(); // fails unless it ends with 0
        await Promise.all(askers);
      } finally {
        busy = false;
        await writer;
      }
      assert.ok(!existsSync(path.join(refkey.dataDirectory, 'control.sock')));
      await refkey.start();
      await refkey.ready();
      await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
      await settled(refkey);
      assert.equal(
        await scene.mongo.moods.countDocuments({ _id: { $exists: true }, 'atproto.rkey': { $exists: true } }),
        (await scene.pds.listRecordsAll(ada.did, MOOD)).length,
      );
    });

    it('ends it with 0 at any moment of its start', async () => {
      await refkey.stop();
      for (let ms = 0; ms < 100; ms += 10) {
        const child = new Child('refkey', [binary, 'serve'], { env: refkey.env });
        await until(() => child.lines.length > 0, { what: 'the first line', ...soon });
        await new Promise((resolve) => setTimeout(resolve, ms)); // the moment, not a wait
        const { code, signal } = await child.stop();
        assert.deepEqual([code, signal], [0, null], child.tail());
      }
      await assertChecks(refkey);
      await refkey.start();
      await refkey.ready();
    });

    it('is as good by Ctrl-C', async () => {
      const { code } = await refkey.child.stop({ signal: 'SIGINT' });
      assert.equal(code, 0);
      await refkey.start();
      await refkey.ready();
      await assertIndexEqualsPds(refkey, scene.pds, [ada.did]);
    });
  });

  // What is opened next gets the lowest number that is free, and what is printed goes to 1 and 2.
  it('opens nothing in the place of standard files that are closed', async () => {
    const closed = await scene.refkey({}, { start: false });
    await closed.prepare();
    const child = new Child('closed', ['sh', '-c', 'exec "$0" serve <&- >&- 2>&-', binary], { env: closed.env });
    try {
      const control = path.join(closed.dataDirectory, 'control.sock');
      await child.ready(() => existsSync(control), { what: 'serving' });
      for (const n of [0, 1, 2]) assert.equal(readlinkSync(`/proc/${child.pid}/fd/${n}`), '/dev/null');
    } finally {
      await child.stop();
    }
    await assertChecks(closed);
  });

  describe('the log', () => {
    it('is an object a line, with time, level and component', async () => {
      const levels = new Set();
      const components = new Set();
      for (const entry of refkey.log({ all: true })) {
        assert.ok(!('text' in entry && Object.keys(entry).length === 1), `no JSON: ${entry.text}`);
        assert.ok(Math.abs(Date.now() - Date.parse(entry.time)) < 3_600_000, JSON.stringify(entry));
        assert.ok(['error', 'warn', 'info', 'debug'].includes(entry.level), JSON.stringify(entry));
        assert.match(entry.component, /^[a-z]+$/);
        assert.ok(entry.message.length > 0);
        levels.add(entry.level);
        components.add(entry.component);
      }
      assert.ok(!levels.has('error') && !levels.has('debug'), [...levels].join());
      for (const component of ['xrpc', 'firehose', 'mirror', 'sweep', 'serve'])
        assert.ok(components.has(component), component);
    });

    it('is all there is: the driver leaves nothing behind a kill', () => {
      assert.ok(refkey.running);
      assert.ok(!existsSync(`/dev/shm/mongoc-${refkey.child.pid}`));
    });

    it('holds no secret', () => {
      const text = refkey
        .log({ all: true })
        .map((entry) => JSON.stringify(entry))
        .join('\n');
      assert.doesNotMatch(text, /of-the-test/);
    });

    it('names did and seq where there are some', async () => {
      const bea = await scene.person();
      await seen(refkey, await scene.pds.createRecord(bea, MOOD, moodRecord({ ref: objectId() })));
      await scene.pds.deactivate(bea);
      await until(() => refkey.log().some((l) => l.did === bea.did && Number.isInteger(l.seq)), {
        what: 'did and seq in the log',
        ...soon,
      });
    });

    it('is text where that is asked for, and as much as is asked for', async () => {
      const dir = path.join(folder, 'logs');
      const other = await scene.refkey(
        { REFKEY_DATA_DIR: dir, REFKEY_LOG_FORMAT: 'text', REFKEY_LOG_LEVEL: 'debug' },
        { start: false },
      );
      const child = new Child('refkey', [binary, 'serve'], { env: other.env });
      await until(() => child.lines.some((l) => l.includes('compared with the source')), {
        what: 'a line of text',
        ...soon,
      });
      assert.equal((await child.stop()).code, 0);
      for (const line of child.lines)
        assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (error|warn |info |debug) [a-z]+: ./, line);
      // The port that it picked is told nowhere else.
      for (const [port, told] of [[0, ['info  xrpc: listening addr=127.0.0.1']], [await freePort(), []]]) {
        const command = [binary, 'serve', '--log-level', 'error', '--listen', `127.0.0.1:${port}`];
        const quiet = new Child('refkey', command, { env: other.env });
        await until(() => existsSync(path.join(dir, 'control.sock')), { what: 'it serves', ...soon });
        assert.equal((await quiet.stop()).code, 0);
        assert.deepEqual(quiet.lines.map((l) => l.replace(/^\S+Z |:\d+$/g, '')), told);
      }
    });
  });

  it('is no more than a user', { skip: process.getuid() !== 0 && 'takes root to become somebody else' }, async () => {
    // As an ordinary user, with a folder of its own: nothing it does needs more.
    const dir = mkdtempSync(path.join(os.tmpdir(), 'refkey-nobody-'));
    chmodSync(dir, 0o777);
    try {
      const own = path.join(dir, 'refkey');
      execFileSync('cp', [binary, own]);
      chmodSync(own, 0o755);
      const env = { ...refkey.env, REFKEY_DATA_DIR: path.join(dir, 'data'), REFKEY_MONGO_URI: '' };
      const child = new Child(
        'refkey',
        ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--', own, 'serve'],
        { env },
      );
      await until(() => child.lines.some((l) => l.includes('compared with the source')), {
        what: 'it serves',
        ...soon,
      });
      assert.equal((await child.stop()).code, 0, child.tail());
      assert.equal(mode(path.join(dir, 'data')), '700');
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
