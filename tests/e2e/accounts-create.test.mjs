// `refkey accounts`: who has documents and no ATProto account, and accounts for them: one for each user,
// whatever happens on the way.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  linkSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { GUEST, MOOD, moodDocument, paintingDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { soon, startScene } from './scene.mjs';

const domain = 'test';
const JOURNAL = 'accounts-created.jsonl';

// A scene with users of the site, and the questions asked of it. pds: its settings.
function stage(pds = {}) {
  const s = { count: 0 };
  before(async () => {
    s.scene = await startScene({ proxy: true, pds });
    s.pds = s.scene.pds;
    s.proxy = s.scene.proxy;
    s.refkey = await s.scene.refkey({ REFKEY_PDS_ADMIN_PASSWORD: s.pds.adminPassword }, { start: false });
    await s.refkey.prepare();
  });
  after(() => s.scene?.close());
  beforeEach(() => {
    s.report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
  });
  after(() => s.reports?.forEach((dir) => rmSync(dir, { recursive: true, force: true })));
  beforeEach(() => (s.reports ??= []).push(s.report));

  // A user of the site with n moods. handle null: none.
  s.user = async (n = 1, { handle = `person${s.count++}`, email = `${s.count++}@mail.example`, ...more } = {}) => {
    const _id = `auth0|${s.count++}`;
    await s.scene.mongo.user({ _id, handle, ...more });
    if (email) await s.scene.mongo.users.updateOne({ _id }, { $set: { email } });
    if (n) await s.scene.mongo.moods.insertMany(Array.from({ length: n }, () => moodDocument({ user: _id })));
    return { _id, handle, email, n };
  };
  s.stored = async (user) => (await s.scene.mongo.users.findOne({ _id: user._id })).atproto;
  s.run = async (...args) => {
    const { code, signal, stdout, stderr } = await s.refkey.run(['accounts', '--json', ...args]);
    const shown = `accounts ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    return { code, shown, stderr, ...(stdout && JSON.parse(stdout)) };
  };
  s.only = (...users) => users.flatMap((u) => ['--user', u._id]);
  s.create = (...args) => s.run('--create', '--report', s.report, ...args);
  s.journal = () =>
    readFileSync(path.join(s.report, JOURNAL), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));

  // What is stored logs in, to an account of the handle, as an app password does, and nothing is in the repo.
  s.assertAccount = async (user, account) => {
    const { did, password, ...rest } = await s.stored(user);
    assert.deepEqual(rest, {});
    const { body, status } = await s.pds.xrpc('com.atproto.server.createSession', {}, { input: { identifier: did, password } });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.handle, account);
    const app = await s.pds.xrpc('com.atproto.server.createAppPassword', {}, {
      input: { name: 'more' },
      headers: { authorization: `Bearer ${body.accessJwt}` },
    });
    assert.notEqual(app.status, 200, 'it is the password of the account itself');
    assert.deepEqual(await s.pds.listRecordsAll(did, MOOD), []);
    for (const name of readdirSync(s.report)) {
      assert.equal(statSync(path.join(s.report, name)).mode & 0o777, 0o600, name);
      assert.ok(!readFileSync(path.join(s.report, name), 'utf8').includes(password), `${name} holds a password`);
    }
    return did;
  };
  s.accounts = async () => (await s.pds.listReposAll()).length;
  return s;
}

describe('accounts', () => {
  const s = stage();

  it('lists users with living documents and without an account, most documents first', async () => {
    const few = await s.user(1);
    const many = await s.user(3, { handle: null, email: null });
    const none = await s.user(0);
    const has = await s.user(2, { did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' });
    const { mongo } = s.scene;
    await mongo.paintings.insertOne(paintingDocument({ user: many._id, code: 'p1', slug: 's1' }));
    await mongo.paintings.insertOne(paintingDocument({ user: many._id, code: 'p2', slug: 's2', nuked: true }));
    await mongo.moods.insertOne(moodDocument({ user: none._id, deleted: true }));
    await mongo.paintings.insertOne(paintingDocument({ code: 'p3', slug: 's3' }));
    await mongo.paintings.insertOne(paintingDocument({ code: 'p4', slug: 's4' }));
    await mongo.moods.insertMany([moodDocument({ user: 'auth0|stranger' }), moodDocument({ user: 5 })]);
    const expected = [
      { handle: null, sub: many._id, email: null, count: 4 },
      { handle: null, sub: GUEST, email: null, count: 2 },
      { handle: few.handle, sub: few._id, email: few.email, count: 1 },
      { handle: null, sub: 'auth0|stranger', email: null, count: 1 },
    ];
    const { code, users, summary, shown } = await s.run('--report', s.report);
    assert.equal(code, 0, shown);
    assert.deepEqual(users, expected);
    assert.deepEqual([summary.users, summary.documents, summary.listed, summary.created], [4, 8, 4, 0]);
    assert.deepEqual(readdirSync(s.report), ['users-without-atproto.json']);
    const file = path.join(s.report, 'users-without-atproto.json');
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), expected);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const one = await s.run('--limit', '2', '--skip', many._id);
    assert.deepEqual(one.users, expected.slice(1, 3), one.shown);
    const { stdout } = await s.refkey.run(['accounts', '--user', `@${few.handle}`]);
    assert.match(stdout, new RegExp(`Users without an ATProto account: 1, with 1 document\\n +1  @${few.handle}  auth0\\|`));
    await mongo.moods.deleteMany({});
    await mongo.paintings.deleteMany({});
  });

  it('refuses what it cannot do with 2', async () => {
    const user = await s.user();
    const cases = [
      [['--create'], {}, /--report DIR/],
      [['--create', '--report', s.report], { REFKEY_PDS_ADMIN_PASSWORD: '' }, /REFKEY_PDS_ADMIN_PASSWORD is not set/],
      [['--create', '--report', s.report], { REFKEY_PDS_ADMIN_PASSWORD: 'wrong-wrong' }, /refuses REFKEY_PDS_ADMIN_PASSWORD/],
      [['--create', '--report', s.report], { REFKEY_PDS_URL: '' }, /REFKEY_PDS_URL/],
      [['--create', '--report', '/proc/refkey'], {}, /\/proc\/refkey/],
      [[], { REFKEY_MONGO_URI: '' }, /REFKEY_MONGO_URI/],
      [['--user', '@nobody-at-all'], {}, /nobody-at-all/],
      [['--skip', '@nobody-at-all'], {}, /nobody-at-all/],
    ];
    for (const [args, env, message] of cases) {
      const { code, stdout, stderr } = await s.refkey.run(['accounts', ...args], { env });
      assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
      assert.match(stderr, message);
      assert.ok(!`${stdout}${stderr}`.includes('wrong-wrong'));
    }
    assert.equal(await s.stored(user), undefined);
  });

  it('a dry run says what would be, and makes nothing', async () => {
    const user = await s.user();
    const there = await s.accounts();
    const { code, users, shown } = await s.run('--create', '--dry-run', ...s.only(user));
    assert.equal(code, 0, shown);
    assert.deepEqual([users[0].outcome, users[0].account, users[0].did], ['created', `${user.handle}.${domain}`, null]);
    assert.equal(await s.stored(user), undefined);
    assert.equal(await s.accounts(), there);
    const { stdout } = await s.refkey.run(['accounts', '--create', '--dry-run', ...s.only(user)]);
    assert.match(stdout, /1 document ✅ Would be made: .*\nDry run: nothing was made\. .*reserves.*e-mail that is taken/);
  });

  it('makes accounts, writes each step down, publishes nothing, and again finds nobody', async () => {
    const [one, two] = [await s.user(1), await s.user(2, { email: null })];
    const { code, users, summary, shown } = await s.create(...s.only(one, two));
    assert.equal(code, 0, shown);
    assert.deepEqual([summary.users, summary.created, summary.failed], [2, 2, 0]);
    assert.deepEqual(users.map((u) => u.sub), [two._id, one._id]);
    for (const u of [one, two]) {
      const did = await s.assertAccount(u, `${u.handle}.${domain}`);
      const { email } = await s.pds.call('com.atproto.admin.getAccountInfo', { did }, { admin: true });
      assert.equal(email, u.email ?? `${u.handle}@${u.handle}.${domain}`);
      assert.ok(!shown.includes((await s.stored(u)).password));
      const steps = s.journal().filter((e) => e.sub === u._id);
      assert.deepEqual(steps.map((e) => [e.step, e.did, e.account]), [
        ['begun', null, `${u.handle}.${domain}`],
        ['made', did, `${u.handle}.${domain}`],
        ['stored', did, `${u.handle}.${domain}`],
      ]);
    }
    const again = await s.create(...s.only(one, two));
    assert.deepEqual([again.code, again.summary.users], [0, 0], again.shown);
    assert.equal(s.journal().length, 6);
  });

  it('gives each user a handle that a PDS takes, and no two the same', async () => {
    await s.pds.account('taken-name.test');
    const expected = [
      ['Ada_Lovelace', /^ada-lovelace$/],
      ['ada.lovelace', /^ada-lovelace-[a-z2-7]{4}$/],
      ['taken.name', /^taken-name-[a-z2-7]{4}$/],
      ['admin', /^admin-[a-z2-7]{4}$/],
      ['x', /^x-[a-z2-7]{4}$/],
      ['_🌱_', /^user-[a-z2-7]{4}$/],
      [null, /^user-[a-z2-7]{4}$/],
      ['someone-whose-name-goes-on', /^someone-whose-name$/],
      ['crème💫brûlée', /^cr-me-br-l-e$/],
    ];
    const users = [];
    for (const [i, [handle]] of expected.entries()) users.push(await s.user(expected.length - i, { handle }));
    const rehearsed = await s.create('--dry-run', ...s.only(...users));
    assert.equal(new Set(rehearsed.users.map((l) => l.account)).size, users.length, rehearsed.shown);
    const { code, users: lines, shown } = await s.create(...s.only(...users));
    assert.equal(code, 0, shown);
    for (const [i, [, pattern]] of expected.entries()) {
      const { account } = lines.find((l) => l.sub === users[i]._id);
      assert.match(account.replace(`.${domain}`, ''), pattern);
      await s.assertAccount(users[i], account);
    }
  });

  it('a user who cannot have one does not keep the others', async () => {
    const other = await s.scene.stranger();
    const taken = await s.user(3, { email: `${other.handle}@mail.example` });
    const good = await s.user(1);
    const odd = await s.user(2, { email: 'no address' });
    const broken = await s.user(1);
    await s.scene.mongo.users.updateOne({ _id: broken._id }, { $set: { atproto: 'abcd-efgh-ijkl-mnop' } });
    const numbered = await s.user(1);
    await s.scene.mongo.users.updateOne({ _id: numbered._id }, { $set: { atproto: { did: 5 } } });
    const rehearsed = await s.create('--dry-run', ...s.only(good, broken, numbered));
    assert.deepEqual([rehearsed.summary.created, rehearsed.summary.failed], [1, 2], rehearsed.shown);
    const { code, users, summary, shown } = await s.create(...s.only(taken, good, odd, broken, numbered));
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.created, summary.failed], [1, 4], shown);
    const reason = (u) => users.find((l) => l.sub === u._id).reason;
    assert.match(reason(taken), /Email already taken/);
    assert.match(reason(odd), /email address is not supported/);
    assert.match(reason(broken), /users\.atproto takes no account/);
    assert.deepEqual(s.journal().filter((e) => e.sub === broken._id), [], 'no account that could not be stored is made');
    assert.ok(!shown.includes('abcd-efgh'), 'what is there may be a password');
    await s.assertAccount(good, `${good.handle}.${domain}`);
    const left = JSON.parse(readFileSync(path.join(s.report, 'users-without-atproto.json'), 'utf8'));
    assert.deepEqual(left.map((u) => u.sub).sort(), [taken, odd, broken, numbered].map((u) => u._id).sort());
    for (const u of left) {
      assert.deepEqual(Object.keys(u), ['handle', 'sub', 'email', 'count', 'reason']);
      assert.equal(u.reason, users.find((l) => l.sub === u.sub).reason);
    }
    await s.scene.mongo.moods.deleteMany({ user: { $in: [taken, odd, broken, numbered].map((u) => u._id) } });
  });

  it('of a user who gets another account meanwhile, that one stays', async () => {
    const user = await s.user();
    const release = Promise.withResolvers();
    const fault = s.proxy.http({ hold: release.promise }, { method: 'com.atproto.server.createAppPassword', times: 1 });
    const running = s.create(...s.only(user));
    await until(() => fault.held === 1, { what: 'the app password is made', ...soon });
    const theirs = { did: 'did:plc:z72i7hdynmk6r22z27h6tvur', password: 'theirs' };
    await s.scene.mongo.users.updateOne({ _id: user._id }, { $set: { atproto: theirs } });
    release.resolve();
    const { code, users, shown } = await running;
    assert.equal(code, 1, shown);
    assert.match(users[0].reason, /has another by now/);
    assert.ok(users[0].did);
    assert.deepEqual(await s.stored(user), theirs);
  });

  it('made for one whose atproto is null, or has a DID that is null or empty', async () => {
    for (const atproto of [null, {}, { did: null }, { did: '' }]) {
      const user = await s.user();
      await s.scene.mongo.users.updateOne({ _id: user._id }, { $set: { atproto } });
      const { code, shown } = await s.create(...s.only(user));
      assert.equal(code, 0, shown);
      await s.assertAccount(user, `${user.handle}.${domain}`);
    }
  });

  it('another run stored the same account meanwhile: done', async () => {
    const user = await s.user();
    const release = Promise.withResolvers();
    const fault = s.proxy.http({ hold: release.promise }, { method: 'com.atproto.server.createAppPassword', times: 1 });
    const running = s.create(...s.only(user));
    await until(() => fault.held === 1, { what: 'the app password is made', ...soon });
    const { did } = s.journal().findLast((e) => e.sub === user._id && e.step === 'made');
    const theirs = { did, password: 'theirs' };
    await s.scene.mongo.users.updateOne({ _id: user._id }, { $set: { atproto: theirs } });
    release.resolve();
    const { code, summary, shown } = await running;
    assert.deepEqual([code, summary.created], [0, 1], shown);
    assert.deepEqual(await s.stored(user), theirs);
  });

  it('--limit, --skip: the rest is for another run', async () => {
    const all = [await s.user(3), await s.user(2), await s.user(1)];
    const looked = await s.refkey.run(['accounts', '--limit', '1']);
    assert.match(looked.stdout, /\nThe limit was reached\.\n$/, 'a list begins anew each time');
    const first = await s.create(...s.only(...all), '--skip', all[0]._id, '--limit', '1');
    assert.deepEqual([first.code, first.summary.created, first.summary.limited], [0, 1, true], first.shown);
    await s.assertAccount(all[1], `${all[1].handle}.${domain}`);
    assert.equal(await s.stored(all[0]), undefined);
    const rest = await s.create(...s.only(...all));
    assert.deepEqual([rest.code, rest.summary.created], [0, 2], rest.shown);
  });

  describe('with a PDS that fails', () => {
    for (const [what, wrong] of Object.entries({
      'answers 500': { status: 500 },
      'answers 429': { status: 429, headers: { 'retry-after': '1' } },
      'resets': { reset: true },
      'does it, and its answer is cut off': { truncate: 0 },
      'is slow': { delay: 1500 },
    })) {
      it(`that ${what}: one account, stored`, async () => {
        const user = await s.user();
        const there = await s.accounts();
        const methods = ['identity.resolveHandle', 'server.createAccount', 'server.createSession', 'server.createAppPassword'];
        const faults = methods.map((name) => s.proxy.http(wrong, { method: `com.atproto.${name}`, times: 2 }));
        const { code, shown } = await s.create(...s.only(user));
        for (const fault of faults) {
          assert.ok(fault.fired > 0, `${fault.method} did not go wrong`);
          fault.end();
        }
        assert.equal(code, 0, shown);
        await s.assertAccount(user, `${user.handle}.${domain}`);
        assert.equal(await s.accounts(), there + 1);
      });
    }

    it('for good: ends with 3, and goes on when it is back', async () => {
      const [one, two] = [await s.user(2), await s.user(1)];
      const fault = s.proxy.http({ status: 503 }, { method: 'com.atproto.server.createAppPassword' });
      const { code, summary, shown } = await s.create(...s.only(one, two));
      fault.end();
      assert.equal(code, 3, shown);
      assert.equal(summary.created, 0);
      const next = await s.create(...s.only(one, two));
      assert.deepEqual([next.code, next.summary.created, next.summary.adopted], [0, 1, 1], next.shown);
      await s.assertAccount(one, `${one.handle}.${domain}`);
      await s.assertAccount(two, `${two.handle}.${domain}`);
    });

    it('a limit that lasts longer than --max-wait: partial, and goes on', async () => {
      const [one, two] = [await s.user(2), await s.user(1)];
      const fault = s.proxy.http(
        { status: 429, headers: { 'retry-after': '3600' } },
        { method: 'com.atproto.server.createAccount', times: 1 },
      );
      const { code, summary, shown } = await s.create(...s.only(one, two), '--max-wait', '2');
      assert.equal(fault.fired, 1);
      assert.deepEqual([code, summary.created, summary.putOff], [1, 0, 2], shown);
      const next = await s.create(...s.only(one, two));
      assert.deepEqual([next.code, next.summary.created], [0, 2], next.shown);
    });

    it('a limit on the first question lasts longer than --max-wait: the summary says so', async () => {
      const user = await s.user();
      for (const method of ['com.atproto.server.describeServer', 'com.atproto.admin.getInviteCodes']) {
        s.proxy.http({ status: 429, headers: { 'retry-after': '3600' } }, { method, times: 1 });
        const { code, summary, shown } = await s.create(...s.only(user), '--max-wait', '0');
        assert.deepEqual([code, summary?.created, summary?.putOff], [1, 0, 1], shown);
      }
    });
  });

  describe('killed', () => {
    // Runs until the condition holds, and then no further.
    async function killWhen(condition, ...args) {
      const child = spawn(binary, ['accounts', '--create', '--report', s.report, ...args], { env: s.refkey.env, stdio: 'ignore' });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      await until(condition, { what: 'where it is to be killed', ...soon });
      child.kill('SIGKILL');
      await ended;
    }
    async function assertGoesOn(user, there, outcome) {
      const { code, users, shown } = await s.create(...s.only(user));
      assert.equal(code, 0, shown);
      assert.equal(users[0].outcome, outcome);
      const did = await s.assertAccount(user, `${user.handle}.${domain}`);
      assert.equal(await s.accounts(), there + 1);
      assert.deepEqual(s.journal().filter((e) => e.sub === user._id && e.step === 'stored').map((e) => e.did), [did]);
    }

    for (const [what, method, wrong, seen, outcome] of [
      ['before the account is made', 'createAccount', { hang: true }, 'fired', 'created'],
      ['once the account is made', 'createAccount', { hold: true }, 'held', 'adopted'],
      ['before the app password is made', 'createAppPassword', { hang: true }, 'fired', 'adopted'],
      ['once the app password is made', 'createAppPassword', { hold: true }, 'held', 'adopted'],
    ]) {
      it(`${what}: it is in the report, and the next run finds it`, async () => {
        const user = await s.user();
        const there = await s.accounts();
        const fault = s.proxy.http(wrong, { method: `com.atproto.server.${method}`, times: 1 });
        await killWhen(() => fault[seen] === 1, ...s.only(user));
        assert.equal(await s.stored(user), undefined);
        const steps = s.journal().map((e) => e.step);
        assert.deepEqual(steps, method === 'createAccount' ? ['begun'] : ['begun', 'made']);
        await assertGoesOn(user, there, outcome);
      });
    }

    it('while MongoDB is away: the same', async () => {
      const user = await s.user();
      const there = await s.accounts();
      const release = Promise.withResolvers();
      const fault = s.proxy.http({ hold: release.promise }, { method: 'com.atproto.server.createAppPassword', times: 1 });
      await killWhen(async () => {
        if (fault.held !== 1) return false;
        if (s.scene.mongo.running) await s.scene.mongo.kill();
        release.resolve();
        return true;
      }, ...s.only(user));
      await s.scene.mongo.start();
      await assertGoesOn(user, there, 'adopted');
    });

    it('in the middle of a line of the report: the next is a line of its own', async () => {
      const user = await s.user();
      writeFileSync(path.join(s.report, JOURNAL), '{"at":"2026-', { mode: 0o644 });
      const { code, shown } = await s.create(...s.only(user));
      assert.equal(code, 0, shown);
      const lines = readFileSync(path.join(s.report, JOURNAL), 'utf8').split('\n');
      assert.equal(lines[0], '{"at":"2026-');
      assert.deepEqual(lines.slice(1, 4).map((l) => JSON.parse(l).step), ['begun', 'made', 'stored']);
      await s.assertAccount(user, `${user.handle}.${domain}`);
    });
  });

  it('MongoDB away and back: goes on', async () => {
    const user = await s.user();
    const release = Promise.withResolvers();
    const fault = s.proxy.http({ hold: release.promise }, { method: 'com.atproto.server.createAppPassword', times: 1 });
    const running = s.create(...s.only(user));
    await until(() => fault.held === 1, soon);
    await s.scene.mongo.kill();
    release.resolve();
    await s.scene.mongo.start();
    const { code, summary, shown } = await running;
    assert.deepEqual([code, summary.created], [0, 1], shown);
    await s.assertAccount(user, `${user.handle}.${domain}`);
  });

  it('Ctrl-C ends it with the summary, and the next run goes on', async () => {
    const [one, two] = [await s.user(2), await s.user(1)];
    const fault = s.proxy.http({ hang: true }, { method: 'com.atproto.server.createAppPassword', times: 1 });
    const child = spawn(binary, ['accounts', '--create', '--report', s.report, ...s.only(one, two)], { env: s.refkey.env });
    let out = '';
    child.stdout.on('data', (text) => (out += text));
    const ended = new Promise((resolve) => child.on('close', resolve));
    await until(() => fault.fired === 1, soon);
    child.kill('SIGINT');
    assert.equal(await ended, 1);
    assert.match(out, /Stopped; running it again continues/);
    const { code, summary, shown } = await s.create(...s.only(one, two));
    assert.deepEqual([code, summary.created, summary.adopted], [0, 1, 1], shown);
  });

  it('two at once into one report: the second is refused', async () => {
    const user = await s.user();
    const release = Promise.withResolvers();
    const fault = s.proxy.http({ hold: release.promise }, { method: 'com.atproto.server.createAppPassword', times: 1 });
    const running = s.create(...s.only(user));
    await until(() => fault.held === 1, soon);
    const second = await s.create(...s.only(user));
    assert.equal(second.code, 2, second.shown);
    assert.match(second.stderr, /another `accounts --create`/);
    release.resolve();
    assert.equal((await running).code, 0);
    await s.assertAccount(user, `${user.handle}.${domain}`);
  });

  it('a report that leads elsewhere, or is known elsewhere, is not written to', async () => {
    const user = await s.user();
    const [journal, victim] = [JOURNAL, 'victim'].map((name) => path.join(s.report, name));
    writeFileSync(victim, 'mine\n');
    for (const make of [() => symlinkSync(victim, journal), () => linkSync(victim, journal), () => execFileSync('mkfifo', [journal])]) {
      make();
      const { code, stderr, shown } = await s.create(...s.only(user));
      assert.equal(code, 2, shown);
      assert.match(stderr, /accounts-created\.jsonl cannot be written/);
      assert.equal(readFileSync(victim, 'utf8'), 'mine\n');
      unlinkSync(journal);
    }
    assert.equal(await s.stored(user), undefined);
    unlinkSync(victim);
    await s.scene.mongo.moods.deleteMany({ user: user._id });
  });

  it('a report that cannot be written: no account is made', async (t) => {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'refkey-test', s.report], { stdio: 'pipe' });
    } catch {
      return t.skip('a small file system cannot be mounted here (that takes root)');
    }
    try {
      assert.throws(() => writeFileSync(path.join(s.report, 'fill'), Buffer.alloc(1 << 20)), /ENOSPC/);
      const user = await s.user();
      const there = await s.accounts();
      const { code, stderr, shown } = await s.create(...s.only(user));
      assert.equal(code, 1, shown);
      assert.match(stderr, /accounts-created\.jsonl cannot be written: No space left/);
      assert.equal(await s.accounts(), there);
      assert.equal(await s.stored(user), undefined);
      await s.scene.mongo.moods.deleteMany({ user: user._id });
    } finally {
      execFileSync('umount', [s.report]);
    }
  });

  it('works beside a running serve, and what it made can be published to', async () => {
    await s.refkey.start();
    await s.refkey.ready();
    const user = await s.user(2);
    const { code, shown } = await s.create(...s.only(user));
    assert.equal(code, 0, shown);
    const did = await s.assertAccount(user, `${user.handle}.${domain}`);
    const { code: published, stdout, stderr } = await s.refkey.run(['publish', 'moods', '--user', user._id]);
    assert.equal(published, 0, stdout + stderr);
    assert.equal((await s.pds.listRecordsAll(did, MOOD)).length, 2);
    await s.refkey.stop();
  });
});

describe('accounts on a PDS that wants invite codes', () => {
  const s = stage({ inviteRequired: true, rateLimitsEnabled: true });

  it('makes a code for each', async () => {
    const users = [await s.user(2), await s.user(1)];
    const { code, summary, shown } = await s.create(...s.only(...users));
    assert.deepEqual([code, summary.created], [0, 2], shown);
    for (const u of users) {
      const did = await s.assertAccount(u, `${u.handle}.${domain}`);
      const info = await s.pds.call('com.atproto.admin.getAccountInfo', { did }, { admin: true });
      assert.ok(info.invitedBy?.code);
      assert.equal(info.email, u.email);
      for (const text of [shown, JSON.stringify(s.journal())]) assert.ok(!text.includes(info.invitedBy.code));
    }
  });

  it('keeps to the limit of new accounts before it bites', async () => {
    // 98 of the 100 that an address may ask for in five minutes.
    const url = `${s.proxy.url}/xrpc/com.atproto.server.createAccount`;
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"handle":"xyz.test"}' };
    for (let left = 100; left > 2; ) {
      const { headers } = await fetch(url, post);
      assert.match(headers.get('ratelimit-policy'), /^100;w=300/);
      left = Number(headers.get('ratelimit-remaining'));
    }
    s.proxy.requests.length = 0;
    const users = await Promise.all([1, 1, 1, 1].map((n) => s.user(n)));
    const { code, summary, shown } = await s.create(...s.only(...users), '--max-wait', '1');
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.created, summary.putOff], [2, 2], shown);
    assert.deepEqual(s.proxy.requests.filter((r) => r.status === 429), []);
  });
});
