// What a frame of a stranger's repo costs behind a relay (foreign.c), by how many repos are known.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTool } from './tools.mjs';

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url));
const most = 5; // µs: 200,000 frames a second of one core

export async function relay({ table, note, root }) {
  for (const known of [1000, 1_000_000]) {
    note(`frames of strangers, ${known.toLocaleString('en-US')} repos known`);
    const dir = path.join(root, `relay-${known}`);
    const run = JSON.parse(await runTool('foreign', [fixtures, dir, String(known)]));
    const of = `${known.toLocaleString('en-US')} repos known`;
    table.limit(`processor time of a stranger's frame, ${of}`, run.whole, 'µs', most);
    table.limit(`own memory, ${of}`, run.own / 1024, 'MB', 200);
  }
}
