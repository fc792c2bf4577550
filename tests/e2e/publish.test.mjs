// `refkey publish moods`: MongoDB to the PDS, alone and beside a running serve. What fails on the way:
// publish-faults.test.mjs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { GUEST, MOOD, moodDocument, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { publishing, users } from './publishing.mjs';
import { asked, assertChecks, linked, settled, soon, startScene, tid } from './scene.mjs';

describe('publish moods', () => {
  let scene;
  let refkey;
  let writer, moods, find, records, publish, assertPublished;

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey();
    await refkey.stop();
    ({ writer, moods, find, records, publish, assertPublished } = publishing(scene, refkey));
  });
  after(() => scene?.close());

  it('refuses what it cannot do with 2', async () => {
    const cases = [
      [[], /moods\|paintings/],
      [['kidlisp'], /kidlisp/],
      [['moods', '--batch-size', '201'], /200/],
      [['moods', '--max-wait', 'x'], /--max-wait/],
      [['moods', '--user', '@nobody-at-all'], /nobody-at-all/],
      [['moods', '--report', '/proc/refkey'], /\/proc\/refkey/],
      [['moods', '--skip-blobs'], /moods have no images/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await refkey.run(['publish', ...args]);
      assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
      assert.match(stderr, message);
      assert.equal(stdout, '', `${args}: nothing was begun`);
    }
  });

  it('a database without users is told of: it may be the wrong one', async () => {
    await writer();
    for (const command of [['publish', 'moods'], ['publish', 'paintings', '--dry-run'], ['accounts']]) {
      const { code, stderr } = await refkey.run(command, { env: { REFKEY_MONGO_DB: 'another' } });
      assert.deepEqual([code, stderr.includes('database another has no users')], [0, true], stderr);
      const { stderr: right } = await refkey.run([...command, '--json']);
      assert.equal(right.includes('has no users'), false, right);
    }
  });

  it('a dry run says what would be, and writes nothing', async () => {
    const person = await writer();
    const all = await moods(person, 3);
    const { code, records: lines, summary, shown } = await publish('--dry-run', ...users(person));
    assert.equal(code, 0, shown);
    assert.equal(summary.created, 3);
    assert.deepEqual(lines.map((l) => l.ref).sort(), all.map((d) => String(d._id)).sort());
    assert.deepEqual(await records(person), []);
    for (const d of all) assert.deepEqual(await find(d._id), d);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('writes records, links documents, and again finds nothing', async () => {
    const people = await Promise.all([writer(), writer(), writer()]);
    const all = await Promise.all(people.map((p, i) => moods(p, [205, 1, 7][i])));
    const gone = await moods(people[0], 1, { deleted: true });
    const had = await moods(people[1], 1, { rkey: tid() });
    const { code, records: lines, summary, shown } = await publish(...users(...people));
    assert.equal(code, 0, shown);
    assert.deepEqual([summary.found, summary.created, summary.linked, summary.failed], [213, 213, 0, 0]);
    assert.deepEqual(lines.map((l) => l.n), lines.map((_, i) => i + 1));
    for (const [i, p] of people.entries()) assert.equal((await assertPublished(p, all[i])).length, all[i].length);
    assert.deepEqual(await find(gone[0]._id), gone[0]);
    assert.deepEqual(await find(had[0]._id), had[0]);
    const again = await publish(...users(...people));
    assert.deepEqual([again.code, again.summary.found], [0, 0], again.shown);
  });

  it('tells people each record on a line', async () => {
    const person = await writer();
    const [d] = await moods(person, 1);
    const poor = await scene.mongo.user({ _id: 'auth0|poor', handle: 'poor' });
    const without = await moods({ user: poor }, 2);
    const { code, stdout } = await refkey.run(['publish', 'moods', '--user', `@${person.name}`, '--user', '@poor']);
    assert.equal(code, 0, stdout);
    const { atproto } = await find(d._id);
    assert.ok(stdout.includes(`[3/3] @${person.name} - ${d.mood} ✅ Synced (${atproto.rkey})\n`), stdout);
    assert.match(stdout, /Mode: live\nBatch size: 200\nDelay: 0 ms\nFound: 3/);
    assert.match(stdout, /@poor: 2 skipped: no ATProto account\n[^]*\nSynced: {2}1\nSkipped: 2\nFailed: {2}0\n/);
    const { summary, shown } = await publish('--user', `@${person.name}`, '--user', '@poor');
    const skipped = [{ handle: 'poor', sub: poor, count: 2, reason: 'no ATProto account' }];
    assert.deepEqual([summary.skipped, summary.skippedUsers], [2, skipped], shown);
    await scene.mongo.moods.deleteMany({ _id: { $in: without.map((w) => w._id) } });
  });

  it('tells a terminal what failed, and why, besides the bar', async () => {
    const person = await writer();
    const [good] = await moods(person, 1);
    const [bad] = await moods(person, 1, { when: 'never' });
    const terminal = (...args) =>
      refkey.run(['-qec', [binary, 'publish', 'moods', '--user', person.user, ...args].map((a) => `'${a}'`).join(' '), '/dev/null'], {
        program: 'script',
      });
    for (const { code, stdout } of [await terminal('--dry-run'), await terminal()]) {
      assert.equal(code, 1, stdout);
      assert.ok(stdout.includes(`❌ Failed: when is not a date (${bad._id})`), stdout);
      assert.ok(!stdout.includes('✅'), stdout);
    }
    assert.ok((await find(good._id)).atproto.rkey);
    const { stdout } = await terminal('--json');
    assert.ok(stdout.startsWith('{"records":['), stdout);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('what a terminal would obey is written out for people, and exact for programs', async () => {
    const person = await writer();
    const handle = 'no\u001b[2Jb\u202eody\n';
    await scene.mongo.handles.updateOne({ _id: person.user }, { $set: { handle } });
    const texts = ['a\u202eb', 'c\u200bd 👩‍👧', 'e\u009bf'];
    const [bad] = await moods(person, 1, { when: 'never' });
    for (const mood of texts) await moods(person, 1, { mood });
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    const { stdout } = await refkey.run(['publish', 'moods', '--dry-run', '--report', report, '--user', person.user]);
    const lines = stdout.split('\n').filter((l) => l.startsWith('['));
    assert.equal(lines.length, texts.length + 1, stdout);
    for (const l of lines) assert.match(l, /^\[\d\/4\] @no\\u\{1b\}\[2Jb\\u\{202e\}ody\\u\{a\} - /);
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/);
    assert.match(stdout, / - a\\u\{202e\}b ✅/);
    assert.match(stdout, / - c\\u\{200b\}d 👩‍👧 ✅/);
    const [error] = JSON.parse(readFileSync(path.join(report, 'migration-errors.json'), 'utf8'));
    assert.deepEqual([error.user, error.ref], [handle, String(bad._id)]);
    rmSync(report, { recursive: true });
    const { records: all } = await publish('--dry-run', ...users(person));
    assert.deepEqual(all.map((l) => l.user), all.map(() => handle));
    assert.ok(all.some((l) => l.words === texts[0]));
    await scene.mongo.moods.deleteMany({ user: person.user });
    await scene.mongo.handles.updateOne({ _id: person.user }, { $set: { handle: person.name } });
  });

  it('what is on the PDS already is linked, under whatever key', async () => {
    const person = await writer();
    const [a, b, c, d, e] = await moods(person, 5);
    const theirs = await scene.pds.createRecord(person, MOOD, moodRecord({ ...a, ref: a._id }));
    const keys = [64, 512].map((length) => 'k'.repeat(length));
    await scene.pds.createRecord(person, MOOD, moodRecord({ ...d, ref: d._id }), keys[0]);
    await scene.pds.createRecord(person, MOOD, moodRecord({ ...e, ref: e._id }), keys[1]);
    await scene.pds.createRecord(person, MOOD, { text: b.mood, when: b.when.toISOString(), mongoId: String(b._id).toUpperCase() });
    const { code, summary, records: lines, shown } = await publish(...users(person));
    assert.deepEqual([code, summary.created, summary.linked], [0, 1, 4], shown);
    assert.equal((await find(a._id)).atproto.rkey, theirs.rkey);
    for (const [i, { _id }] of [d, e].entries()) {
      assert.equal((await find(_id)).atproto.rkey, keys[i]);
      assert.equal(lines.find(({ ref }) => ref === String(_id)).rkey, keys[i]);
    }
    assert.equal((await records(person)).length, 5);
    assert.ok((await find(c._id)).atproto.rkey);
  });

  it('a key that another record has gives way', async () => {
    const [one, two] = await Promise.all([writer(), writer()]);
    const [d] = await moods(one, 1);
    const dry = await publish('--dry-run', ...users(one));
    const [{ rkey }] = dry.records;
    await scene.pds.createRecord(one, MOOD, moodRecord({ mood: 'in the way', ref: objectId() }), rkey);
    const { code, records: lines, shown } = await publish(...users(one, two));
    assert.equal(code, 0, shown);
    assert.notEqual(lines[0].rkey, rkey);
    await assertPublished(one, [d]);
    assert.equal((await records(one)).find((r) => r.uri.endsWith(rkey)).value.mood, 'in the way');
  });

  // The place within its millisecond that a document's key begins with.
  const placeOf = (id) => {
    const hash = createHash('sha256').update(`${MOOD}\0`).update(id.id).digest();
    return hash.readBigUInt64BE() % 1_024_000n;
  };

  it('two of one batch whose keys meet: one gives way, and both are written in one request', async () => {
    const person = await writer();
    const places = new Map();
    const ids = [];
    while (ids.length === 0) {
      const id = objectId();
      const other = places.get(placeOf(id));
      if (other) ids.push(other, id);
      places.set(placeOf(id), id);
    }
    const when = new Date(Date.now() - 3_600_000);
    const all = ids.map((_id) => moodDocument({ _id, user: person.user, mood: 'the same', when }));
    await scene.mongo.moods.insertMany(all);
    const writes = scene.proxy.count('com.atproto.repo.applyWrites');
    const { code, summary, shown } = await publish(...users(person));
    assert.deepEqual([code, summary.created], [0, 2], shown);
    assert.equal((await assertPublished(person, all)).length, 2);
    assert.equal(scene.proxy.count('com.atproto.repo.applyWrites') - writes, 1);
  });

  it('--limit, --skip, --batch-size and --delay', async () => {
    const [one, two] = await Promise.all([writer(), writer()]);
    const [timeless, ...all] = [...(await moods(one, 1, { when: 'yesterday' })), ...(await moods(one, 5)), ...(await moods(two, 2))];
    const limited = await publish(...users(one, two), '--skip', two.did, '--limit', '2');
    assert.deepEqual([limited.code, limited.summary.created, limited.summary.limited], [0, 2, true], limited.shown);
    assert.deepEqual(limited.records.map((l) => l.ref).sort(), all.slice(0, 2).map((d) => String(d._id)).sort(), limited.shown);
    await scene.mongo.moods.deleteOne({ _id: timeless._id });
    scene.proxy.requests.length = 0;
    const rest = await publish(...users(one, two), '--batch-size', '1', '--delay', '10');
    assert.deepEqual([rest.code, rest.summary.created], [0, 5], rest.shown);
    assert.equal(scene.proxy.count('com.atproto.repo.applyWrites'), 5);
    assert.equal(scene.proxy.count('com.atproto.server.createSession'), 2);
    await assertPublished(one, all.slice(0, 5));
    await assertPublished(two, all.slice(5));
  });

  it('guests only with --guests', async () => {
    const guest = await scene.writer({ user: GUEST });
    const [d] = await moods({}, 1);
    const { user, ...guests } = d;
    await scene.mongo.moods.replaceOne({ _id: d._id }, guests);
    assert.equal((await publish()).summary.found, 0);
    const { code, summary, shown } = await publish('--guests');
    assert.deepEqual([code, summary.created], [0, 1], shown);
    await assertPublished(guest, [guests]);
  });

  it('a document whose atproto is null gets its key like any other', async () => {
    const person = await writer();
    const all = [...(await moods(person, 1, { atproto: null })), ...(await moods(person, 2))];
    const { code, summary, shown } = await publish(...users(person));
    assert.equal(code, 0, shown);
    assert.equal(summary.created, 3, shown);
    await assertPublished(person, all);
  });

  it('what cannot become a record is told, and the rest is published', async () => {
    const person = await writer();
    const [good, half] = [...(await moods(person, 1)), ...(await moods(person, 1, { mood: 'half \ud83d' }))];
    const bad = {
      'when is missing': { when: undefined },
      'when is not a date': { when: '2025-01-01T00:00:00Z' },
      'mood has 5001 bytes, 5000 are allowed': { mood: 'é'.repeat(2500) + 'x' },
      'mood is missing': { mood: undefined },
      'mood is not a string': { mood: 5 },
      'atproto is not an object': { atproto: 'no' },
    };
    const ids = {};
    for (const [reason, change] of Object.entries(bad)) {
      const d = { ...moodDocument({ user: person.user, mood: 'bad' }), ...change };
      for (const [name, value] of Object.entries(change)) if (value === undefined) delete d[name];
      await scene.mongo.moods.insertOne(d);
      ids[String(d._id)] = reason;
    }
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    chmodSync(report, 0o755);
    const { code, records: lines, summary, shown } = await publish('--report', report, ...users(person));
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.created, summary.failed], [2, 6], shown);
    const failed = lines.filter((l) => l.outcome === 'failed');
    assert.deepEqual(Object.fromEntries(failed.map((l) => [l.ref, l.reason])), ids);
    await assertPublished(person, [good, await find(half._id)]); // as drivers write it
    assert.deepEqual(readdirSync(report).sort(), ['migration-errors.json', 'publish-summary.json', 'users-without-atproto.json']);
    for (const name of readdirSync(report)) assert.equal(statSync(path.join(report, name)).mode & 0o777, 0o600);
    const errors = JSON.parse(readFileSync(path.join(report, 'migration-errors.json'), 'utf8'));
    assert.deepEqual(Object.fromEntries(errors.map((e) => [e.ref, e.reason])), ids);
    // A later run without errors leaves none of an earlier one's.
    await scene.mongo.moods.deleteMany({ user: person.user, 'atproto.rkey': { $exists: false } });
    writeFileSync(path.join(report, 'mine.json'), '');
    for (const more of [['--dry-run'], []]) {
      const clean = await publish('--report', report, ...more, ...users(person));
      assert.equal(clean.code, 0, clean.shown);
      assert.deepEqual(readdirSync(report).sort(), ['mine.json', 'publish-summary.json', 'users-without-atproto.json']);
    }
    rmSync(report, { recursive: true });
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  // What audit calls not synced is what publish does, or tells by name.
  it('whatever is no key is none; what can never be published is told by its _id', async () => {
    await scene.mongo.moods.deleteMany({});
    const person = await writer();
    const keys = ['', 5, false, { a: 1 }, ['3kaaaaaaaaaa2'], null];
    const none = [];
    for (const rkey of keys) none.push(...(await moods(person, 1, { atproto: { rkey } })));
    const named = await moods(person, 1, { rkey: tid() });
    const text = 'a \u001b[31m\u202e' + 'é'.repeat(2000);
    const ids = [text, 17, { a: [1] }];
    for (const _id of ids) await scene.mongo.moods.insertOne({ ...moodDocument({ user: person.user, mood: 'x' }), _id });
    await scene.mongo.moods.insertOne({ ...moodDocument({ user: person.user, mood: 'x' }), atproto: [{ rkey: 'x' }] });
    const [nobodys] = await moods(person, 1, { user: 12 });
    const { code, records: lines, summary, shown } = await publish();
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.found, summary.created, summary.failed], [keys.length + 5, keys.length, 5], shown);
    assert.deepEqual(lines.map((l) => [l.n, l.total]), lines.map((_, i) => [i + 1, keys.length + 5]));
    const failed = lines.filter((l) => l.outcome === 'failed');
    const foreign = failed.filter((l) => l.reason === 'the _id is no ObjectId');
    assert.deepEqual(foreign.map((l) => l.user), ids.map(() => person.name));
    assert.deepEqual(
      foreign.map((l) => l.ref).sort(),
      ['"a \\u001b[31m\u202e' + 'é'.repeat(56) + '…', '17', '{ "a" : [ 1 ] }'].sort(),
    );
    assert.deepEqual(failed.filter((l) => l.reason === 'its user is no string').map((l) => l.ref), [String(nobodys._id)]);
    assert.equal(failed.filter((l) => l.reason === 'atproto is not an object').length, 1, shown);
    assert.match((await refkey.run(['publish', 'moods'])).stdout, /^\[\d\/5\] nobody ❌ Failed: its user is no string \(/m);
    const theirs = await records(person);
    for (const d of none) {
      const record = theirs.find((r) => r.value.ref === String(d._id));
      assert.ok(record, `${JSON.stringify(d.atproto)} is published`);
      assert.deepEqual((await find(d._id)).atproto, { rkey: record.uri.split('/').pop() });
    }
    assert.deepEqual(await find(named[0]._id), named[0]);
    assert.equal(theirs.length, none.length);
    await scene.mongo.moods.deleteMany({});
  });

  it('a full disk takes the reports, not the records', async (t) => {
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'refkey-test', report], { stdio: 'pipe' });
    } catch {
      rmSync(report, { recursive: true });
      return t.skip('a small file system cannot be mounted here (that takes root)');
    }
    try {
      assert.throws(() => writeFileSync(path.join(report, 'fill'), Buffer.alloc(1 << 20)), /ENOSPC/);
      const person = await writer();
      const all = await moods(person, 1);
      const { code, stderr, shown } = await publish('--report', report, ...users(person));
      assert.equal(code, 1, shown);
      assert.match(stderr, /publish-summary\.json cannot be written: No space left/);
      assert.deepEqual(readdirSync(report), ['fill']);
      await assertPublished(person, all);
    } finally {
      execFileSync('umount', [report]);
      rmSync(report, { recursive: true });
    }
  });

  it('a user who fails does not keep the others; nobody sees a password', async () => {
    const [good, wrong, none, closed, away] = [await writer(), await writer('hunter2-hunter2'), await scene.person(), await writer(), await writer()];
    const all = await moods(good, 2);
    for (const p of [wrong, none, closed, away]) await moods(p, 1);
    await Promise.all([scene.pds.deleteAccount(closed.did), scene.pds.deactivate(away)]);
    const poor = await scene.mongo.user({ _id: 'auth0|poorer', handle: 'poorer' });
    await Promise.all([scene.mongo.users.updateOne({ _id: poor }, { $set: { email: 'p@mail.example' } }), moods({ user: poor }, 3)]);
    const everybody = users(good, wrong, none, closed, away, { user: poor });
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    const dry = await publish('--dry-run', ...everybody);
    assert.deepEqual([dry.summary.created, dry.summary.failed], [3, 3], dry.shown); // of the login nothing is known
    const { code, records: lines, summary, shown } = await publish('--report', report, ...everybody);
    assert.deepEqual([code, summary.created, summary.failed, summary.skipped], [1, 2, 4, 3], shown);
    await assertPublished(good, all);
    const reason = (p) => lines.find((l) => l.did === p.did).reason;
    const wanted = [[wrong, /AuthenticationRequired/], [none, /no app password/], [closed, /RepoNotFound/], [away, /is deactivated/]];
    for (const [p, text] of wanted) assert.match(reason(p), text);
    const files = readdirSync(report).map((name) => readFileSync(path.join(report, name), 'utf8'));
    assert.ok(![shown, ...files].some((text) => text.includes('hunter2')));
    assert.deepEqual(JSON.parse(readFileSync(path.join(report, 'users-without-atproto.json'), 'utf8')), [
      { handle: 'poorer', sub: poor, email: 'p@mail.example', count: 3 },
    ]);
    rmSync(report, { recursive: true });
    await scene.mongo.moods.deleteMany({ user: { $in: [wrong.user, none.user, closed.user, away.user, poor] } });
  });

  describe('beside a running serve', () => {
    before(async () => {
      await refkey.start();
      await refkey.ready();
    });

    it('does the same, while the mirror links what it sees', async () => {
      const people = await Promise.all([writer(), writer()]);
      const all = await Promise.all(people.map((p) => moods(p, 30)));
      const { code, summary, shown } = await publish(...users(...people), '--batch-size', '10');
      assert.equal(code, 0, shown);
      assert.equal(summary.created + summary.linked, 60, shown);
      for (const [i, p] of people.entries()) {
        for (const r of await assertPublished(p, all[i])) await linked(refkey, r);
      }
      await settled(refkey);
      await assertChecks(refkey);
    });

    // Asked as a command beside serve asks, to see what it is told.
    it('how many there are is told before the first is written', async () => {
      const person = await writer();
      await moods(person, 3);
      await moods(person, 1, { mood: undefined });
      const poor = await scene.mongo.user({ _id: `${person.user}-poor` });
      await moods({ user: poor }, 2);
      await scene.mongo.moods.insertOne({ ...moodDocument({ user: person.user }), _id: 17 });
      const totals = async (limit) => {
        const request = { operation: 'publish', documents: 'moods', users: [person.user, poor], dryRun: true, limit };
        const events = await asked(refkey, request);
        const kinds = events.map((e) => e.event).filter((kind) => kind !== 'note');
        assert.deepEqual(kinds.slice(0, 5), ['begin', 'without', 'line', 'progress', 'line'], JSON.stringify(events));
        return events.filter((e) => e.total !== undefined && e.event !== 'without').map((e) => [e.event, e.done ?? e.n, e.total]);
      };
      // 2 of whom has no account, 1 that no ref can name; 4 to be looked at, of which one cannot be a record.
      const line = (n, total) => ['line', n, total];
      assert.deepEqual(await totals(0), [line(3, 7), ['progress', 3, 7], line(4, 7), line(5, 7), line(6, 7), line(7, 7)]);
      const limited = await totals(2);
      assert.deepEqual(limited.slice(0, 2), [line(3, 5), ['progress', 3, 5]]);
      await scene.mongo.moods.deleteMany({ user: { $in: [person.user, poor] } });
    });

    it('two at once: the second is refused', async () => {
      const person = await writer();
      const all = await moods(person, 3);
      const { promise, resolve } = Promise.withResolvers();
      const fault = scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.listRecords', times: 1 });
      const first = publish(...users(person));
      await until(() => fault.held === 1, { what: 'the first is under way', ...soon });
      const second = await publish(...users(person));
      assert.equal(second.code, 2, second.shown);
      assert.match(second.stderr, /another publish/);
      const erasing = await refkey.run(['forget', person.user, '--yes']);
      assert.equal(erasing.code, 2, erasing.stderr);
      assert.match(erasing.stderr, /another publish/);
      resolve();
      const { code, shown } = await first;
      assert.equal(code, 0, shown);
      assert.equal((await assertPublished(person, all)).length, 3);
    });
  });
});
