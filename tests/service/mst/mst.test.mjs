// Trees and commits of the reference implementation against ours: roots, proofs and
// inversions, on random trees and edits. What is compared is in driver.c.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seeded } from '../../e2e/random.mjs';
import { Chance, edits, frames } from './cases.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const driver = process.env.REFKEY_TEST_MST_DRIVER ?? path.join(root, 'build/tests/service/mst/mst_driver');

// Feeds that many cases to the driver and returns what it counted.
async function drive(cases, count) {
  const child = spawn(driver, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // it ended at a case that is wrong
  const output = [];
  child.stdout.on('data', (bytes) => output.push(bytes));
  const closed = once(child, 'close').catch((e) => [String(e)]);
  // Room for more, or it has ended.
  const room = () => Promise.race([once(child.stdin, 'drain').catch(() => {}), closed]);
  let n = 0;
  for await (const bytes of cases) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    child.stdin.write(length);
    if (!child.stdin.write(bytes) && child.exitCode === null) await room();
    if (++n === count || child.exitCode !== null) break;
  }
  child.stdin.end();
  const [code, signal] = await closed;
  const text = Buffer.concat(output).toString().trim();
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, text);
  return JSON.parse(text);
}

it('random edits of trees lead to the same roots, and back on no more than the proof', async (t) => {
  const counted = await drive(edits(new Chance(seeded(t))), 10_000);
  t.diagnostic(JSON.stringify(counted));
  assert.equal(counted.edits, 10_000);
  // What the cases are for has happened.
  for (const name of ['there', 'joined', 'without_a_node', 'without_an_op', 'empty_before', 'empty_after']) {
    assert.ok(counted[name] > 20, `${name}: ${counted[name]}`);
  }
});

it('signed commits are believed, and not without one of their operations', async (t) => {
  const counted = await drive(frames(new Chance(seeded(t))), 200);
  t.diagnostic(JSON.stringify(counted));
  assert.equal(counted.frames, 200);
});
