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
import { soon, startScene } from './scene.mjs';

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
