// `refkey repair --undo`: what was deleted comes back as it was, and nothing else does: an undo file is only
// believed as far as it proves itself.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MOOD, PAINTING, moodRecord, objectId } from '../kit/shapes.mjs';
import { entries, repairing, users } from './repairing.mjs';
import { settled, startScene, tid } from './scene.mjs';

describe('repair --undo', () => {
  let scene;
  let refkey;
  let folder;
  let repair, keys, records, undoFolder, writer, record, mood;

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-undo-'));
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_ON_DELETE: 'keep', REFKEY_SWEEP_SECONDS: '1' });
    await refkey.stop();
    ({ repair, keys, records, undoFolder, writer, record, mood } = repairing(scene, refkey));
  });
  after(async () => {
    await scene?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  let files = 0;
  function file(text) {
    const name = path.join(folder, `undo-${files++}.jsonl`);
    writeFileSync(name, text);
    return name;
  }
  const lines = (list) => list.map((line) => `${JSON.stringify(line)}\n`).join('');

  it('takes no line that is not what was deleted, and then does nothing at all', async () => {
    const [one, two] = [await writer(), await writer()];
    await mood(one, 2, 0);
    const theirs = await mood(two, 2, 0);
    const { summary } = await repair('--duplicates', '--yes', ...users(one, two));
    const whole = entries(summary.undo).sort((a) => (a.did === one.did ? -1 : 1));
    const stranger = await scene.stranger();
    const cases = {
      'another record': [{ record: { ...whole[1].record, mood: 'edited' } }, /its record is not the one of its cid/],
      'a record with more in it': [{ record: { ...whole[1].record, more: 1 } }, /its record is not the one of its cid/],
      'another cid': [{ cid: whole[0].cid }, /its record is not the one of its cid/],
      'no cid': [{ cid: undefined }, /its cid/],
      'no record': [{ record: undefined }, /no entry/],
      'another collection of refkey’s': [{ collection: 'computer.aesthetic.tape' }, /its collection/],
      'another collection': [{ collection: 'app.bsky.feed.post' }, /its collection/],
      'a key that is none': [{ rkey: 'a/b' }, /its rkey/],
      'a repo that is none': [{ did: 'did:plc:nobody' }, /its did/],
      'a repo of no user': [{ did: stranger.did }, /no user has its did/],
      'another user’s repo': [{ did: one.did }, /its record's document is somebody else's/],
    };
    for (const [what, [change, message]] of Object.entries(cases)) {
      for (const dry of [['--dry-run'], []]) {
        const { code, stdout, stderr, shown } = await repair('--undo', file(lines([whole[0], { ...whole[1], ...change }])), ...dry);
        assert.equal(code, 2, `${what}: ${shown}`);
        assert.match(stderr, message, what);
        assert.match(stderr, /the undo file: line 2: .*, so nothing is done$/m, what);
        assert.equal(stdout, '', what);
      }
    }
    assert.equal((await keys(one)).length, 1);
    assert.deepEqual(await keys(two), [theirs.rkeys[0]]);
    assert.deepEqual(await scene.pds.listRecordsAll(one.did, PAINTING), []);
    const { code, shown } = await repair('--undo', file(lines(whole)));
    assert.equal(code, 0, shown);
    assert.deepEqual(await keys(two), theirs.rkeys);
  });

  it('knows by the index whose a document was that is gone', async () => {
    const [one, two] = [await writer(), await writer()];
    const theirs = await mood(two, 1, 0);
    await refkey.start();
    await refkey.ready();
    await settled(refkey);
    await refkey.stop();
    await scene.mongo.moods.deleteOne({ _id: theirs._id });
    const { code, summary, shown } = await repair('--orphans', '--yes', ...users(two));
    assert.deepEqual([code, summary.delete], [0, 1], shown);
    const [line] = entries(summary.undo);
    const moved = await repair('--undo', file(lines([{ ...line, did: one.did }])));
    assert.equal(moved.code, 2, moved.shown);
    assert.match(moved.stderr, /line 1: its record's document is somebody else's/);
    assert.deepEqual(await keys(one), []);
    assert.equal((await repair('--undo', summary.undo)).code, 0);
    assert.deepEqual(await keys(two), theirs.rkeys);
  });

  it('a last line counts without its line break; one that was cut off is named', async () => {
    const person = await writer();
    const { rkeys } = await mood(person, 3, 0);
    const { summary } = await repair('--duplicates', '--yes', ...users(person));
    const text = readFileSync(summary.undo, 'utf8');
    const torn = await repair('--undo', file(text.slice(0, -20)));
    assert.equal(torn.code, 1, torn.shown);
    assert.match(torn.stderr, /line 2, the last, was cut off/);
    assert.deepEqual([torn.summary.torn, torn.summary.create, torn.summary.failed], [true, 1, 0], torn.shown);
    assert.equal((await keys(person)).length, 2);
    const whole = await repair('--undo', file(text.trimEnd()));
    assert.deepEqual([whole.code, whole.summary.torn, whole.summary.create], [0, false, 2], whole.shown);
    assert.deepEqual(await keys(person), rkeys);
    // Nothing but a line that was cut off is no success either.
    const none = await refkey.run(['repair', '--undo', file(text.slice(0, 20))]);
    assert.equal(none.code, 1, none.stdout);
    assert.match(none.stderr, /line 1, the last, was cut off/);
  });

  it('fails where the key is another’s by now, and goes on', async () => {
    const [one, two] = [await writer(), await writer()];
    const [a, b] = [await mood(one, 2, 0), await mood(two, 2, 0)];
    const { summary } = await repair('--duplicates', '--yes', ...users(one, two));
    await record(one, objectId(), a.rkeys[1], 'another');
    const undo = await repair('--undo', summary.undo);
    assert.deepEqual([undo.code, undo.summary.create, undo.summary.failed], [1, 1, 1], undo.shown);
    assert.equal(undo.steps.find((s) => s.outcome === 'failed').reason, "its key is another record's");
    assert.deepEqual(await keys(two), b.rkeys);
  });

  it('gives back records of every form: without a ref, with links, with numbers, nested, invalid', async () => {
    const person = await writer();
    const twice = await mood(person, 1, 0);
    const odd = [
      { ...moodRecord({ mood: 'calm \u0000 🌊 "\\', ref: twice._id }), extra: { b: [1, -2, { $link: twice.cid ?? 'bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a' }], 10: 'ten', 9: 'nine' } },
      { ...moodRecord({ mood: 'x'.repeat(4000), ref: twice._id }), big: Number.MAX_SAFE_INTEGER, bytes: { $bytes: 'nFERjvLLiw9qm45JrqH9QTzyC2Lu1Xb4ne6+sBrCzI0' } },
      { $type: MOOD, text: 'older', when: new Date().toISOString(), mongoId: String(twice._id) },
    ];
    for (const one of odd) await scene.pds.createRecord(person, MOOD, one, tid(60_000));
    const had = await records(person);
    const { code, summary, shown } = await repair('--duplicates', '--yes', ...users(person));
    assert.deepEqual([code, summary.delete], [0, 3], shown);
    const undo = await repair('--undo', summary.undo);
    assert.deepEqual([undo.code, undo.summary.create], [0, 3], undo.shown);
    assert.deepEqual(await records(person), had);
  });

  it('is a file of its own: no link, no pipe, no folder', async () => {
    const person = await writer();
    const { rkeys } = await mood(person, 2, 0);
    const elsewhere = path.join(folder, 'elsewhere');
    mkdirSync(elsewhere, { recursive: true });
    const kept = path.join(folder, 'kept');
    let had = false;
    try {
      renameSync(undoFolder(), kept);
      had = true;
    } catch (e) {
      assert.equal(e.code, 'ENOENT');
    }
    symlinkSync(elsewhere, undoFolder());
    try {
      const { code, stderr, shown } = await repair('--duplicates', '--yes', ...users(person));
      assert.equal(code, 1, shown);
      assert.match(stderr, /the undo file cannot be written, so nothing more is deleted: Not a directory/);
    } finally {
      unlinkSync(undoFolder());
      if (had) renameSync(kept, undoFolder());
    }
    assert.deepEqual(readdirSync(elsewhere), []);
    assert.deepEqual(await keys(person), rkeys);
    for (const [what, message] of [[folder, /directory/], ['/dev/null', /no file/]]) {
      const { code, stderr, shown } = await repair('--undo', what);
      assert.equal(code, 2, shown);
      assert.match(stderr, message);
    }
  });
});
