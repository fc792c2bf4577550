// A full disk: writing stops with a clear error and health says so, reading goes on, and once there is
// room nothing is missing. On a small file system of its own, which takes root to mount.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  assertChecks,
  explain,
  linked,
  metrics,
  seen,
  settled,
  soon,
  startScene,
  unseen,
  untilIndexEqualsPds,
} from './scene.mjs';

const SIZE = 24 << 20;

function mounted() {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'refkey-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'refkey-test', dir], { stdio: 'pipe' });
    return dir;
  } catch {
    rmSync(dir, { recursive: true });
    return undefined;
  }
}

const disk = mounted();
const possible = disk ? {} : { skip: 'a small file system cannot be mounted here (that takes root)' };

describe('standard output on a full disk', () => {
  it('is a failure, however well all else went', () => {
    for (const args of [['--version'], ['help', 'publish'], ['lexicon', 'validate'], ['lexicon', 'validate', '--json']]) {
      const run = (to) => spawnSync('sh', ['-c', `"$0" "$@" ${to}`, binary, ...args], { encoding: 'utf8' });
      assert.equal(run('').status, 0);
      const { status, stderr } = run('> /dev/full');
      assert.equal(status, 1, args.join(' '));
      assert.match(stderr, /^refkey: standard output cannot be written/m);
    }
  });
});

describe('a full disk', possible, () => {
  let scene;
  let refkey;
  let ada;
  const data = () => path.join(disk, 'data');
  const ballast = path.join(disk, 'ballast');
  const room = () => statfsSync(disk).bavail * statfsSync(disk).bsize;
  // Leaves so many bytes free.
  const fill = (left) => {
    rmSync(ballast, { force: true });
    try {
      writeFileSync(ballast, Buffer.alloc(room()));
    } catch (e) {
      if (e.code !== 'ENOSPC') throw e; // refkey took some meanwhile
    }
    truncateSync(ballast, Math.max(0, statSync(ballast).size - left));
  };
  const empty = () => rmSync(ballast, { force: true });

  before(async () => {
    scene = await startScene();
    ada = await scene.person();
    refkey = await scene.refkey({ REFKEY_DATA_DIR: data() });
  });
  after(async () => {
    try {
      await scene?.close();
    } finally {
      if (disk) {
        execFileSync('umount', [disk]);
        rmSync(disk, { recursive: true });
      }
    }
  });
  afterEach((t) => {
    explain(t, refkey);
    empty();
  });

  const health = () => refkey.get('/xrpc/_health');
  async function unhealthy() {
    await until(
      async () => {
        const { status: code, body } = await health();
        assert.deepEqual([code, body.error], [503, 'NotReady']);
        assert.match(body.message, /cannot be written.*space/i);
        return true;
      },
      { what: 'health answers 503 and says that the disk is full', ...soon },
    );
  }
  const toldOfSpace = () =>
    refkey.log().filter((l) => ['error', 'warn'].includes(l.level) && /space/i.test(JSON.stringify(l)));
  const mood = () => ({ ...moodRecord({ mood: 'x'.repeat(4500), ref: objectId() }) });
  const write = (count) =>
    scene.pds.applyWrites(
      ada,
      Array.from({ length: count }, () => ({ action: 'create', collection: MOOD, value: mood() })),
    );

  async function fillUp() {
    fill(512 << 10);
    for (let i = 0; i < 3; i++) await write(100); // 1.5 MB and more
    await unhealthy();
  }

  it('stops writing, says so, answers what it has, and goes on when there is room', async () => {
    const ref = String(objectId());
    const first = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref }));
    await linked(refkey, first);
    await fillUp();
    // Health knows it first.
    await until(() => toldOfSpace().length > 0, { what: 'the log says so', ...soon });
    assert.equal(toldOfSpace()[0].level, 'error');
    assert.ok(toldOfSpace().length <= 3, 'not at every try');
    await until(async () => (await metrics(refkey)).refkey_writer_failures_total > 0, { what: 'it is counted', ...soon });
    assert.equal((await seen(refkey, first)).cid, first.cid);
    assert.equal((await refkey.xrpc('getStatus')).status, 200);
    const brief = objectId();
    const deleted = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: brief }));
    await scene.pds.deleteRecord(ada, MOOD, deleted.rkey);
    await scene.pds.deleteRecord(ada, MOOD, first.rkey);
    empty();
    await refkey.ready();
    await unseen(refkey, first);
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    await settled(refkey);
    await assertChecks(refkey);
    const live = await scene.mongo.moods.countDocuments({ user: ada.user, 'atproto.rkey': { $exists: true } });
    assert.equal(live, (await scene.pds.listRecordsAll(ada.did, MOOD)).length);
    // One that came and went is inserted only if MongoDB was asked in between.
    const gone = await scene.mongo.moods.find({ user: ada.user, 'atproto.rkey': { $exists: false }, _id: { $ne: brief } }).toArray();
    assert.deepEqual(gone.map((d) => [String(d._id), d.deleted]), [[ref, true]]);
    const came = await scene.mongo.moods.findOne({ _id: brief });
    assert.ok(!came || came.deleted === true, JSON.stringify(came));
  });

  it('is no reason not to stop, and nothing is lost over it', async () => {
    await fillUp();
    await refkey.stop();
    empty();
    await refkey.start();
    await refkey.ready();
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    await assertChecks(refkey);
  });

  it('nor does a kill lose anything', async () => {
    await fillUp();
    await refkey.kill();
    empty();
    await refkey.start();
    await refkey.ready();
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    await settled(refkey);
    await assertChecks(refkey);
  });

  it('at a start is told, and gone on with when there is room', async () => {
    await refkey.stop();
    for (let i = 0; i < 4; i++) await write(100); // more than what is free within the file
    fill(0);
    // It may start and be unready, or end with a message: never with a broken index.
    await refkey.start().catch((e) => assert.match(e.message, /space/i));
    if (refkey.running) await unhealthy();
    empty();
    if (!refkey.running) await refkey.start();
    await refkey.ready();
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    await assertChecks(refkey);
  });

  it('of the whole file: a first start that does not fit gets in once it does', async () => {
    await refkey.close();
    fill(0);
    rmSync(data(), { recursive: true });
    fill(300 << 10);
    refkey = await scene.refkey({ REFKEY_DATA_DIR: data(), REFKEY_RECOVER: 'all' }, { ready: false, start: false });
    await refkey.start().catch((e) => assert.match(e.message, /space/i));
    if (refkey.running) await until(() => toldOfSpace().length > 0, { what: 'the log says so', ...soon });
    empty();
    if (!refkey.running) await refkey.start();
    await refkey.ready();
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    await settled(refkey);
    await assertChecks(refkey);
  });
});
