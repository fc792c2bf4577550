// The counting itself: what the runner makes of good, bad, broken and silent jobs.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../kit/wait.mjs';
import { cmockaCases } from './cmocka.mjs';
import { nodeCommand } from './jobs.mjs';
import { runJob } from './run.mjs';

const count = (cases) => ({
  passed: cases.filter((c) => c.error === undefined && c.skipped === undefined).length,
  failed: cases.filter((c) => c.error !== undefined).length,
  skipped: cases.filter((c) => c.skipped !== undefined).length,
});

describe('cmocka', () => {
  const run = (name) => `[ RUN      ] ${name}\n`;
  const good = (name) => `${run(name)}[       OK ] ${name}\n`;
  const of = (stdout, more = {}) =>
    cmockaCases({ name: 'unit / x', result: 'OK', returncode: 0, stdout: `[==========] Running\n${stdout}`, ...more });

  it('counts single cases, of more than one group too', () => {
    assert.deepEqual(count(of(`${good('a')}${good('b')}[==========] 2 run.\n[==========] Running\n${good('a')}`)), {
      passed: 3,
      failed: 0,
      skipped: 0,
    });
  });
  it('names what failed, with what it printed', () => {
    const cases = of(`${good('a')}${run('b')}hello\n[  FAILED  ] b\n${good('c')}`, {
      result: 'FAIL',
      returncode: 1,
      stderr: '[   LINE   ] --- x.c:1\n[  FAILED  ] b\n',
    });
    assert.deepEqual(count(cases), { passed: 2, failed: 1, skipped: 0 });
    const failed = cases.find((c) => c.error);
    assert.equal(failed.name, 'unit / x: b');
    assert.match(failed.error, /hello[^]*x\.c:1/);
  });
  it('gives the reason of what was skipped', () => {
    const cases = of(`${run('b')}skipped: no vectors\n[  SKIPPED ] b\n[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] b\n`, {
      result: 'SKIP',
      returncode: 77,
    });
    assert.deepEqual(cases, [{ name: 'unit / x: b', skipped: 'no vectors' }]);
  });
  it('takes a crash for a failure of the case that ran', () => {
    const cases = of(`${good('a')}${run('b')}`, { result: 'FAIL', returncode: -11 });
    assert.deepEqual(count(cases), { passed: 1, failed: 1, skipped: 0 });
    assert.match(cases[1].error, /ended with -11/);
  });
  it('takes a program that fails after its cases, runs out of time or prints no case for a failure', () => {
    assert.equal(count(of(good('a'), { result: 'FAIL', returncode: 1 })).failed, 1);
    assert.match(of(run('a'), { result: 'TIMEOUT', returncode: -15 })[0].error, /out of time/);
    assert.equal(count(of('')).failed, 1);
  });
});

describe('files of tests', () => {
  let folder;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'refkey-runner-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function cases(source, { minutes = 5 } = {}) {
    const file = path.join(folder, 'one.test.mjs');
    await writeFile(file, `import { describe, it, test, before } from 'node:test';\n${source}`);
    return runJob({ name: 'one', kind: 'node', file, command: nodeCommand(file), env: {}, minutes });
  }

  it('counts leaves alone', async () => {
    const all = await cases(`
      describe('outer', () => { it('a', () => {}); describe('inner', () => { it('b', () => {}); }); });
      test('parent', async (t) => { await t.test('c', () => {}); });`);
    assert.deepEqual(all.map((c) => c.name), ['outer: a', 'outer: inner: b', 'parent: c']);
    assert.deepEqual(count(all), { passed: 3, failed: 0, skipped: 0 });
  });
  it('names failures with their causes, and what was printed', async () => {
    const all = await cases(`
      it('a', () => {});
      it('b', () => { console.log('hello'); throw new Error('outside', { cause: new Error('inside') }); });
      describe('hook', () => { before(() => { throw new Error('in the hook'); }); it('never', () => {}); });`);
    assert.deepEqual(count(all), { passed: 1, failed: 3, skipped: 0 });
    assert.match(all.find((c) => c.name === 'b').error, /outside[^]*inside[^]*hello/);
    assert.match(all.find((c) => c.name === 'hook').error, /in the hook/);
  });
  it('gives the reason of what was skipped or is to do', async () => {
    const all = await cases(`
      it('a', { skip: 'no server' }, () => {});
      it('b', (t) => t.skip());
      it('c', { todo: 'later' }, () => { throw new Error('not yet'); });
      describe.skip('suite', () => { it('x', () => {}); });
      it('d', () => {});`);
    assert.deepEqual(all.map((c) => c.skipped), ['no server', 'no reason given', 'to do: later', 'no reason given', undefined]);
    assert.deepEqual(count(all), { passed: 1, failed: 0, skipped: 4 });
  });
  it('takes a file that crashes, ends early or has no test for a failure', async () => {
    assert.equal(count(await cases(`it('a', () => {}); it('b', () => process.kill(process.pid, 'SIGSEGV'));`)).failed, 1);
    assert.equal(count(await cases('process.exit(0);')).failed, 1);
    assert.equal(count(await cases('process.exit(3);')).failed, 1);
    assert.equal(count(await cases('')).failed, 1);
    assert.equal(count(await cases('syntax error')).failed, 1);
  });
  it('ends what runs out of time, with all it started', async () => {
    const all = await cases(
      `import { spawn } from 'node:child_process';
      it('a', async () => {
        const child = spawn('sleep', ['1000']);
        console.log('pid ' + child.pid + '.');
        await new Promise(() => setInterval(() => {}, 1000));
      });`,
      { minutes: 0.5 }, // more than it takes to come to the pid
    );
    assert.deepEqual(count(all), { passed: 0, failed: 1, skipped: 0 });
    assert.match(all[0].error, /not done within 0\.5 minutes/);
    const [, pid] = /pid (\d+)\./.exec(all[0].error);
    // Gone, or dead and not yet buried.
    const state = () => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '(sleep) Z');
    await until(async () => /\) Z/.test(await state()), { what: 'its end' });
  });
  it('takes a program that is not there for a failure', async () => {
    const all = await runJob({ name: 'x', kind: 'command', command: ['./no-such-program'], env: {}, minutes: 5 });
    assert.equal(count(all).failed, 1);
  });
});
