// `refkey lexicon`: lexicons against the specification, records against lexicons, as the reference
// implementation judges them; lexicons as records on the PDS, alone and beside a running serve.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Lexicons, jsonToLex, parseLexiconDoc } from '@atproto/lexicon';
import { files, text } from '../lint/tree.mjs';
import { Child } from '../kit/child.mjs';
import { binary } from '../kit/refkey.mjs';
import { MOOD, PAINTING, moodRecord, objectId, oldMoodRecord, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { seen, settled, soon, startScene, tid } from './scene.mjs';

const SCHEMA = 'com.atproto.lexicon.schema';
const docs = files.filter((file) => /^lexicons\/.*\.json$/.test(file)).map((file) => JSON.parse(text(file)));

describe('lexicon', () => {
  let scene;
  let refkey;
  let folder;

  async function lexicon(...args) {
    const { code, signal, stdout, stderr } = await refkey.run(['lexicon', args[0], '--json', ...args.slice(1)]);
    const shown = `lexicon ${args.join(' ')}: ${signal ?? code}\n${stdout.slice(0, 4000)}${stderr}`;
    assert.notEqual(code, null, shown);
    return { code, shown, stderr, ...(stdout && JSON.parse(stdout)) };
  }
  function write(name, value) {
    const file = path.join(folder, name);
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  }
  const writer = (password) => scene.writer({ password });

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-lexicons-'));
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey();
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await scene?.close();
  });

  it('refuses what it cannot do with 2', async () => {
    const person = await scene.person();
    const user = ['--user', person.user];
    const cases = [
      [[], /validate\|publish/],
      [['check'], /accepted: validate/],
      [['validate', '--records', 'x.json'], /accepted: validate/],
      [['validate', path.join(folder, 'not-there.json')], /^refkey: \S*not-there\.json: No such file or directory\n$/],
      [['validate', write('broken.json', '{"lexicon":')], /broken\.json/],
      [['validate', write('list.json', '[]')], /is no JSON object/],
      [['validate', ...user], /--user and --dry-run are of publish/],
      [['validate', '--records', '--dry-run'], /--user and --dry-run are of publish/],
      [['publish'], /--user/],
      [['publish', ...user, '--user', '@other'], /one --user/],
      [['publish', '--user', '@nobody-at-all'], /no such user: @nobody-at-all/],
      [['publish', '--user', await scene.mongo.user({ _id: 'auth0|poor' })], /no ATProto account/],
      [['publish', ...user], /REFKEY_MONGO_URI/, { REFKEY_MONGO_URI: '' }],
      [['publish', ...user], /REFKEY_PDS_URL/, { REFKEY_PDS_URL: '' }],
    ];
    for (const [args, message, env] of cases) {
      const { code, stdout, stderr } = await refkey.run(['lexicon', ...args], { env });
      assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
      assert.match(stderr, message);
    }
  });

  describe('validate', () => {
    it('finds nothing in its own', async () => {
      const { code, lexicons, summary, shown } = await lexicon('validate');
      assert.equal(code, 0, shown);
      assert.deepEqual(lexicons.map((l) => l.id).sort(), docs.map((d) => d.id).sort());
      assert.deepEqual(lexicons.flatMap((l) => l.findings), []);
      assert.deepEqual(summary, { lexicons: docs.length, findings: 0 });
    });

    it('says what is wrong with a file, and where', async () => {
      const doc = structuredClone(docs.find((d) => d.id === MOOD));
      doc.defs.main.record.properties.mood.maxLenght = 5;
      const { code, lexicons, shown } = await lexicon('validate', write('mood.json', doc));
      assert.equal(code, 1, shown);
      const at = 'defs.main.record.properties.mood.maxLenght';
      assert.deepEqual(lexicons, [{ id: MOOD, findings: [{ path: at, text: 'is not a field of string' }] }]);
      const { stdout } = await refkey.run(['lexicon', 'validate', path.join(folder, 'mood.json')]);
      assert.equal(stdout, `❌ ${MOOD}\n  ${at} is not a field of string\n1 lexicon, 1 finding\n`);
    });

    it('what a terminal would obey in a file is shown, and exact with --json', async () => {
      const odd = 'a\u001b[31m\u202eb';
      const long = 'x' + 'é'.repeat(400);
      const doc = { lexicon: 1, id: odd, defs: { main: { type: 'string', [odd]: 1, [long]: 2 } } };
      const file = write('odd.json', doc);
      const people = await refkey.run(['lexicon', 'validate', file]);
      assert.equal(people.code, 1, people.stdout + people.stderr);
      assert.doesNotMatch(people.stdout, /[\u0000-\u0009\u000b-\u001f\u202e]/);
      assert.ok(people.stdout.includes('❌ a\\u{1b}[31m\\u{202e}b\n'), people.stdout);
      assert.ok(people.stdout.includes('defs.main.a\\u{1b}[31m\\u{202e}b '), people.stdout);
      const { lexicons, shown } = await lexicon('validate', file);
      assert.equal(lexicons[0].id, odd);
      const paths = lexicons[0].findings.map((f) => f.path);
      assert.ok(paths.includes(`defs.main.${odd}`), shown);
      assert.ok(paths.some((p) => p.startsWith('defs.main.xéé')), shown);
      const broken = await refkey.run(['lexicon', 'validate', write('odd-broken.json', '{"\u202e\u001b": \u202e')]);
      assert.equal(broken.code, 2);
      assert.doesNotMatch(broken.stderr, /[\u001b\u202e]/);
    });

    it('whatever the reference refuses, it refuses', async () => {
      // Each value anywhere in each of our lexicons, replaced by others.
      const others = [undefined, null, 5, -1, 'x', '', true, [], {}, ['x'], { type: 'string' }, { type: 'nothing' }];
      const mutants = [];
      const mutate = (root, holder, key) => {
        const was = holder[key];
        for (const other of others) {
          if (other === undefined) delete holder[key];
          else holder[key] = other;
          mutants.push(structuredClone(root));
          holder[key] = was;
        }
        if (typeof was === 'object' && was !== null) for (const inner of Object.keys(was)) mutate(root, was, inner);
      };
      for (const doc of docs) {
        const root = structuredClone(doc);
        for (const key of Object.keys(root)) mutate(root, root, key);
      }
      const refused = mutants.filter((doc) => {
        try {
          parseLexiconDoc(structuredClone(doc));
          return false;
        } catch {
          return true;
        }
      });
      assert.ok(refused.length > 1000, `${refused.length} of ${mutants.length}`);
      // Each has a NSID of its own, where it has one that is good: one call for many.
      const passed = [];
      for (let from = 0; from < refused.length; from += 400) {
        const part = refused.slice(from, from + 400);
        const names = part.map((doc, i) => write(`m${i}.json`, doc));
        const { lexicons } = await lexicon('validate', ...names);
        assert.equal(lexicons.length, part.length);
        lexicons.forEach((l, i) => l.findings.length === 0 && passed.push(JSON.stringify(part[i]).slice(0, 2000)));
      }
      assert.deepEqual(passed, []);
    });
  });

  describe('validate --records', () => {
    const lexicons = new Lexicons(structuredClone(docs));
    const fits = (collection, value) => {
      try {
        lexicons.assertValidRecord(collection, jsonToLex(value));
        return true;
      } catch {
        return false;
      }
    };
    let made;

    before(async () => {
      const person = await scene.person();
      const good = () => ({ ref: objectId() });
      const painting = () => paintingRecord({ ...good(), code: `c${tid().slice(-6)}`, slug: tid() });
      const values = [
        [MOOD, moodRecord(good())],
        [MOOD, { ...moodRecord(good()), more: [1, { a: null }] }],
        [MOOD, { ...moodRecord(good()), mood: 'é'.repeat(2500) }],
        [MOOD, { ...moodRecord(good()), mood: `${'é'.repeat(2500)}x` }],
        [MOOD, { ...moodRecord(good()), mood: 'a NUL \0 in it' }],
        [MOOD, { ...moodRecord(good()), mood: 5 }],
        [MOOD, { ...moodRecord(good()), when: '2025-01-01' }],
        [MOOD, { ...moodRecord(good()), when: null }],
        [MOOD, { ...moodRecord(good()), ref: ['a'] }],
        [MOOD, moodRecord({})],
        [MOOD, oldMoodRecord(good())],
        [PAINTING, painting()],
        [PAINTING, { ...painting(), code: 'c'.repeat(11) }],
        [PAINTING, { ...painting(), slug: 's'.repeat(129) }],
        [PAINTING, { ...painting(), imageUrl: 'no uri' }],
        [PAINTING, { ...painting(), recordingUrl: 'https://aesthetic.computer/x' }],
        [PAINTING, { ...painting(), thumbnail: 'x' }],
        [PAINTING, { ...painting(), thumbnail: {} }],
      ];
      made = [];
      for (const [collection, value] of values) {
        const { uri, cid, rkey } = await scene.pds.createRecord(person, collection, value);
        made.push({ uri, cid, collection, rkey, value: { $type: collection, ...value } });
      }
      for (const record of made) await seen(refkey, record);
      await settled(refkey);
    });

    const check = async (why) => {
      const { code, findings, summary, shown } = await lexicon('validate', '--records');
      assert.equal(code, 1, shown);
      const wrong = [...new Set(findings.map((f) => f.uri))].sort();
      assert.deepEqual(wrong, made.filter((r) => !fits(r.collection, r.value)).map((r) => r.uri).sort(), why);
      assert.ok(wrong.length >= 9 && wrong.length < made.length - 4, `${wrong.length}`);
      assert.deepEqual([summary.records, summary.invalid, summary.stopped], [made.length, wrong.length, false]);
      const long = findings.find((f) => f.uri === made[3].uri);
      assert.deepEqual([long.path, long.text], ['mood', 'is 5001 bytes, at most 5000 is allowed']);
      return findings;
    };

    it('finds those, and only those, that the reference refuses; with a running serve and without', async () => {
      const beside = await check('beside serve');
      await refkey.stop();
      assert.deepEqual(await check('alone'), beside);
      await refkey.start();
      await refkey.ready();
    });

    it('reads more than it takes at a time, and ends with 0 where all fit', async () => {
      const person = await scene.person();
      const other = await scene.refkey({}, { start: false });
      await scene.pds.deleteAccount(made[0].uri.split('/')[2]);
      const writes = Array.from({ length: 200 }, () => ({ action: 'create', collection: MOOD, value: moodRecord({ ref: objectId() }) }));
      for (let i = 0; i < 3; i++) await scene.pds.applyWrites(person, writes);
      await scene.pds.createRecord(await scene.person(), PAINTING, paintingRecord({ ref: objectId(), code: 'last', slug: 'last' }));
      await other.start();
      await other.ready();
      await other.stop();
      const { code, stdout, stderr } = await other.run(['lexicon', 'validate', '--records']);
      assert.equal(stdout, '601 records, 0 do not fit their lexicon\n', stderr);
      assert.equal(code, 0);
    });
  });

  describe('publish', () => {
    const there = async (person) =>
      Object.fromEntries((await scene.pds.listRecordsAll(person.did, SCHEMA)).map((r) => [r.uri.split('/').pop(), r.value]));
    const expected = Object.fromEntries(docs.map((doc) => [doc.id, { $type: SCHEMA, ...doc }]));
    const publish = (person, ...args) => lexicon('publish', '--user', person.user, ...args);

    it('writes what is not there, then nothing; a dry run writes nothing', async () => {
      const person = await writer();
      const dry = await publish(person, '--dry-run');
      assert.deepEqual([dry.code, dry.summary.created, dry.summary.dryRun], [0, docs.length, true], dry.shown);
      assert.deepEqual(await there(person), {});
      const first = await publish(person);
      assert.deepEqual([first.code, first.summary.created, first.summary.failed], [0, docs.length, 0], first.shown);
      assert.deepEqual(await there(person), expected);
      assert.equal(first.did, person.did);
      assert.deepEqual(first.names.sort(), ['_lexicon.aesthetic.computer', '_lexicon.refkey.aesthetic.computer']);
      const writes = scene.proxy.count('com.atproto.repo.applyWrites');
      const again = await publish(person);
      assert.deepEqual([again.code, again.summary.unchanged, again.summary.created], [0, docs.length, 0], again.shown);
      assert.equal(scene.proxy.count('com.atproto.repo.applyWrites'), writes);
    });

    it('says that it waits for a limit, and ends on Ctrl-C', async () => {
      const person = await writer();
      const limit = { status: 429, headers: { 'retry-after': '3600' } };
      const fault = scene.proxy.http(limit, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const child = new Child('lexicon', [binary, 'lexicon', 'publish', '--user', person.user], { env: refkey.env });
      await child.ready(() => child.lines.some((line) => /^refkey: the PDS's limits: waiting 3\d+ s/.test(line)), soon);
      const { code } = await child.stop({ signal: 'SIGINT' });
      assert.deepEqual([code, fault.fired], [1, 1], child.tail());
      assert.ok(child.lines.includes('Stopped; running it again continues.'), child.tail());
      assert.deepEqual(await there(person), {});
    });

    it('writes over another version, and leaves other lexicons alone', async () => {
      const person = await writer();
      const other = { lexicon: 1, id: 'com.example.other', defs: { main: { type: 'token' } } };
      await scene.pds.createRecord(person, SCHEMA, other, other.id);
      await scene.pds.createRecord(person, SCHEMA, { ...docs[0], description: 'an older one' }, docs[0].id);
      const { code, lexicons, summary, shown } = await publish(person);
      assert.deepEqual([code, summary.updated, summary.created], [0, 1, docs.length - 1], shown);
      assert.equal(lexicons.find((l) => l.id === docs[0].id).outcome, 'updated');
      assert.deepEqual(await there(person), { ...expected, [other.id]: { $type: SCHEMA, ...other } });
    });

    it('tells people what is where, and what others need to find it', async () => {
      const person = await writer();
      const dry = await refkey.run(['lexicon', 'publish', '--user', `@${person.name}`, '--dry-run']);
      assert.match(dry.stdout, new RegExp(`✅ ${MOOD} would be created\\n`));
      assert.match(dry.stdout, /\nDry run: nothing was written\.\n/);
      const { code, stdout } = await refkey.run(['lexicon', 'publish', '--user', `@${person.name}`]);
      assert.equal(code, 0, stdout);
      assert.match(stdout, new RegExp(`✅ ${MOOD} created\\n`));
      assert.ok(stdout.includes(`  _lexicon.aesthetic.computer. TXT "did=${person.did}"\n`), stdout);
    });

    it('what the PDS refuses ends with 1, without the password', async () => {
      const person = await writer('hunter2-hunter2');
      const { code, shown } = await publish(person);
      assert.equal(code, 1, shown);
      assert.match(shown, /AuthenticationRequired/);
      assert.ok(!shown.includes('hunter2'));
      assert.deepEqual(await there(person), {});
      const people = await refkey.run(['lexicon', 'publish', '--user', person.user]);
      assert.equal(people.code, 1, people.stdout + people.stderr);
      assert.match(people.stdout, new RegExp(`^❌ ${docs.length} lexicons failed: .*AuthenticationRequired.*\\n$`));
    });

    it('nor what a terminal would obey', async () => {
      const person = await writer();
      const body = JSON.stringify({ error: 'InvalidRequest', message: 'no \u001b[31m\u202e' });
      const fault = scene.proxy.http({ status: 400, body }, { method: 'com.atproto.repo.applyWrites' });
      const exact = await publish(person);
      const people = await refkey.run(['lexicon', 'publish', '--user', person.user]);
      fault.end();
      assert.deepEqual([exact.code, people.code], [1, 1], exact.shown);
      assert.ok(exact.lexicons.every((l) => l.reason.includes('\u202e')), exact.shown);
      assert.match(people.stdout, /failed: .*no \\u\{1b\}\[31m\\u\{202e\}\n/);
      assert.doesNotMatch(people.stdout + people.stderr, /[\u001b\u202e]/);
    });

    for (const [what, wrong] of Object.entries({
      'answers 500': { status: 500 },
      'answers 429': { status: 429, headers: { 'retry-after': '1' } },
      'resets': { reset: true },
      'writes, and its answer is cut off': { truncate: 0 },
      'is slow': { delay: 1500 },
      'never answers': { hang: true },
    })) {
      it(`a PDS that ${what}: all there, once`, async () => {
        const person = await writer();
        const fault = scene.proxy.http(wrong, { method: 'com.atproto.repo.applyWrites', times: 1 });
        const { code, shown } = await publish(person);
        assert.equal(fault.fired, 1);
        assert.equal(code, 0, shown);
        assert.deepEqual(await there(person), expected);
      });
    }

    it('killed behind the yes of the PDS: the next run finds all of it', async () => {
      const person = await writer();
      const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const child = spawn(binary, ['lexicon', 'publish', '--user', person.user], { env: refkey.env, stdio: 'ignore' });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      await until(() => fault.held === 1, soon);
      child.kill('SIGKILL');
      await ended;
      const { code, summary, shown } = await publish(person);
      assert.deepEqual([code, summary.unchanged], [0, docs.length], shown);
      assert.deepEqual(await there(person), expected);
    });
  });
});
