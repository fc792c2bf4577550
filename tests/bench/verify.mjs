// What it costs to believe a commit of 2.4 KB: decode, hash, verify, undo its operations (verify.c),
// against the check of its signature alone.

import { fileURLToPath } from 'node:url';
import { runTool } from './tools.mjs';

const rounds = 3;
const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url));

export async function verify({ table, note }) {
  note('verifying commits');
  const runs = [];
  for (let round = 0; round < rounds; round++) runs.push(JSON.parse(await runTool('verify', [fixtures])));
  for (const [key, name] of [['k256', 'k256'], ['p256', 'P-256']]) {
    table.peer(`processor time to believe a commit, ${name}`, {
      unit: 'µs',
      ours: runs.map((run) => run[key].whole),
      theirs: runs.map((run) => run[key].bare),
      peer: 'its signature alone',
    });
  }
}
