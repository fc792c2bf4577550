// `serve` as a user of its own, and commands as root: what one leaves the other can read.

import assert from 'node:assert/strict';
import { chownSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { repairing, users } from './repairing.mjs';
import { settled, startScene } from './scene.mjs';

const NOBODY = 65534;
const root = process.getuid() === 0 ? {} : { skip: 'two users take root' };

describe('serve as another user than who runs the commands', root, () => {
  let scene;
  let refkey;
  let folder;
  let repair, keys, writer, mood;

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-plan-'));
    scene = await startScene();
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_SWEEP_SECONDS: '1' }, { start: false });
    await refkey.prepare();
    chownSync(refkey.dataDirectory, NOBODY, NOBODY);
    const ids = ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'];
    refkey.as = ['setpriv', ...ids, '--pdeathsig', 'KILL', '--'];
    await started();
    ({ repair, keys, writer, mood } = repairing(scene, refkey));
  });
  after(async () => {
    await scene?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function started() {
    await refkey.start();
    await refkey.ready();
    await settled(refkey);
  }
  const owners = () =>
    Object.fromEntries(
      ['', ...readdirSync(refkey.dataDirectory, { recursive: true })].map((name) => {
        const { uid, gid } = statSync(path.join(refkey.dataDirectory, name));
        return [name, [uid, gid]];
      }),
    );
  function assertOwned() {
    for (const [name, of] of Object.entries(owners())) assert.deepEqual(of, [NOBODY, NOBODY], name);
  }

  it('a plan that serve could not read is carried out by it', async () => {
    const person = await writer();
    const { rkeys } = await mood(person, 2, 1);
    const file = path.join(folder, 'plan.json');
    const planned = await repair('--all', '--plan', file, ...users(person));
    assert.equal(planned.code, 0, planned.shown);
    assert.deepEqual([statSync(file).uid, statSync(file).mode & 0o777], [0, 0o600]);
    // Its size is no matter.
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file)), note: 'x'.repeat(40 << 20) }));
    const { code, summary, shown } = await repair('--apply', file);
    assert.deepEqual([code, summary?.delete], [0, 1], shown);
    assert.deepEqual(await keys(person), [rkeys[1]]);
  });

  it('what is written without serve is its user’s: undo files, and an index written anew', async () => {
    const [gone, kept] = [await writer(), await writer()];
    for (const person of [gone, kept]) await mood(person, 2, 1);
    await settled(refkey);
    await refkey.stop();
    rmSync(path.join(refkey.dataDirectory, 'undo'), { recursive: true, force: true });
    const repaired = await repair('--all', '--yes', ...users(gone, kept));
    assert.deepEqual([repaired.code, repaired.summary?.delete], [0, 2], repaired.shown);
    assertOwned();
    const { code, stdout, stderr } = await refkey.run(['forget', gone.user, '--yes']);
    assert.equal(code, 0, stdout + stderr);
    assertOwned();
    await started();
    await mood(kept, 2, 1);
    const again = await repair('--all', '--yes', ...users(kept));
    assert.deepEqual([again.code, again.summary?.delete], [0, 1], again.shown);
    assertOwned();
  });
});
