// `refkey publish moods --watch`: the dual write from a terminal, alone and beside a running serve.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { soon, startScene } from './scene.mjs';
import { Site, smallBatches } from './site.mjs';

describe('publish moods --watch', () => {
  let scene;
  let site;
  let refkey;

  before(async () => {
    scene = await startScene({ proxy: true });
    site = new Site(scene);
    refkey = await scene.refkey();
    await refkey.stop();
  });
  after(() => scene?.close());

  it('is refused where it could not be right', async () => {
    const unlink = { REFKEY_ON_DELETE: 'unlink' };
    const cases = [
      [['publish', 'moods', '--watch', '--dry-run'], {}, /--dry-run/],
      [['publish', 'moods', '--watch', '--limit', '3'], {}, /--limit/],
      [['publish', 'moods', '--watch'], unlink, /REFKEY_ON_DELETE/],
      [['publish', 'moods', '--watch', '--user', '@nobody-at-all'], {}, /nobody-at-all/],
      [['publish', 'moods', '--watch', '--skip', '@nobody-at-all'], {}, /nobody-at-all/],
      [['publish', 'moods', '--watch'], { REFKEY_SOURCE: 'relay' }, /REFKEY_SOURCE/],
      [['serve'], { REFKEY_PUBLISH: 'on', REFKEY_SOURCE: 'relay' }, /REFKEY_SOURCE/],
      [['serve'], { REFKEY_PUBLISH: 'on', REFKEY_MONGO_URI: '' }, /REFKEY_MONGO_URI/],
      ...['on', 'exclusive'].flatMap((publish) =>
        ['unlink', 'keep'].map((keep) => [
          ['serve'],
          { REFKEY_PUBLISH: publish, REFKEY_ON_DELETE: keep },
          /REFKEY_PUBLISH.*REFKEY_ON_DELETE/,
        ]),
      ),
    ];
    for (const [args, env, message] of cases) {
      const { code, stdout, stderr } = await refkey.run(args, { env });
      assert.equal(code, 2, `${args} ${JSON.stringify(env)}: ${stdout}${stderr}`);
      assert.match(stderr, message);
    }
  });

  // As a person sees it.
  function watch(...args) {
    const child = spawn(binary, ['publish', 'moods', '--watch', ...args], { env: refkey.env });
    const shown = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (shown.out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (shown.err += text));
    const ended = new Promise((resolve) => child.on('close', resolve));
    const says = (text) => until(() => shown.out.includes(text), { what: `it says ${text}`, ...soon });
    return { child, shown, ended, says };
  }

  for (const beside of [false, true]) {
    it(beside ? 'beside a running serve' : 'alone', async () => {
      if (beside) {
        await refkey.start(smallBatches(scene));
        await refkey.ready();
      }
      const [person, other] = [await scene.writer(), await scene.writer()];
      const left = await site.post(other);
      // Beside serve, its REFKEY_PUBLISH holds, which is off: what is old enough.
      const running = watch('--user', `@${person.name}`, ...(beside ? [] : ['--publish', 'exclusive']));
      const d = await site.post(person, { _id: objectId(beside ? 120 : 0) });
      const { uri } = await site.published(person, d);
      const rkey = uri.split('/').pop();
      await running.says(`] @${person.name} - ${d.mood} ✅ Synced (${rkey})\n`);
      await site.set(d, { $set: { deleted: true } });
      await site.withdrawn(person, d);
      await running.says(`Deleted (${rkey})\n`);
      assert.equal((await site.find(left)).atproto, undefined);
      running.child.kill('SIGTERM');
      assert.equal(await running.ended, 0, running.shown.out + running.shown.err);
      assert.match(running.shown.out, /Synced: +1\nSkipped: 0\nFailed: +0\nDeleted: 1\n/);
      if (beside) await refkey.stop();
    });
  }

  it('keeps to whom a name meant when it began', async () => {
    const [person, other] = [await scene.writer(), await scene.writer()];
    const running = watch('--user', `@${person.name}`, '--publish', 'exclusive');
    await site.published(person, await site.post(person));
    await scene.mongo.handles.updateOne({ _id: person.user }, { $set: { handle: 'renamed' } });
    await scene.mongo.handles.updateOne({ _id: other.user }, { $set: { handle: person.name } });
    // Owners without an account have users read again.
    await site.post({ user: 'auth0|without' });
    const left = await site.post(other);
    await until(
      async () => {
        await site.published(person, await site.post(person));
        return running.shown.out.includes('] @renamed - ');
      },
      { what: 'the other handle is known', ...soon },
    );
    running.child.kill('SIGTERM');
    assert.equal(await running.ended, 0, running.shown.out + running.shown.err);
    assert.equal((await site.find(left)).atproto, undefined);
  });

  it('alone, says a failure in its line, and not in the log too', async () => {
    const person = await scene.writer();
    const running = watch('--user', `@${person.name}`, '--publish', 'exclusive');
    const bad = await site.post(person, { mood: 5 });
    await running.says(`❌ Failed: mood is not a string (${bad._id})\n`);
    running.child.kill('SIGTERM');
    await running.ended;
    assert.doesNotMatch(running.shown.err, /mood is not a string/);
  });
});
