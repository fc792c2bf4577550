// What commands that take their time tell meanwhile, where it does not go to a terminal: each line when it is told,
// and every few seconds how far they are.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { moodDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { publishing, users } from './publishing.mjs';
import { settled, soon, startScene } from './scene.mjs';

describe('what is told meanwhile', () => {
  let scene;
  let refkey;
  let person;

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey({ REFKEY_PDS_ADMIN_PASSWORD: scene.pds.adminPassword });
    await refkey.stop();
  });
  after(() => scene?.close());
  beforeEach(async () => {
    person = await scene.writer();
    await publishing(scene, refkey).moods(person, 3);
  });

  // Both streams are pipes.
  function run(...args) {
    const child = spawn(binary, args, { env: refkey.env });
    const told = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (told.out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (told.err += text));
    told.ended = new Promise((resolve) => child.on('close', resolve));
    return told;
  }

  // The second answer does not come before the first was told of.
  async function assertToldMeanwhile(method, args, line, lines = 3) {
    const release = Promise.withResolvers();
    let asked = 0;
    const fault = scene.proxy.http({ hold: release.promise }, { method, query: () => asked++ > 0 });
    const told = run(...args);
    try {
      await until(() => fault.held, { what: 'the second being asked for', ...soon });
      await until(() => line.test(told.out), { what: 'the first in standard output', ...soon, deadline: 30_000 });
      await until(() => new RegExp(`^1 of ${lines}, `, 'm').test(told.err), { what: 'how far it is', ...soon, deadline: 30_000 });
    } catch (e) {
      throw new Error(`${e.message}\n${told.out}${told.err}`, { cause: e });
    } finally {
      release.resolve();
      fault.end();
      assert.equal(await told.ended, 0, told.out + told.err);
    }
  }

  for (const beside of [false, true]) {
    for (const [how, line] of [
      [[], /^\[1\/3\] .*\n/m],
      [['--json'], /^\{.*"outcome":"created".*\}/m],
    ]) {
      it(`publish ${how} ${beside ? 'beside a running serve' : 'alone'}`, async () => {
        if (beside) await (await refkey.start()).ready();
        try {
          const args = ['publish', 'moods', '--batch-size', '1', ...how, ...users(person)];
          await assertToldMeanwhile('com.atproto.repo.applyWrites', args, line);
        } finally {
          await refkey.stop();
        }
      });
    }
  }

  it('publish --json --report beside a serve that is killed: what was told', async () => {
    await (await refkey.start()).ready();
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    let asked = 0;
    const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', query: () => asked++ > 0 });
    try {
      const args = ['publish', 'moods', '--batch-size', '1', '--json', '--report', report];
      const told = run(...args, ...users(person));
      await until(() => /"outcome":"created"/.test(told.out), { what: 'the first in standard output', ...soon });
      await refkey.kill();
      assert.equal(await told.ended, 3, told.out + told.err);
      assert.match(told.err, /did not answer to the end/);
      const { records, summary } = JSON.parse(told.out);
      assert.match(summary.error, /did not answer to the end/);
      const of = ({ created, linked, skipped, failed, found, stopped }) => ({ created, linked, skipped, failed, found, stopped });
      const expected = { created: 1, linked: 0, skipped: 0, failed: 0, found: 3, stopped: true };
      assert.deepEqual([records.length, of(summary)], [1, expected]);
      assert.deepEqual(JSON.parse(readFileSync(path.join(report, 'publish-summary.json'), 'utf8')), summary);
    } finally {
      fault.end();
      rmSync(report, { recursive: true });
      await refkey.kill();
    }
  });

  describe('--json beside a serve that is killed', () => {
    // What is held, from which request on or of whom; the list, of which something is told before.
    const commands = {
      audit: { args: (p, q) => users(p, q), held: 'com.atproto.sync.getRepo', of: (p, q) => q.did, list: 'users' },
      repair: {
        args: (p, q) => ['--orphans', '--yes', ...users(p, q)],
        held: 'com.atproto.repo.applyWrites',
        list: 'steps',
        before: (p, q) => scene.mongo.moods.updateMany({ user: { $in: [p.user, q.user] } }, { $set: { deleted: true } }),
      },
      delete: { args: (p, q, refs) => refs, held: 'com.atproto.repo.applyWrites', list: 'records' },
      forget: { args: (p) => [p.user, '--yes'], held: 'com.atproto.repo.applyWrites', from: 0 },
    };
    for (const [command, { args, held, of, from = 1, list, before: change }] of Object.entries(commands)) {
      it(`${command}: one whole object, with the error`, async () => {
        const [p, q] = [person, await scene.writer()].sort((a, b) => (a.user < b.user ? -1 : 1));
        await publishing(scene, refkey).moods(q, 3);
        await publishing(scene, refkey).moods(p, 3);
        assert.equal((await publishing(scene, refkey).publish(...users(p, q))).code, 0);
        await (await refkey.start()).ready();
        await settled(refkey);
        await change?.(p, q);
        const refs = (await scene.mongo.moods.find({ user: p.user }).toArray()).map((d) => String(d._id));
        let asked = 0;
        const query = (params) => (of ? params.get('did') === of(p, q) : asked++ >= from);
        const fault = scene.proxy.http({ hold: true }, { method: held, query });
        try {
          const told = run(command, '--json', ...args(p, q, refs));
          await until(() => fault.held, { what: 'the next being asked for', ...soon });
          if (list) await until(() => /"(rkey|uri|did)":"|"records":\["/.test(told.out), { what: 'the first in standard output', ...soon });
          await refkey.kill();
          assert.equal(await told.ended, 3, told.out + told.err);
          const { summary, ...rest } = JSON.parse(told.out);
          const { stopped, error } = list ? summary : rest;
          assert.deepEqual([stopped, /did not answer to the end/.test(error)], [true, true], told.out);
          if (list) assert.notEqual(rest[list].length, 0);
        } finally {
          fault.end();
          await refkey.kill();
        }
      });
    }
  });

  for (const [how, line] of [
    [[], /^\[1\/2\] .*\n/m],
    [['--json'], /^\{.*"outcome":"created".*\}/m],
  ]) {
    it(`accounts --create ${how}`, async () => {
      const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
      const without = ['one', 'two'].map((name) => ({ user: `auth0|${name}${how}`, handle: `${name}${how.length}` }));
      for (const { user, handle } of without) {
        await scene.mongo.user({ _id: user, handle });
        await scene.mongo.moods.insertOne(moodDocument({ user }));
      }
      try {
        const args = ['accounts', '--create', '--report', report, ...how, ...users(...without)];
        await assertToldMeanwhile('com.atproto.server.createAppPassword', args, line, 2);
      } finally {
        rmSync(report, { recursive: true });
      }
    });
  }
});
